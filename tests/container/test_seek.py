"""Segments are found by frame and by time."""

from __future__ import annotations

import io

import pytest

from latcomp.container import AudioChunk, Group, LostGroups, Reader
from latcomp.errors import UsageError
from tests.container.make import groups, header, same_group, written


@pytest.fixture(scope="module")
def film() -> tuple[bytes, list[Group]]:
    """Seven groups in segments of two."""
    of = header()
    made = groups(of, 7, last_frames=9)
    return written(of, made), made


def test_index(film) -> None:
    """The index names each segment's first group, frame and time, and the frames of the file are known before
    reading.
    """
    data, made = film
    reader = Reader(io.BytesIO(data))
    assert reader.index is not None
    assert [(e.group, e.first_frame, e.first_pts) for e in reader.index] == [
        (g.index, g.first_frame, g.pts[0]) for g in made if g.key
    ]
    assert reader.frames_total == 6 * 32 + 9
    assert len(list(reader)) == 14  # looking at the index did not move the reader


@pytest.mark.parametrize("frame", [0, 31, 63, 64, 100, 192, 200, 10_000])
def test_by_frame(film, frame: int) -> None:
    """From the segment that holds a frame to the end, audio in front of the segment included, without damage."""
    data, made = film
    reader = Reader(io.BytesIO(data))
    entry = reader.seek_segment(frame)
    items = list(reader)
    first = min(frame, 200) // 64 * 2
    assert entry is not None and entry.group == first
    assert isinstance(items[0], AudioChunk)
    assert all(same_group(*pair) for pair in zip(made[first:], items[1::2], strict=True))
    assert reader.damage == []


def test_by_time(film) -> None:
    """A time finds the segment that holds it; times before and behind find the first and the last."""
    reader = Reader(io.BytesIO(film[0]))
    starts = [reader.seek_seconds(seconds) for seconds in (-5, 0, 2.55, 2.56, 1e9)]
    assert [entry.group for entry in starts if entry] == [0, 0, 0, 2, 6]
    with pytest.raises(UsageError):
        reader.seek_seconds(float("nan"))


def test_a_segment_that_is_lost_keeps_its_time(film) -> None:
    """The last segment, of one damaged group: its frames lie where the index has them, not at the beginning."""
    data, made = film
    at = data.rindex(b"GRUP") + 50
    reader = Reader(io.BytesIO(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]))
    entry = reader.seek_seconds(1e9)
    (lost,) = (item for item in reader if isinstance(item, LostGroups))
    assert entry is not None and made[6].key
    assert (
        (lost.first_frame, lost.pts[0]) == (entry.first_frame, entry.first_pts) == (made[6].first_frame, made[6].pts[0])
    )


def test_without_index(film) -> None:
    """A file cut before its index can still be read from the start."""
    data, _ = film
    reader = Reader(io.BytesIO(data[:-60]))
    assert reader.index is None and reader.seek_segment(100) is None and reader.frames_total is None
    assert sum(isinstance(item, Group) for item in reader) == 7
