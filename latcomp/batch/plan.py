"""Which videos of a folder tree become which .lat files, decided before anything is encoded."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from latcomp.errors import LatcompError, NotAVideoError, OutputError, UsageError
from latcomp.printable import counted
from latcomp.suffixes import LAT, PICTURE_SUFFIXES, PREVIEW_SUFFIXES, VIDEO_SUFFIXES

_KINDS = {"picture": PICTURE_SUFFIXES, "low-resolution preview": PREVIEW_SUFFIXES}
_SUFFIXES_SHOWN = 5

_Identity = tuple[int, int]  # device and inode: one folder has one, by whatever names it is reached


@dataclass(frozen=True)
class Task:
    """One file to encode."""

    index: int
    """Place in the order of source names, from 0."""
    name: str
    """The source's path below the source folder, as messages call it."""
    source: Path
    target: Path


@dataclass(frozen=True)
class Plan:
    """All of a batch, in the order of source names."""

    tasks: tuple[Task, ...]
    unreadable: tuple[tuple[Path, LatcompError], ...] = ()
    """Folders that could not be listed, and why."""
    notes: tuple[str, ...] = ()
    """What was left out, one line each."""


def make_plan(source: Path, target: Path, keep_suffix: bool = False) -> Plan:
    """The plan for a tree of videos below `source` and the same tree of .lat files below `target`.

    keep_suffix: a.mp4 becomes a.mp4.lat instead of a.lat. Hidden files and folders (also the temporary files of a run)
    are left out, and so is `target` where it lies below `source`. A link to a folder is followed unless that folder is
    in the tree already, so that links in a circle end. Raises `NotAVideoError` when there is no such folder or no video
    in it, `UsageError` when `source` is a file or two videos would become one file, `OutputError` when `target` is a
    file."""
    _check_folders(source, target)
    walk = _Walk(source, target)
    places = sorted(walk.videos(), key=lambda place: place.parts)
    tasks = []
    for index, place in enumerate(places):
        name = place.name + LAT if keep_suffix else place.stem + LAT
        tasks.append(Task(index, str(place), source / place, target / place.with_name(name)))
    if not tasks and not walk.unreadable:
        raise NotAVideoError(f"no video was found in {source}: {walk.what_was_found()}")
    _refuse_collisions(tasks)
    return Plan(tuple(tasks), tuple(walk.unreadable), (*walk.notes, *walk.left_out()))


def _check_folders(source: Path, target: Path) -> None:
    if not source.is_dir():
        if source.exists():
            raise UsageError(f"{source} is not a folder: latcomp encode takes a single file")
        raise NotAVideoError(f"{source}: no such folder")
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is not a folder: give the outputs a folder")


def _refuse_collisions(tasks: list[Task]) -> None:
    """Raise `UsageError` naming two videos that would become one file."""
    first: dict[Path, Task] = {}
    clashes = [(first[task.target], task) for task in tasks if first.setdefault(task.target, task) is not task]
    if clashes:
        one, other = clashes[0]
        more = f" (and {len(clashes) - 1} more such pairs)" if len(clashes) > 1 else ""
        raise UsageError(
            f"{one.name} and {other.name} would both become {one.target}{more}: rename one, or give keep_suffix=True, "
            f"which makes {Path(one.name).name}{LAT} and {Path(other.name).name}{LAT} of them",
            settings=("keep_suffix",),
        )


class _Walk:
    """Finds the videos of a tree, each folder once; says what it could not read or left out."""

    def __init__(self, source: Path, target: Path) -> None:
        self.unreadable: list[tuple[Path, LatcompError]] = []
        self.notes: list[str] = []
        self._source = source
        self._seen: set[_Identity] = set()
        self._others: Counter[str] = Counter()  # files that are not taken for videos, by suffix in lower case
        self._target = _identity(target) if target.is_dir() else None

    def videos(self) -> Iterator[Path]:
        """Paths of the videos below the source folder, relative to it."""
        links: list[Path] = []  # followed last: a folder keeps its own place in the tree, whatever links to it
        yield from self._below(Path(), links)
        while links:
            yield from self._below(links.pop(0), links)

    def what_was_found(self) -> str:
        """In words, what a folder without videos has."""
        if lats := self._others[LAT]:
            return f"it has {lats} .lat file{'s' if lats > 1 else ''}, which latcomp decode turns back into videos"
        if others := self._others.total():
            return f"none of its {others} file{'s' if others > 1 else ''} is named like one (.mp4, .mkv, .mov, ...)"
        return "it has no files" if not self.notes else self.notes[0]

    def left_out(self) -> Iterator[str]:
        """A line that counts the files which were not taken for videos, where there are any but .lat files."""
        kinds: dict[str, Counter[str]] = {}
        for suffix, count in self._others.items():
            if suffix != LAT:
                kind = next((word for word, suffixes in _KINDS.items() if suffix in suffixes), "other file")
                kinds.setdefault(kind, Counter())[suffix] += count
        if kinds:
            parts = [_others_counted(kind, kinds[kind]) for kind in (*_KINDS, "other file") if kind in kinds]
            yield f"left out, as not named like videos: {', '.join(parts)}"

    def _below(self, place: Path, links: list[Path]) -> Iterator[Path]:
        waiting = [place]
        while waiting:
            folder = waiting.pop()
            try:
                identity = _identity(self._source / folder)
                if identity in self._seen:
                    self.notes.append(
                        f"{self._source / folder} is left out: it links to a folder that is in the tree already"
                    )
                    continue
                if identity == self._target and folder != Path():
                    self.notes.append(f"{self._source / folder} is left out: the outputs go there")
                    continue
                self._seen.add(identity)
                with os.scandir(self._source / folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                reason = (error.strerror or str(error)).lower()
                self.unreadable.append(
                    (self._source / folder, NotAVideoError(f"{self._source / folder} cannot be read: {reason}"))
                )
                continue
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if _is_folder(entry):
                    (links if entry.is_symlink() else waiting).append(folder / entry.name)
                elif Path(entry.name).suffix.lower() in VIDEO_SUFFIXES and (entry.is_symlink() or entry.is_file()):
                    yield folder / entry.name
                elif _is_file(entry):
                    self._others[Path(entry.name).suffix.lower()] += 1


def _others_counted(kind: str, suffixes: Counter[str]) -> str:
    """Such as `3 pictures (.png, .webp)`."""
    count = suffixes.total()
    names = sorted(filter(None, suffixes))
    shown = ", ".join(names[:_SUFFIXES_SHOWN]) + (", ..." if len(names) > _SUFFIXES_SHOWN else "")
    return counted(count, kind) + (f" ({shown})" if shown else "")


def _identity(folder: Path) -> _Identity:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a file or links to one."""
    try:
        return entry.is_file()
    except OSError:
        return False


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or links to one; a link that leads nowhere or in a circle is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False
