"""Protects: what needs the extra `report` says how to install it."""

from __future__ import annotations

import importlib.util

import pytest

from latcomp.errors import UsageError
from latcomp.report import extras
from latcomp.report.extras import need_report_extra


def test_a_missing_library_is_named_with_the_command_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    need_report_extra("scipy", "matplotlib")
    monkeypatch.setattr(
        extras.importlib.util, "find_spec", lambda name: None if name == "scipy" else importlib.machinery
    )
    with pytest.raises(UsageError, match=r"^scipy not installed: pip install 'latcomp\[report\]'$"):
        need_report_extra("scipy", "matplotlib")
