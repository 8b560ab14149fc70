"""What kind of model a folder or file holds."""

from __future__ import annotations

from pathlib import Path

from latcomp.models.folders import is_complete, kind_of
from latcomp.models.public import published


def holds(folder: Path, kind: str) -> bool:
    """Whether a folder or file holds a model of this kind. Raises what `published` does."""
    try:
        if is_complete(folder):
            return kind_of(folder) == kind
    except (OSError, ValueError):
        return False
    return kind == "tokenizer" and published(folder) is not None
