"""Very many files in one folder, each under its name only when it is complete."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from latcomp.output import output_file, remove_left

_swept: set[Path] = set()


def begin() -> None:
    """Look for what killed runs left in every folder anew."""
    _swept.clear()


@contextmanager
def output_of_many(path: Path, force: bool) -> Iterator[BinaryIO]:
    """As `latcomp.output.output_file`, open for writing; the folder is made where it is missing.

    What killed runs left in the folder is looked for once and not for each file, which would take a time that grows
    with the square of their number."""
    folder = path.parent
    if folder not in _swept:
        folder.mkdir(parents=True, exist_ok=True)
        remove_left(folder)
        _swept.add(folder)
    with output_file(path, force, sweep=False) as temporary, temporary.open("wb") as file:
        yield file
