"""Where models of a tokenizer that was given are looked for, and what a folder or file holds."""

from __future__ import annotations

from pathlib import Path

from latcomp.models.folders import is_complete, kind_of
from latcomp.models.public import companions, published


def beside(tokenizer: str | Path | None, kind: str) -> Path | None:
    """Where a model of a kind is looked for first: the folder or file of the tokenizer that was given, or a subfolder
    of what was trained for it. Raises what `published` does."""
    if tokenizer is None:
        return None
    source = None if is_complete(Path(tokenizer)) else published(Path(tokenizer))
    place = Path(tokenizer) if source is None else source.place
    return place if kind == "tokenizer" else companions(place) / kind


def holds(folder: Path, kind: str) -> bool:
    """Whether a folder or file holds a model of this kind. Raises what `published` does."""
    try:
        if is_complete(folder):
            return kind_of(folder) == kind
    except (OSError, ValueError):
        return False
    return kind == "tokenizer" and published(folder) is not None
