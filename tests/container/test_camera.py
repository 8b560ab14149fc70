"""Protects files whose groups have camera offsets: what is written comes back, what may not be written is refused, and
a group without offsets is where the world's corner is."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container import Group, Limits, Reader, Writer, check, repair, scan
from latcomp.container.offsets import OFFSET_MOST, decode_offsets, encode_offsets, world_most
from latcomp.container.varint import VarintReader
from latcomp.errors import DamagedFileError, LimitError, UsageError
from latcomp.latents import Box, FrameView, GroupView
from tests.container.make import groups, in_units, prior, reader_under, same_group, sized, under, written
from tests.container.make_camera import PATHS, camera_groups, moving

OF = moving(4, 5, 3, group_latent_frames=3)
NUMBERS = st.integers(-OFFSET_MOST, OFFSET_MOST)


def read(data: bytes) -> list[Group]:
    reader = Reader(io.BytesIO(data))
    found = [item for item in reader if isinstance(item, Group)]
    assert not reader.damage
    return found


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=9), st.integers(1, 4))
def test_offsets_come_back(corners: list[tuple[int, int]], many: int) -> None:
    found = np.array(corners, np.int64).repeat(many, axis=0)
    data = encode_offsets(found) + b"times"
    numbers = VarintReader(data, "offsets")
    assert decode_offsets(numbers, len(found)).tolist() == found.tolist()
    assert data[numbers.offset :] == b"times"


def test_a_steady_camera_costs_a_few_bytes() -> None:
    """However many frames it has."""
    for step in (0, 1, 63):
        assert len(encode_offsets(np.arange(9000)[:, None] * [step, -step])) == 6
    assert len(encode_offsets(np.zeros((1, 2), np.int64))) == 2


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (b"", "ends"),
        (b"\0\0", "ends"),
        (b"\0\0\x03\0", "ends"),
        (b"\0\0\0\0\0", "0 of 4|1 of 4"),
        (b"\0\0\x04\0\0", "5 of 4"),
        (b"\0\0\x02\0\0\x02\0\0", "5 of 4"),
        (b"\xfe\xff\xff\xff\x10\0", "31 bits"),
        (b"\0\0\x03\xfe\xff\xff\xff\x07\0", "31 bits"),
        (b"\0\0\x01" + b"\xff" * 9 + b"\x7f\0", "31 bits"),
        (b"\0\0\x01" + b"\xff" * 10 + b"\x7f\0", "more than 10 bytes"),
    ],
)
def test_offsets_that_are_none_are_damage(data: bytes, word: str) -> None:
    with pytest.raises(DamagedFileError, match=f"camera offsets: .*({word})"):
        decode_offsets(VarintReader(data, "camera offsets"), 4)


@pytest.mark.parametrize("coding", ["context", "zstd", "prior", "prior zstd", "lossless"])
@pytest.mark.parametrize("path", PATHS)
def test_groups_come_back(path: str, coding: str) -> None:
    """On every path of the camera and in every coding, with a short last group of a single frame."""
    by = prior(3)
    of = replace(OF, coding="lossless" if coding == "lossless" else "int")
    made = camera_groups(of, 5, PATHS[path], 7, 1, origin=(2**30, -(2**30)))
    if coding.startswith("prior"):
        of = under(of, by)
        made = in_units(of, made)
    data = written(of, made, prior=by if of.prior else None, coding="zstd" if coding.endswith("zstd") else "context")
    found = [item for item in reader_under(data, by) if isinstance(item, Group)]
    assert all(same_group(*pair) for pair in zip(made, found, strict=True))
    summary = scan(io.BytesIO(data))
    assert summary.tokens_total == sum(group.view.count for group in made)
    assert summary.tokens_kept == sum(len(group.tokens) for group in made)
    assert check(io.BytesIO(data), find_prior=lambda name, sha256: by) == []


def test_a_group_without_offsets_is_at_the_corner() -> None:
    """It remembers what others saw there, and they what it saw: with offsets of zero the tokens are the same bytes."""
    made = camera_groups(OF, 4, PATHS["shake"], without=(1, 2))
    data = written(OF, made)
    assert [group.offsets is None for group in read(data)] == [False, True, True, False]
    said = [
        replace(group, offsets=np.zeros((len(group.pts), 2), np.int64)) if group.offsets is None else group
        for group in made
    ]
    assert len(written(OF, said)) == len(data) + 2 * 5
    assert [group.tokens.tolist() for group in read(written(OF, said))] == [group.tokens.tolist() for group in made]


def test_a_file_without_camera_motion_may_require_it() -> None:
    """And holds the same bytes behind its header as one that does not."""
    plain = sized(4, 5, 3, group_latent_frames=3)
    made = groups(plain, 3)
    here, there = written(plain, made, sound=False), written(OF, made, sound=False)
    groups_only = [data[data.index(b"GRUP") : data.index(b"INDX")] for data in (here, there)]
    assert groups_only[0] == groups_only[1]
    with pytest.raises(UsageError, match="requires `camera`"):
        written(plain, camera_groups(OF, 1, PATHS["still"]))


def test_offsets_that_may_not_be_written_are_refused() -> None:
    (group,) = camera_groups(OF, 1, PATHS["still"])
    assert group.offsets is not None
    for wrong in (group.offsets.astype(np.int32), group.offsets[1:], group.offsets[:, :1], group.offsets.astype(float)):
        with pytest.raises(UsageError, match="camera offsets"):
            written(OF, [replace(group, offsets=wrong)])
    for number in (OFFSET_MOST + 1, -OFFSET_MOST - 1, -(2**63), 2**63 - 1):
        with pytest.raises(UsageError, match="31 bits"):
            written(OF, [replace(group, offsets=np.full_like(group.offsets, number))])
    far = group.offsets.copy()
    far[-1] += 100_000
    with pytest.raises(UsageError, match=r"shows \d+ positions of the world, 4096 are allowed"):
        written(OF, [replace(group, offsets=far)])


def test_offsets_at_the_ends_of_what_is_allowed() -> None:
    made = camera_groups(OF, 2, PATHS["still"])
    for end in (OFFSET_MOST, -OFFSET_MOST):
        far = [replace(group, offsets=np.full_like(group.offsets, end)) for group in made]
        view = OF.view_of(True, len(far[0].pts), far[0].offsets)
        mask = np.ones(view.shape, bool)
        tokens = np.resize(made[0].tokens, (view.count, 3))
        (found,) = read(written(OF, [replace(far[0], mask=mask, tokens=tokens, view=view)]))
        assert found.offsets is not None and (found.offsets == end).all() and found.view.window == view.window


@pytest.mark.parametrize("coding", ["int", "lossless", "prior"])
def test_what_is_shown_for_the_first_time_must_be_kept(coding: str) -> None:
    """And nothing that is not shown."""
    by = prior(3)
    of = under(OF, by) if coding == "prior" else replace(OF, coding=coding)
    made = camera_groups(of, 2, PATHS["pan"])
    made = in_units(of, made) if coding == "prior" else made
    rows = np.flatnonzero(made[1].mask)
    outer = Box.around(group.view.window for group in made)
    seen = np.zeros(outer.shape, bool)
    seen[made[0].view.window.inside(outer)] = made[0].view.visible.any(axis=0)
    new = np.flatnonzero(
        ~seen[made[1].view.window.inside(outer)].reshape(-1)[rows % seen[made[1].view.window.inside(outer)].size]
    )
    mask = made[1].mask.copy()
    mask.reshape(-1)[rows[new[0]]] = False
    left = np.delete(np.arange(len(rows)), new[0])
    dropping = replace(
        made[1],
        mask=mask,
        tokens=made[1].tokens[left],
        halvings=None if made[1].halvings is None else made[1].halvings[left],
    )
    with pytest.raises(UsageError, match="first time must be kept"):
        written(of, [made[0], dropping], prior=by if of.prior else None)
    hidden = made[1].mask | ~made[1].view.visible
    with pytest.raises(UsageError, match="does not show"):
        written(of, [made[0], replace(made[1], mask=hidden)], prior=by if of.prior else None)


def test_a_segment_that_shows_too_much_is_not_written() -> None:
    """Group after group the camera goes on, until its segment would pass the bound; a new segment may go on there."""
    of = replace(OF, segment_groups=99)
    made = camera_groups(of, 9, lambda frames, rng: np.arange(frames)[:, None] * [12, 12])
    out = Writer(io.BytesIO(), of)
    shown, written_groups = Box(0, 0, 0, 0), 0
    with pytest.raises(LimitError, match=r"group \d: its segment shows \d+ positions of the world, 4096 are allowed"):
        for group in made:
            shown = group.view.window if not written_groups else Box.around((shown, group.view.window))
            out.write_group(group)
            written_groups += 1
    assert 2 < written_groups < 9 and shown.area > world_most(of.grid) == 4096
    fresh = camera_groups(
        replace(of, segment_groups=written_groups), 9, lambda frames, rng: np.zeros((frames, 2)) + 7000
    )
    assert len(read(written(replace(of, segment_groups=written_groups), fresh))) == 9


def test_a_lower_limit_holds_for_what_is_shown() -> None:
    """Tokens of a group and numbers of a segment are limited as for other files."""
    made = camera_groups(OF, 2, PATHS["pan"])
    data = written(OF, made)
    most = max(group.view.count for group in made)
    assert most > 3 * 20
    for limits, setting in (
        (Limits(max_group_tokens=most - 1), "max_group_tokens"),
        (Limits(max_group_bytes=4 * 3 * most - 1), "max_group_bytes"),
    ):
        with pytest.raises(LimitError) as raised:
            list(Reader(io.BytesIO(data), limits))
        assert raised.value.settings == (setting,)
    assert len(list(Reader(io.BytesIO(data), Limits(max_group_tokens=most)))) == 4  # with sound


def test_seeking_forgets_the_world_before() -> None:
    """A segment far away is read by itself, from the front, and after another one."""
    of = replace(OF, segment_groups=1)
    made = camera_groups(of, 4, PATHS["pan"], origin=(10**6, 10**7))
    far = [replace(group, offsets=group.offsets * (1 if group.index % 2 else -1)) for group in made]
    views = [of.view_of(True, len(group.pts), group.offsets) for group in far]
    far = [
        replace(group, view=view, mask=view.visible.copy(), tokens=np.resize(group.tokens, (view.count, 3)))
        for group, view in zip(far, views, strict=True)
    ]
    data = written(of, far, sound=False)
    reader = Reader(io.BytesIO(data))
    for at in (3, 0, 2):
        reader.seek_segment(far[at].first_frame)
        assert same_group(next(item for item in reader if isinstance(item, Group)), far[at])


def test_what_networks_get_where_nothing_is_visible() -> None:
    """The nearest of the row, the left one of two; a row without any is as the nearest row, the upper one of two."""
    view = FrameView.of((Box(0, 0, 1, 2), Box(0, 5, 1, 2), Box(4, 3, 2, 1)))
    found = view.spread(np.arange(view.count))
    first, last = [0, 1, 1, 1, 2, 2, 3], [4] * 7
    assert found.tolist() == [first, first, first, last, last, [5] * 7]
    group = GroupView.of([(0, 0), (400, 0)], OF.rule_of(True), OF.height, OF.width, 8)
    assert group.frames[0].spread(np.ones((2, group.frames[0].count))).all()


def test_repair_keeps_offsets_where_times_make_no_sense() -> None:
    """They are copied as they are, whatever becomes of the times beside them."""
    made = camera_groups(OF, 4, PATHS["jumps"], 3)
    data = written(OF, made)
    same = io.BytesIO()
    repair(io.BytesIO(data), same)
    assert same.getvalue() == data
    bent = [replace(group, pts=group.pts - 10**5 * (group.index == 2)) for group in made]
    odd = _with_times_that_make_no_sense(bent)
    assert "make no sense" in str(check(io.BytesIO(odd))[0])
    out = io.BytesIO()
    told = repair(io.BytesIO(odd), out)
    assert not told.lost and check(io.BytesIO(out.getvalue())) == []
    for group, found in zip(made, read(out.getvalue()), strict=True):
        assert found.offsets is not None and group.offsets is not None
        assert (found.offsets == group.offsets).all() and (found.tokens == group.tokens).all()


def _with_times_that_make_no_sense(made: list[Group]) -> bytes:
    """A file as a careless writer makes it."""

    class Careless(Writer):
        def __init__(self, fo: io.BytesIO) -> None:
            super().__init__(fo, OF)
            self._clock.follow = lambda first, pts: (pts, None)  # type: ignore[method-assign]

    out = io.BytesIO()
    with Careless(out) as writer:
        for group in made:
            writer.write_group(group)
    return out.getvalue()
