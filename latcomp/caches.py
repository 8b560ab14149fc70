"""Where latcomp keeps what it can make again."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """The user's cache folder for latcomp, made when missing. Raises `OSError` when it cannot be."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "latcomp"
    base.mkdir(parents=True, exist_ok=True)
    return base
