"""What a cache consists of, found one after the other: files that may hold latents, and the items of databases."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from latcomp.datasets.caches.pipe_cache import DATABASE, ITEM_NAME, Blob, blobs
from latcomp.errors import LatcompError, NotACacheError
from latcomp.suffixes import LAT

_SUFFIXES = frozenset({".safetensors", ".latent", ".pt", ".pth"})
_TEXT_ENCODERS = "_te.safetensors"  # musubi-tuner's, of which a folder of latents is full
_TEXT_FOLDERS = "text_embeddings"  # what diffusion-pipe calls those of its databases
_PRECOMPUTED = ".precomputed"  # the LTX trainer's folder


@dataclass(frozen=True)
class Source:
    """One file or item that may hold latents."""

    name: str
    """Path below the cache, as messages call it; of an item that of its table with the number."""
    path: Path
    """The file; of an item its shard."""
    target: Path
    """Where its .lat file belongs, below the folder for the outputs."""
    blob: Blob | None = None
    architecture: str | None = None
    """Of an item's model, from the folder's name."""


class Cache:
    """Finds what a cache consists of; `sources` gives it without holding all of it.

    Raises `NotACacheError` when there is no such file or folder."""

    def __init__(self, place: Path, target: Path) -> None:
        self._place, self._target = place, target
        self.left_out: Counter[str] = Counter()
        """Files that cannot hold latents, by suffix, as far as was looked."""
        self.unreadable: list[tuple[str, LatcompError]] = []
        """Folders that could not be listed and tables that could not be read to their end."""
        if not place.exists():
            raise NotACacheError(f"{place}: no such file or folder")

    def sources(self) -> Iterator[Source]:
        """All of the cache; folders in the order of their names, their files as the system lists them."""
        if self._place.is_file():
            if self._place.name == DATABASE:
                yield from self._items(self._place.parent, Path())
            else:
                yield Source(str(self._place), self._place, Path(self._place.name + LAT))
            return
        waiting = [Path()]
        outputs = _identity(self._target)
        seen = set()
        while waiting:
            below = waiting.pop()
            try:
                folder = self._place / below
                identity = _identity(folder)
                if identity in seen or (identity == outputs and below != Path()):
                    continue
                seen.add(identity)
                yield from self._folder(folder, below, waiting)
            except OSError as error:
                why = (error.strerror or str(error)).lower()
                self.unreadable.append((str(folder), NotACacheError(f"{folder} cannot be read: {why}")))

    def _folder(self, folder: Path, below: Path, waiting: list[Path]) -> Iterator[Source]:
        """What a folder holds itself; its own folders are put on the list of those that wait."""
        folders = []
        table = (folder / DATABASE).is_file()
        with os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if name.startswith(".") and name != _PRECOMPUTED:
                    continue
                if entry.is_dir():
                    folders.append(below / name)
                elif Path(name).suffix.lower() in _SUFFIXES and not name.endswith(_TEXT_ENCODERS):
                    yield Source(str(below / name), folder / name, below / (name + LAT))
                elif not (table and (name == DATABASE or name.startswith("shard_"))):
                    self.left_out[_TEXT_ENCODERS if name.endswith(_TEXT_ENCODERS) else Path(name).suffix.lower()] += 1
        if table and folder.name.startswith(_TEXT_FOLDERS):
            self.left_out[DATABASE] += 1
        elif table:
            yield from self._items(folder, below)
        waiting += sorted(folders, reverse=True)

    def _items(self, folder: Path, below: Path) -> Iterator[Source]:
        architecture = _architecture(folder)
        try:
            for blob in blobs(folder):
                name = ITEM_NAME.format(blob.item.index)
                yield Source(str(below / DATABASE / name), blob.shard, below / (name + LAT), blob, architecture)
        except NotACacheError as error:
            self.unreadable.append((str(folder / DATABASE), error))


def _architecture(folder: Path) -> str | None:
    """The model's name, for which diffusion-pipe's folders are called: cache/MODEL/cache_WxHxF/latents."""
    parts = folder.absolute().parts
    return parts[-3] if len(parts) >= 3 and parts[-2].startswith("cache_") else None


def _identity(folder: Path) -> tuple[int, int] | None:
    """Device and inode; None for what is not there."""
    try:
        status = folder.stat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
