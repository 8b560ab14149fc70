"""Packages that only reports need."""

from __future__ import annotations

import importlib.util

from latcomp.errors import UsageError


def need_report_extra(*modules: str) -> None:
    """Raise `UsageError` with the command that installs them when one of these modules is missing."""
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(f"{' and '.join(missing)} not installed: pip install 'latcomp[report]'")
