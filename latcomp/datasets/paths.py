"""Which .lat files a data set consists of: files, folders, globs and lists of them, each with its key. No torch."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import overload

import numpy as np

from latcomp.errors import UsageError
from latcomp.suffixes import LAT

LISTS = (".txt", ".list")
"""Suffixes of files that name others, one a line."""
_MAGIC = frozenset("*?[")


class Texts(Sequence[str]):
    """Texts that do not change, in two buffers.

    A list of a million objects is copied page by page in every worker that is forked, as soon as it looks at them, and
    takes seconds to pickle for one that is spawned; two buffers do neither."""

    def __init__(self, texts: Iterable[str]) -> None:
        parts = [os.fsencode(text) for text in texts]
        self._bytes = b"".join(parts)
        self._ends = np.fromiter(accumulate(map(len, parts)), np.int64, len(parts))

    def __len__(self) -> int:
        return len(self._ends)

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[str]: ...
    def __getitem__(self, index: int | slice) -> str | Sequence[str]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        at = range(len(self))[index]  # raises IndexError
        start = int(self._ends[at - 1]) if at else 0
        return os.fsdecode(self._bytes[start : int(self._ends[at])])


def find_files(paths: str | Path | Iterable[str | Path]) -> list[tuple[Path, str]]:
    """(path, key) of the .lat files that paths stand for, in the order given, those of a folder or glob in order of
    names, none twice.

    A path is a .lat file; a folder, searched with its subfolders, linked ones too, hidden ones left out; a glob, in
    which ** stands for any folders; or a list, a .txt or .list file with a path a line, relative to itself (empty lines
    and those that begin with # are left out). The key is the file's path without .lat, below the folder, or below the
    part of a glob that has no wildcards; for a file that was named it is the path as it was given.

    Raises `UsageError` for a path that is none of these, that stands for no file, or of which two keys are the same."""
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    found: dict[Path, str] = {}
    for path in given:
        if not isinstance(path, str | Path):
            raise UsageError(f"paths: {path!r:.60} is not a path: give files, folders, globs or lists of files")
        for file, key in _files_of(Path(path)):
            found.setdefault(file, key)
    if not found:
        raise UsageError("paths: none was given")
    owners: dict[str, Path] = {}
    for file, key in found.items():
        if owners.setdefault(key, file) is not file:
            raise UsageError(
                f"{owners[key]} and {file} would both have the key {key!r}: give a folder, or a glob, above both"
            )
    return list(found.items())


def _files_of(path: Path) -> Iterator[tuple[Path, str]]:
    """(path, key) of the files that one path stands for."""
    if path.is_dir():
        below = sorted(_below(path))
        if not below:
            raise UsageError(f"{path} holds no {LAT} files")
        yield from ((each, _key(each, path)) for each in below)
    elif path.is_file():
        if path.suffix.lower() in LISTS:
            yield from _listed(path)
        else:
            yield path, _key(path)
    elif _MAGIC & set(str(path)):
        base = Path(*_fixed(path.parts))
        matched = sorted(Path(each) for each in glob.glob(str(path), recursive=True))  # noqa: PTH207
        matched = [each for each in matched if each.suffix.lower() == LAT and each.is_file()]
        if not matched:
            raise UsageError(f"{path} matches no {LAT} files")
        yield from ((each, _key(each, base)) for each in matched)
    else:
        raise UsageError(f"{path}: no such file or folder")


def _listed(path: Path) -> Iterator[tuple[Path, str]]:
    """The files that a list names, each keyed by what stands there."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read as a list of files: {error}") from None
    for line in (line.strip() for line in lines):
        if line and not line.startswith("#"):
            file = path.parent / line
            if not file.is_file():
                raise UsageError(f"{path} names {line}, which is no file")
            yield file, _key(Path(line))


def _fixed(parts: Sequence[str]) -> Iterator[str]:
    """The first parts of a glob, up to the first with a wildcard."""
    for part in parts:
        if _MAGIC & set(part):
            return
        yield part


def _below(folder: Path) -> Iterator[Path]:
    """The .lat files in a folder and its subfolders, links to folders followed, each folder once; hidden ones, as the
    temporary files of a run are, left out."""
    seen: set[tuple[int, int]] = set()
    for root, folders, names in os.walk(folder, followlinks=True):
        found = os.stat(root)  # noqa: PTH116
        if (found.st_dev, found.st_ino) in seen:
            folders.clear()
            continue
        seen.add((found.st_dev, found.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            file = Path(root, name)
            if not name.startswith(".") and file.suffix.lower() == LAT and file.is_file():
                yield file


def _key(file: Path, base: Path | None = None) -> str:
    """The path of a file, below a folder where one is given, without .lat."""
    below = file if base is None else file.relative_to(base)
    return below.with_suffix("").as_posix() if below.suffix.lower() == LAT else below.as_posix()
