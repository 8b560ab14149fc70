"""What a .lat file is read from, a path or a file object: how it is opened, and how messages call it."""

from __future__ import annotations

import io
import shutil
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from latcomp.errors import DamagedFileError
from latcomp.output import spool


def source_name(source: object) -> str:
    """How messages call a source: its path, or 'the input stream'."""
    return str(source) if isinstance(source, str | Path) else "the input stream"


def unreadable(source: object, error: OSError) -> DamagedFileError:
    """What to raise for a source that the system does not let be read."""
    return DamagedFileError(f"{source_name(source)} cannot be read: {(error.strerror or str(error)).lower()}")


class SharedFile:
    """A seekable binary file that several read at a time, also from several threads."""

    def __init__(self, file: BinaryIO) -> None:
        self._file, self._lock = file, threading.Lock()

    def view(self) -> BinaryIO:
        """The file from its beginning, with a place of its own; closing it leaves the file open."""
        return _View(self)  # type: ignore[return-value]

    def read_at(self, place: int, size: int) -> bytes:
        """At most `size` bytes from a place on."""
        with self._lock:
            self._file.seek(place)
            return self._file.read(size)

    def end(self) -> int:
        """Where the file ends."""
        with self._lock:
            return self._file.seek(0, io.SEEK_END)


class _View(io.RawIOBase):
    def __init__(self, shared: SharedFile) -> None:
        super().__init__()
        self._shared, self._place = shared, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._shared.read_at(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place}.get(whence)
        self._place = max(0, (self._shared.end() if start is None else start) + offset)
        return self._place

    def tell(self) -> int:
        return self._place


@contextmanager
def open_source(source: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """The bytes of a source; closes only what it opened. Raises `DamagedFileError` when it cannot be read."""
    if not isinstance(source, str | Path):
        yield source
        return
    try:
        file = Path(source).open("rb")
    except OSError as error:
        raise unreadable(source, error) from None
    with file:
        yield file


@contextmanager
def open_seekable(source: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """The bytes of a source from its beginning, for readers that go back.

    A stream that cannot go back, as a pipe, and one that does not stand at its beginning are copied to a temporary file
    first. Raises `DamagedFileError` when the source cannot be read."""
    with open_source(source) as file, ExitStack() as stack:
        try:
            if not (file.seekable() and file.tell() == 0):
                copy = stack.enter_context(spool())
                shutil.copyfileobj(file, copy)
                copy.seek(0)
                file = copy
        except OSError as error:
            raise unreadable(source, error) from None
        yield file
