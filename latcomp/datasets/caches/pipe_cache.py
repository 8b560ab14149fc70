"""Caches of diffusion-pipe: a table of items in metadata.db (sqlite), and their bytes one after the other in shards."""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from latcomp.datasets.caches.cached_file import PipeItem
from latcomp.errors import NotACacheError

DATABASE = "metadata.db"
ITEM_NAME = "{:08d}"
"""Name of an item's .lat file, without its suffix."""


@dataclass(frozen=True)
class Blob:
    """Where an item's bytes are."""

    item: PipeItem
    shard: Path
    offset: int
    size: int


def shard_name(number: int) -> str:
    """Name of a shard's file."""
    return f"shard_{number}.bin"


def blobs(folder: Path) -> Iterator[Blob]:
    """The items of a cache in their order. Raises `NotACacheError` when the table is damaged, cut off, or names bytes
    that are not there.
    """
    database = folder / DATABASE
    try:
        address = f"file:{quote(str(database.absolute()))}?mode=ro&immutable=1"
        with closing(sqlite3.connect(address, uri=True)) as connection:
            connection.text_factory = lambda text: text.decode("utf-8", "replace")
            connection.execute("PRAGMA trusted_schema = OFF")
            yield from _rows(connection, folder)
    except (sqlite3.Error, ValueError, OverflowError, MemoryError) as error:  # names of damaged tables are no UTF-8
        raise NotACacheError(f"{database} is damaged, or no table of a diffusion-pipe cache: {error}") from None


def _rows(connection: sqlite3.Connection, folder: Path) -> Iterator[Blob]:
    database = folder / DATABASE
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if not {"fingerprint", "items"} <= tables:
        raise NotACacheError(f"{database} is no table of a diffusion-pipe cache")
    row = connection.execute("SELECT value FROM fingerprint").fetchone()
    fingerprint = row[0] if row else ""
    if not isinstance(fingerprint, str):
        raise NotACacheError(f"{database} has a fingerprint that is no text")
    (count,) = connection.execute("SELECT count(*) FROM items").fetchone()
    places: dict[int, tuple[Path, int, array[int]]] = {}
    for index, (shard, number) in enumerate(connection.execute("SELECT shard, shard_index FROM items ORDER BY rowid")):
        if type(shard) is not int or type(number) is not int:
            raise NotACacheError(f"{database} is damaged: item {index} has no place")
        if shard not in places:
            places[shard] = _shard(connection, folder, shard, tables)
        path, end, numbers = places[shard]
        if not 0 <= 2 * number < len(numbers):
            raise NotACacheError(f"{database} is damaged: item {index} is number {number} of {path.name}, which ends")
        offset, size = numbers[2 * number], numbers[2 * number + 1]
        if offset < 0 or size < 0 or offset + size > end:
            raise NotACacheError(f"{path} is cut off: item {index} ends at byte {offset + size} of {end}")
        yield Blob(PipeItem(index, count, fingerprint, shard), path, offset, size)


def _shard(connection: sqlite3.Connection, folder: Path, shard: int, tables: set[str]) -> tuple[Path, int, array[int]]:
    """(file, its bytes, offset and size of each of its items in turn)."""
    path = folder / shard_name(shard)
    table = f"shard_{shard:d}"
    if table not in tables or not path.is_file():
        raise NotACacheError(f"{path} is missing")
    numbers = array("q")
    try:
        for row in connection.execute(f"SELECT offset, size FROM {table} ORDER BY rowid"):
            numbers.extend(row)
    except (TypeError, OverflowError):
        raise NotACacheError(f"{folder / DATABASE} is damaged: the places in {path.name} are no numbers") from None
    return path, path.stat().st_size, numbers


class PipeWriter:
    """Writes the table of a cache: items in their order, shard by shard; it is complete when `finish` returns.

    Until then the table is a hidden file beside its place, and what it holds of finished shards is found again by a
    later run."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._part = folder / f".{DATABASE}.part"
        self.resumed = self._part.exists()
        """Whether a run before began this cache."""
        self._connection = sqlite3.connect(self._part)
        for table in ("fingerprint(value)", "items(shard, shard_index)"):
            self._connection.execute(f"CREATE TABLE IF NOT EXISTS {table}")
        found = self._connection.execute("SELECT value FROM fingerprint").fetchone()
        if found is not None and found[0] != fingerprint:
            self.close()
            self._part.unlink()
            raise NotACacheError(f"{folder} held a part of another cache, which was removed: run this again")
        if found is None:
            self._connection.execute("INSERT INTO fingerprint VALUES(?)", (fingerprint,))
        self._connection.commit()

    @property
    def items(self) -> int:
        """How many items stand in finished shards."""
        (count,) = self._connection.execute("SELECT count(*) FROM items").fetchone()
        return int(count)

    @property
    def next_shard(self) -> int:
        """Number of the next shard."""
        (last,) = self._connection.execute("SELECT max(shard) FROM items").fetchone()
        return 0 if last is None else int(last) + 1

    def add_shard(self, shard: int, sizes: list[int]) -> None:
        """Enter a shard whose file is complete, with the bytes of each of its items."""
        with self._connection:
            self._connection.execute(f"CREATE TABLE shard_{shard:d}(offset, size)")
            offset = 0
            for number, size in enumerate(sizes):
                self._connection.execute("INSERT INTO items VALUES(?, ?)", (shard, number))
                self._connection.execute(f"INSERT INTO shard_{shard:d} VALUES(?, ?)", (offset, size))
                offset += size

    def finish(self) -> None:
        """Give the table its name."""
        self.close()
        self._part.replace(self._folder / DATABASE)

    def close(self) -> None:
        """Close the table; what is entered stays."""
        self._connection.close()
        journal = self._part.with_name(f"{self._part.name}-journal")
        journal.unlink(missing_ok=True)
