"""Frame times that make no sense are damage, whatever wrote them; all frames still come, each with a time of its
own.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container import Group, LostGroups, Reader, Writer, check, repair
from latcomp.container.clock import FrameClock
from latcomp.container.coding import coder_for
from latcomp.container.group import pack_group
from latcomp.container.header import Header, pack_header
from latcomp.container.times import PTS_MAX, PTS_MIN
from latcomp.container.writer import ChunkWriter
from latcomp.errors import UsageError
from latcomp.limits import SECONDS_MAX
from tests.container.make import groups, header

UNIT = 512
GROUP = 4
OF = header(group_latent_frames=1, audio=[])
SECONDS = 12800


def group(index: int, pts: list[int]) -> Group:
    """A key group of one latent frame, its four frames at these times."""
    made = groups(OF, 1, last_frames=GROUP)[0]
    return Group(index, True, GROUP * index, np.array(pts, np.int64), made.mask, made.tokens, "hold")


def sealed(times: list[list[int]], of: Header = OF, numbers: Sequence[int] = range(99)) -> bytes:
    """A file whose checksums are all right, of groups with these times and numbers."""
    out = io.BytesIO()
    chunks = ChunkWriter(out, pack_header(of))
    for index, pts in zip(numbers, times, strict=False):
        payload = pack_group(group(index, pts), of, coder_for(of))[0]
        chunks.groups, chunks.frames = index, GROUP * index
        chunks.put_group(payload, True, pts[0], GROUP)
    chunks.put_end()
    return out.getvalue()


def times_of(data: bytes) -> list[int]:
    return [int(time) for item in Reader(io.BytesIO(data)) if isinstance(item, Group | LostGroups) for time in item.pts]


def line(first: int, step: int = UNIT) -> list[int]:
    return [first + step * place for place in range(GROUP)]


@pytest.mark.parametrize(
    ("times", "wanted"),
    [
        ([line(100_000), line(0)], line(100_000) + line(100_000 + 4 * UNIT)),
        ([line(0), line(3 * UNIT)], line(0) + line(4 * UNIT)),
        ([line(0), line(0, 100)], line(0) + line(4 * UNIT, 100)),
        ([line(8000, -1000)], line(8000)),
        ([[5, 5, 5, 5]], line(5)),
        ([line(0), [2048, 2048, 2100, 2200], line(9000)], line(0) + line(2048) + line(9000)),
        ([line(0), line(PTS_MAX - 3 * UNIT)], line(0) + line(4 * UNIT)),
        ([[PTS_MIN, -1, 0, PTS_MAX]], line(-SECONDS_MAX * SECONDS)),
        ([line(SECONDS_MAX * SECONDS + 1)], line(SECONDS_MAX * SECONDS, 1)),
    ],
)
def test_times_that_make_no_sense_are_damage_and_no_frame_is_lost(times: list[list[int]], wanted: list[int]) -> None:
    data = sealed(times)
    problems = check(io.BytesIO(data))
    assert len(problems) == 1
    assert "times that make no sense" in str(problems[0])
    assert times_of(data) == wanted


def test_a_repaired_file_has_times_that_make_sense() -> None:
    out = io.BytesIO()
    done = repair(io.BytesIO(sealed([line(100_000), line(0), line(50)])), out)
    assert (done.frames, done.frames_lost, len(done.problems)) == (12, 0, 2)
    assert check(io.BytesIO(out.getvalue())) == []
    assert times_of(out.getvalue()) == line(100_000) + line(100_000 + 4 * UNIT) + line(100_000 + 8 * UNIT)


def test_too_little_time_for_the_frames_that_are_lost() -> None:
    """Twenty frames cannot have been shown in three units, so what comes behind them has a wrong time."""
    found = times_of(sealed([line(0, 1), line(6, 1)], numbers=(0, 6)))
    assert len(found) == 28
    assert all(later > earlier for earlier, later in pairwise(found))


@pytest.mark.parametrize("rate", [None, (1, 2**31 - 1), (2**31 - 1, 1)])
@pytest.mark.parametrize("unit", [(1, 2**31 - 1), (2**31 - 1, 1)])
@pytest.mark.parametrize("begin", [0, PTS_MAX - 4, PTS_MIN])
def test_any_unit_and_rate(rate: tuple[int, int] | None, unit: tuple[int, int], begin: int) -> None:
    """Frames are lost before a group of any time: theirs rise towards it, and stay in 64 bits."""
    of = header(group_latent_frames=1, audio=[], time_base=unit, average_rate=rate)
    data = sealed([line(begin, 1)], of, numbers=[100])
    found = times_of(data)
    assert len(found) == 404
    assert all(later > earlier for earlier, later in pairwise(found))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.lists(st.integers(PTS_MIN, PTS_MAX), min_size=1, max_size=9)), max_size=5)
)
def test_whatever_comes_in_rises_and_what_rises_stays(parts: list[tuple[int, list[int]]]) -> None:
    clock, again, frame, found = FrameClock(OF), FrameClock(OF), 0, []
    for lost, pts in parts:
        frame += lost
        times, wrong = clock.follow(frame, np.array(pts, np.int64))
        assert wrong is not None or times.tolist() == pts
        assert again.follow(frame, times)[1] is None or max(times.tolist()) > clock.bound
        found += times.tolist()
        frame += len(pts)
    assert all(later > earlier for earlier, later in pairwise(found))


def test_nobody_writes_such_times() -> None:
    with Writer(io.BytesIO(), OF) as writer:
        writer.write_group(group(0, line(0)))
        with pytest.raises(UsageError, match="group 1 has times that make no sense"):
            writer.write_group(group(1, line(0)))
