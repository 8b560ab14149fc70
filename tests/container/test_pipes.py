"""Files go through pipes: short reads, partial writes, no seeking."""

from __future__ import annotations

import io
import os
import threading

import pytest

from latcomp.container import Reader, Writer, scan
from tests.container.make import Trickle, groups, header, same_group, written


@pytest.mark.parametrize("step", [1, 7, 4096])
def test_short_reads(step: int) -> None:
    """A source that gives a byte at a time gives the same groups."""
    of = header()
    made = groups(of, 3)
    data = written(of, made)
    reader = Reader(Trickle(data, step))
    assert reader.index is None and reader.frames_total is None and reader.seek_seconds(0) is None
    items = list(reader)
    assert all(same_group(*pair) for pair in zip(made, items[1::2], strict=True))
    assert reader.damage == []
    assert reader.frames_total == 96
    assert scan(Trickle(data, step)).bytes_total == len(data)


class Sink(io.RawIOBase):
    """A pipe that takes at most three bytes at a time."""

    def __init__(self) -> None:
        self.data = b""

    def writable(self) -> bool:
        return True

    def write(self, piece) -> int:  # type: ignore[no-untyped-def]
        taken = bytes(piece[:3])
        self.data += taken
        return len(taken)


def test_partial_writes() -> None:
    """A sink that takes less than it is given gets every byte, in order."""
    of = header()
    made = groups(of, 2)
    sink = Sink()
    with Writer(sink, of) as writer:
        for group in made:
            writer.write_group(group)
    assert sink.data == written(of, made, sound=False)


def test_operating_system_pipe() -> None:
    """Written into a real pipe and read from it at the same time."""
    of = header()
    made = groups(of, 4)
    front, back = os.pipe()

    def write() -> None:
        with os.fdopen(back, "wb", buffering=0) as sink, Writer(sink, of) as writer:
            for group in made:
                writer.write_group(group)

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(front, "rb", buffering=0) as source:
        items = list(Reader(source))
    thread.join()
    assert all(same_group(*pair) for pair in zip(made, items, strict=True))


def test_not_at_the_start() -> None:
    """A file object that stands behind other bytes is read from there on, and not sought in."""
    of = header()
    data = written(of, groups(of, 3))
    source = io.BytesIO(b"junk" + data)
    source.seek(4)
    reader = Reader(source)
    assert reader.seek_seconds(1.0) is None
    assert len(list(reader)) == 6 and reader.damage == []
