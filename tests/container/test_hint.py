"""An index is a hint: whatever it claims under a right checksum, the groups that a time or a frame asks for are
found.
"""

from __future__ import annotations

import io
from dataclasses import replace

import pytest

from latcomp.container import Group, IndexEntry, LostGroups, Reader, check
from latcomp.container.format import END
from latcomp.container.index import pack_index
from tests.container.make import groups, header, same_group, written
from tests.fuzz.seal import sealed, split_chunks, split_front

MADE = groups(header(), 7, last_frames=9)  # segments of two groups, 64 frames or 32768 units of time each
DATA = written(header(), MADE)
FRONT, REST = split_front(DATA)
CHUNKS = split_chunks(REST)
TRUE = Reader(io.BytesIO(DATA)).index or ()


def with_index(entries: list[IndexEntry]) -> bytes:
    """The file with another index, which the end marker points at."""
    body = b"".join(sealed(*chunk) for chunk in CHUNKS[:-2])
    end = END.pack(**{**END.unpack(CHUNKS[-1][1]), "index_offset": len(FRONT) + len(body)})
    return FRONT + body + sealed(b"INDX", pack_index(entries)) + sealed(b"ENDF", end)


def changed(**changes: int) -> list[IndexEntry]:
    """The true entries, with something added to some of their numbers."""
    return [replace(entry, **{name: getattr(entry, name) + more for name, more in changes.items()}) for entry in TRUE]


LIES = {
    "times": changed(first_pts=1 << 40),
    "times the other way": changed(first_pts=-(1 << 40)),
    "times of the second": [TRUE[0], replace(TRUE[1], first_pts=5), *TRUE[2:]],
    "frames": changed(first_frame=7),
    "groups": changed(group=1),
    "places": changed(offset=9),
    "a place behind the file": [*TRUE[:3], replace(TRUE[3], offset=1 << 50)],
    "the place of another": [
        TRUE[0],
        *(replace(entry, offset=other.offset) for entry, other in zip(TRUE[1:3], TRUE[2:], strict=True)),
    ],
    "segments that are not there": [TRUE[0], replace(TRUE[1], group=3, first_frame=96, first_pts=512 * 96), *TRUE[2:]],
    "nothing": [],
    "too few": list(TRUE[:1]),
}


@pytest.mark.parametrize("lie", LIES)
@pytest.mark.parametrize("frame", [0, 70, 130, 200])
def test_what_is_asked_for_is_found(lie: str, frame: int) -> None:
    """By frame and by time; nothing is lost, nothing is wrong, and `check` says that the index lies."""
    data = with_index(LIES[lie])
    assert [str(problem) for problem in check(io.BytesIO(data))] == ["the index does not fit the file"]
    for seek in (lambda reader: reader.seek_segment(frame), lambda reader: reader.seek_seconds(frame / 25)):
        reader = Reader(io.BytesIO(data))
        assert reader.first_pts == 0
        seek(reader)
        items = [item for item in reader if isinstance(item, Group | LostGroups)]
        assert all(isinstance(item, Group) and same_group(item, MADE[item.index]) for item in items)
        assert items[0].first_frame <= frame < items[-1].first_frame + len(items[-1].pts)
        assert all(str(problem) == "the index does not fit the file" for problem in reader.damage)


def test_an_index_that_the_end_marker_does_not_point_at() -> None:
    """Damage, as every count that is wrong; reading starts at the front then."""
    end = END.unpack(CHUNKS[-1][1])
    data = DATA[: -END.size - 12] + sealed(b"ENDF", END.pack(**{**end, "index_offset": end["index_offset"] - 1}))
    assert "it is not there" in str(check(io.BytesIO(data))[0])
    reader = Reader(io.BytesIO(data))
    assert reader.index is None and reader.seek_segment(70) is None
    assert sum(isinstance(item, Group) for item in reader) == 7


def test_damage_where_a_segment_starts_is_no_lie_of_the_index() -> None:
    """The index is believed where the file is damaged: what was lost keeps its numbers."""
    data = bytearray(DATA)
    data[DATA.index(b"GRUP", TRUE[1].offset) + 60] ^= 1
    reader = Reader(io.BytesIO(bytes(data)))
    assert reader.seek_segment(70) == TRUE[1]
    lost = [item for item in reader if isinstance(item, LostGroups)]
    assert [(item.first_frame, item.frames) for item in lost] == [(64, 64)]
    assert all("index" not in str(problem) for problem in reader.damage)


def test_the_first_time_is_that_of_the_first_group() -> None:
    """From the group itself, from the index where the group is damaged, not at all where both are."""
    first = len(FRONT)
    damaged = bytearray(DATA)
    at = DATA.index(b"GRUP", first)
    damaged[at + 60] ^= 1
    assert Reader(io.BytesIO(with_index(LIES["times"]))).first_pts == 0
    assert Reader(io.BytesIO(bytes(damaged))).first_pts == 0
    assert Reader(io.BytesIO(bytes(damaged)[:-60])).first_pts is None
