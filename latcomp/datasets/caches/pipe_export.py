"""Folders of .lat files to caches of diffusion-pipe: a folder is one cache, its items are written in their order."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from latcomp.datasets.caches.cached_file import CachedFile, PipeItem
from latcomp.datasets.caches.lat_sources import LatSource, named_error
from latcomp.datasets.caches.outcome import DONE, FAILED, SKIPPED, CacheOutcome
from latcomp.datasets.caches.pipe_cache import DATABASE, ITEM_NAME, PipeWriter, blobs, shard_name
from latcomp.datasets.caches.pool import in_order
from latcomp.datasets.caches.store import describe_lat, load
from latcomp.errors import DamagedFileError, DeviceError, LatcompError, NotACacheError, OutputError, UsageError
from latcomp.output import output_file
from latcomp.suffixes import LAT

_DIGITS = len(ITEM_NAME.format(0))


@dataclass(frozen=True)
class _Made:
    """An item's bytes, or why there are none."""

    path: Path
    item: PipeItem | None = None
    data: bytes = b""
    facts: dict[str, Any] | None = None
    bytes_lat: int = 0
    error: LatcompError | None = None
    seconds: float = 0.0

    @property
    def shard(self) -> int:
        """Number of the shard it stood in; -1 for an item that could not be made."""
        return -1 if self.item is None else self.item.shard


def export_pipe(found: Iterator[LatSource], folder: Path, jobs: int) -> Iterator[CacheOutcome]:
    """Write a cache for each folder of items; what is no item fails. One item that is missing or damaged makes its
    cache fail: the trainer knows items by their numbers."""
    done = set()
    for source in found:
        if not _is_item(source.path):
            yield CacheOutcome(str(source.path), None, FAILED, _no_item(source.path))
        elif source.path.parent not in done:
            done.add(source.path.parent)
            yield from _cache(source.path.parent, folder / source.below, jobs)


def _is_item(path: Path) -> bool:
    return path.stem.isdecimal() and len(path.stem) == _DIGITS


def _place(lats: Path, index: int) -> Path:
    return lats / f"{ITEM_NAME.format(index)}{LAT}"


def _no_item(path: Path) -> LatcompError:
    """What to say of a file that is not named like an item."""
    try:
        index = _checked(describe_lat(path)[1], path)[1].index
    except LatcompError as error:
        return error
    return DamagedFileError(f"{path} is an item of a diffusion-pipe cache and must be named {_place(Path(), index)}")


def _checked(cached: CachedFile | None, path: Path) -> tuple[CachedFile, PipeItem]:
    """An item of a cache. Raises `UsageError` for anything else."""
    if cached is None or cached.item is None:
        raise UsageError(f"{path}: diffusion-pipe ties a cache to its data set: only its own can be made into it again")
    return cached, cached.item


def _cache(lats: Path, target: Path, jobs: int) -> Iterator[CacheOutcome]:
    """One cache. Its table appears when all of it is written; shards that are complete stay for the next run."""
    try:
        _, item = _checked(describe_lat(_place(lats, 0))[1], _place(lats, 0))
        if (target / DATABASE).exists():
            _check_present(target, item)
            yield from (_skipped(lats, target, index) for index in range(item.items))
            return
        target.mkdir(parents=True, exist_ok=True)
        writer = PipeWriter(target, item.fingerprint)
    except (LatcompError, OSError, sqlite3.Error) as error:
        yield CacheOutcome(str(lats), str(target), FAILED, _named(error, lats))
        return
    try:
        start = writer.items
        yield from (_skipped(lats, target, index) for index in range(start))
        tasks = (_place(lats, index) for index in range(start, item.items))
        with in_order(_make, tasks, jobs, _lost) as made:
            for _, shard in groupby(made, key=lambda one: one.shard):
                yield from _write(shard, target, writer, item)
        writer.finish()
    except (LatcompError, OSError, sqlite3.Error) as error:
        yield CacheOutcome(str(lats), str(target / DATABASE), FAILED, _named(error, lats))
    finally:
        writer.close()


def _named(error: Exception, lats: Path) -> LatcompError:
    return OutputError(f"{lats}: {error}") if isinstance(error, sqlite3.Error) else named_error(error, lats)


def _check_present(target: Path, item: PipeItem) -> None:
    """Raise `OutputError` unless the cache that is there already has these items."""
    try:
        first = next(blobs(target)).item
        same = (first.items, first.fingerprint) == (item.items, item.fingerprint)
    except (NotACacheError, StopIteration):
        same = False
    if not same:
        raise OutputError(f"{target / DATABASE} is of another cache: remove that, or give another folder")


def _skipped(lats: Path, target: Path, index: int) -> CacheOutcome:
    facts = {"format": "diffusion-pipe"}
    return CacheOutcome(str(_place(lats, index)), f"{target / DATABASE}#{index}", SKIPPED, facts=facts)


def _write(shard: Iterator[_Made], target: Path, writer: PipeWriter, wanted: PipeItem) -> Iterator[CacheOutcome]:
    """Write the items of one shard, and enter them when it is complete. Raises what an item could not be made for."""
    number = writer.next_shard
    path, outcomes = target / shard_name(number), []
    sizes: list[int] = []
    # one that the table does not know is of a run that was ended just before it was entered
    with output_file(path, force=writer.resumed) as temporary, temporary.open("wb") as file:
        for made in shard:
            if made.error is not None or made.item is None:
                raise made.error or LatcompError(f"{made.path}: no item")
            index = writer.items + len(sizes)
            item = made.item
            if (item.index, item.items, item.fingerprint) != (index, wanted.items, wanted.fingerprint):
                raise DamagedFileError(f"{made.path} is no item {index} of this cache")
            file.write(made.data)
            sizes.append(len(made.data))
            place, facts = f"{target / shard_name(number)}#{index}", made.facts or {}
            outcomes.append(
                CacheOutcome(str(made.path), place, DONE, None, made.bytes_lat, sizes[-1], facts, seconds=made.seconds)
            )
    writer.add_shard(number, sizes)
    yield from outcomes


def _make(path: Path) -> _Made:
    """An item's bytes as torch.save writes them."""
    began = time.monotonic()
    try:
        header, found, size = describe_lat(path)
        cached, item = _checked(found, path)
        (data,) = cached.whole(load(path, cached))
        said = header.latents or {}
        facts = {
            "format": "diffusion-pipe",
            "space": said.get("space"),
            "estimator": said.get("estimator"),
            "layout": cached.facts.layout.name,
            "dtype": cached.dtype,
            "architecture": said.get("architecture"),
            "shape": list(cached.shape),
        }
        return _Made(path, item, data, facts, size, seconds=time.monotonic() - began)
    except Exception as error:
        return _Made(path, error=named_error(error, path))


def _lost(path: Path, error: DeviceError) -> _Made:
    return _Made(path, error=error)
