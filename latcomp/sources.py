"""What a .lat file is read from, a path or a file object: how it is opened, and how messages call it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from latcomp.errors import DamagedFileError
from latcomp.output import spool


def source_name(source: object) -> str:
    """How messages call a source: its path, or 'the input stream'."""
    return str(source) if isinstance(source, str | Path) else "the input stream"


def unreadable(source: object, error: OSError) -> DamagedFileError:
    """What to raise for a source that the system does not let be read."""
    return DamagedFileError(f"{source_name(source)} cannot be read: {(error.strerror or str(error)).lower()}")


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
