"""The .lat files that an export is asked for, found one after the other, and errors that name them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from latcomp.errors import DamagedFileError, DeviceError, LatcompError, OutputError
from latcomp.output import is_write_failure, same_file
from latcomp.suffixes import LAT


@dataclass(frozen=True)
class LatSource:
    """One .lat file."""

    path: Path
    below: Path
    """The folder that its file belongs into, below that for the outputs."""


def lat_files(places: Iterable[Path], target: Path) -> Iterator[LatSource]:
    """The .lat files at some places; of a folder those of its tree, but what lies in `target`. Raises
    `DamagedFileError` for a place that is not there.
    """
    for place in places:
        if place.is_dir():
            yield from _below(place, target)
        elif place.exists():
            yield LatSource(place, Path())
        else:
            raise DamagedFileError(f"{place}: no such file or folder")


def _below(root: Path, target: Path) -> Iterator[LatSource]:
    waiting = [Path()]
    while waiting:
        below = waiting.pop()
        folders = []
        try:
            with os.scandir(root / below) as entries:
                for entry in entries:
                    if entry.name.startswith(".") and entry.name != ".precomputed":
                        continue
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(below / entry.name)
                    elif entry.name.lower().endswith(LAT) and entry.is_file():
                        yield LatSource(root / below / entry.name, below)
        except OSError as error:
            raise DamagedFileError(f"{root / below} cannot be read: {(error.strerror or str(error)).lower()}") from None
        waiting += [folder for folder in sorted(folders, reverse=True) if not same_file(root / folder, target)]


def named_error(error: Exception, path: Path) -> LatcompError:
    """An error over a .lat file as one of ours, which names it."""
    if isinstance(error, LatcompError):
        if str(path) not in str(error):
            error.args = (f"{path}: {error}",)
        return error
    if isinstance(error, OSError):
        kind: type[LatcompError] = OutputError if is_write_failure(error) else DamagedFileError
        return kind(f"{error.filename or path}: {(error.strerror or str(error)).lower()}")
    if isinstance(error, MemoryError):
        return DeviceError(f"{path} does not fit into memory: lower jobs", settings=("jobs",))
    if os.environ.get("LATCOMP_DEBUG") == "1":
        raise error
    return LatcompError(f"{path}: unexpected {type(error).__name__}: {error!s:.100}")
