"""Files under a prior: what is written comes back, and what does not fit together is refused by name."""

from __future__ import annotations

import hashlib
import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container import SYMBOL_MAX, SYMBOL_MIN, Prior, Reader, Writer, check, scan
from latcomp.container.format import (
    GROUP_HEAD,
    LAYOUT_MODE_CHANGES,
    LAYOUT_MODES,
    LAYOUT_PLANES,
    LAYOUT_PRIOR,
    MASK_ALL,
    MASK_PRIOR,
)
from latcomp.errors import UnsupportedFileError, UsageError
from tests.container.coding.prior.make import BY, FILES, LAYOUTS, MADE, OF, heads, parts_of
from tests.container.make import groups, in_units, prior, prior_arrays, reader_under, same_group, sized, under, written
from tests.container.test_damage import chunks
from tests.container.test_hostile import chunk
from tests.container.test_round_trip import any_groups

QUICK = settings(max_examples=40, deadline=None)


def assert_comes_back(of, made, by: Prior, coding: str = "context") -> bytes:
    data = written(of, made, sound=False, prior=by, coding=coding)
    reader = reader_under(data, by)
    back = list(reader)
    assert reader.header == of and not reader.damage
    assert len(back) == len(made) and all(map(same_group, made, back))
    assert {head["token_layout"] for head in heads(data)} <= LAYOUTS[coding]
    return data


@QUICK
@given(any_groups(), st.sampled_from([1, 2, 4]), st.integers(0, 3))
def test_any_mask_any_values_any_halvings(case, units: int, seed: int) -> None:
    """Masks, values up to the 16-bit bounds and halvings survive, and both codings give the same."""
    plain, made = case
    by = prior(plain.channels, seed)
    of = under(plain, by, units)
    made = in_units(of, made, seed)
    for coding in LAYOUTS:
        assert_comes_back(of, made, by, coding)


@pytest.mark.parametrize("units", [1, 2, 4])
@pytest.mark.parametrize("coding", LAYOUTS)
def test_steps_from_one_end_of_the_range_to_the_other(coding: str, units: int) -> None:
    """A delta may lead from the smallest symbol to the largest: with one unit a step the change passes 16 bits, its
    values do not.
    """
    by = prior()
    of = under(sized(5, 6, 6), by, units)
    count = 5 * 6
    ends = (SYMBOL_MIN, SYMBOL_MIN + (SYMBOL_MAX - SYMBOL_MIN) // units * units)
    tokens = np.concatenate([np.full((count, 6), ends[t % 2], np.int32) for t in range(8)])
    made = replace(groups(of, 1, dense=True)[0], tokens=tokens, halvings=np.zeros(len(tokens), np.uint8))
    assert made.mask.shape == (8, 5, 6)
    assert_comes_back(of, [made], by, coding)


@pytest.mark.parametrize("coding", LAYOUTS)
def test_lifelike_file(coding: str) -> None:
    """A file of several segments survives with tokens of both modes and all halvings; it is found intact, and scanned
    without the prior.
    """
    by = prior(10)
    of = under(sized(12, 17, 10), by)
    made = in_units(of, groups(of, 5, last_frames=5))
    halvings = np.concatenate([group.halvings for group in made])
    assert np.bincount(halvings, minlength=3).min() > 100
    data = assert_comes_back(of, made, by, coding)
    masks = {head["mask_coding"] for head in heads(data)}
    assert (masks == {MASK_PRIOR}) if coding == "context" else (MASK_PRIOR not in masks)
    assert check(io.BytesIO(data), find_prior=lambda name, sha256: by) == []
    assert scan(io.BytesIO(data)).tokens_kept == sum(len(group.tokens) for group in made)
    assert written(of, made, prior=by, coding=coding) == written(of, made, prior=by, coding=coding)


def test_both_layouts_of_modes() -> None:
    """Without the prior's means, values that hardly change are stored as changes and others themselves."""
    by = prior()
    of = under(sized(9, 11, 6), by)
    rng = np.random.default_rng(0)
    shape = (9 * 11, 6)
    for layout in (LAYOUT_MODE_CHANGES, LAYOUT_MODES):
        made = []
        for group in groups(of, 2, dense=True):
            small = rng.integers(-1, 2, (len(group.mask), *shape))
            frames = rng.integers(-90, 90, shape) + small.cumsum(0) if layout == LAYOUT_MODE_CHANGES else small
            tokens = 4 * frames.reshape(-1, 6).astype(np.int32)
            made.append(replace(group, tokens=tokens, halvings=np.zeros(len(tokens), np.uint8)))
        assert [head["token_layout"] for head in heads(assert_comes_back(of, made, by, "zstd"))] == [layout] * 2


@pytest.mark.parametrize("coding", LAYOUTS)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 1), (1, 9), (3, 5), (7, 7)])
def test_small_and_odd_grids(rows: int, columns: int, coding: str) -> None:
    """Grids of one position, one row or odd sides, and groups of one latent frame, as key groups and others."""
    for channels in (1, 3, 6):
        by = prior(channels)
        of = under(sized(rows, columns, channels, group_latent_frames=1, segment_groups=3), by)
        assert_comes_back(of, in_units(of, groups(of, 5, last_frames=1)), by, coding)
        longer = replace(of, group_latent_frames=6)
        assert_comes_back(longer, in_units(longer, groups(longer, 3, last_frames=7)), by, coding)


@pytest.mark.parametrize("coding", LAYOUTS)
def test_groups_that_keep_nothing(coding: str) -> None:
    """A still scene: groups without any token, between others, have no bytes of tokens and keep the segment going."""
    by = prior()
    of = under(sized(5, 7, 6, segment_groups=9), by)
    made = in_units(of, groups(of, 4))
    for place in (1, 2):
        empty = {
            "tokens": np.zeros((0, 6), np.int32),
            "halvings": np.zeros(0, np.uint8),
            "mask": np.zeros((8, 5, 7), bool),
        }
        made[place] = replace(made[place], **empty)
    # what the last group is a delta to is now what the first one left
    made = in_units(of, [replace(group, tokens=group.tokens >> 2) for group in made])
    data = assert_comes_back(of, made, by, coding)
    for at in (1, 2):
        assert parts_of(data, at)[1] == b""


def test_no_halvings_are_none() -> None:
    """Tokens that are given without halvings stand on the grid of whole steps."""
    by = prior()
    of = under(sized(5, 7, 6), by)
    made = [replace(group, tokens=group.tokens * 4) for group in groups(of, 3)]
    for coding in LAYOUTS:
        back = list(reader_under(written(of, made, False, by, coding), by))
        assert all(
            map(same_group, [replace(group, halvings=np.zeros(len(group.tokens), np.uint8)) for group in made], back)
        )


@pytest.mark.parametrize("seed", [0, 2, 3, 9])
def test_values_far_outside_the_tables(seed: int) -> None:
    """Values from one end of 16 bits to the other, which no table reaches and no mean foresees, are coded by
    escapes.
    """
    by = prior()
    of = under(sized(5, 7, 6), by)
    rng = np.random.default_rng(seed)
    ends = [
        replace(g, tokens=rng.choice([SYMBOL_MIN // 4, SYMBOL_MAX // 4], g.tokens.shape).astype(np.int32))
        for g in groups(of, 3, seed)
    ]
    made = in_units(of, ends, seed)
    assert max(int(group.tokens.max()) for group in made) > SYMBOL_MAX - 8
    for coding in LAYOUTS:
        assert_comes_back(of, made, by, coding)


def test_a_prior_that_is_not_at_hand() -> None:
    """A file that names a prior is unsupported without it, with another one, or with one for other channels; its counts
    can be read.
    """
    data = FILES["context"]
    other = prior(6, 1)
    narrow = Prior(prior_arrays(5), BY.sha256, BY.name)
    finders = [None, lambda name, sha256: other, lambda name, sha256: narrow]
    for find in finders:
        with pytest.raises(UnsupportedFileError, match=BY.name):
            list(Reader(io.BytesIO(data), find_prior=find))
        with pytest.raises(UnsupportedFileError, match=BY.name):
            check(io.BytesIO(data), find_prior=find)
    assert scan(io.BytesIO(data)).problems == []
    for wrong in (None, other, narrow):
        with pytest.raises(UnsupportedFileError, match=BY.name):
            Writer(io.BytesIO(), OF, wrong).write_group(MADE[0])
    with pytest.raises(UsageError, match="coding"):
        Writer(io.BytesIO(), OF, BY, "ans").write_group(MADE[0])


def test_the_prior_is_looked_for_once() -> None:
    """A file of many segments asks for its prior once, and a file without one never."""
    asked = []

    def find(name: str, sha256: str) -> Prior:
        asked.append((name, sha256))
        return BY

    list(Reader(io.BytesIO(FILES["context"]), find_prior=find))
    assert asked == [(BY.name, BY.sha256)]
    plain = sized(5, 7, 6)
    list(Reader(io.BytesIO(written(plain, groups(plain, 2))), find_prior=find))
    assert len(asked) == 1


@pytest.mark.parametrize("change", [{"token_layout": LAYOUT_PLANES}, {"token_layout": 6}, {"mask_coding": 5}])
def test_ids_that_do_not_belong(change: dict[str, int]) -> None:
    """Layouts without modes do not belong into a file with a prior, nor those of a prior, nor its masks, into a file
    without.
    """
    front, found = chunks(FILES["context"])
    payload = found[0][8:-4]
    group = chunk(b"GRUP", GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(payload), **change}) + payload[GROUP_HEAD.size :])
    with pytest.raises(UnsupportedFileError):
        list(reader_under(front + group, BY))
    plain = sized(5, 7, 6)
    front, found = chunks(written(plain, groups(plain, 1), sound=False))
    payload = found[0][8:-4]
    for foreign in ({"token_layout": LAYOUT_PRIOR}, {"token_layout": LAYOUT_MODES}, {"mask_coding": MASK_PRIOR}):
        group = chunk(
            b"GRUP", GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(payload), **foreign}) + payload[GROUP_HEAD.size :]
        )
        with pytest.raises(UnsupportedFileError):
            list(Reader(io.BytesIO(front + group)))


def test_writer_refuses_what_does_not_fit() -> None:
    """Octaves of the wrong shape, type or size, and tokens that are on no grid of theirs, are refused by name."""
    good = MADE[0]
    off_grid = good.tokens.copy()
    off_grid[good.halvings == 0] += 1
    wrong = [
        {"halvings": good.halvings[1:]},
        {"halvings": good.halvings.astype(np.int32)},
        {"halvings": good.halvings + np.uint8(3)},
        {"tokens": off_grid},
        {"halvings": np.zeros_like(good.halvings)},
    ]
    for change in wrong:
        for coding in LAYOUTS:
            with pytest.raises(UsageError, match=r"halvings|halved|whole steps"):
                Writer(io.BytesIO(), OF, BY, coding).write_group(replace(good, **change))
    plain = sized(5, 7, 6)
    with pytest.raises(UsageError, match="halved"):
        Writer(io.BytesIO(), plain).write_group(good)


def test_masks_of_all_kept_have_no_bytes() -> None:
    """A mask without holes is not coded under the prior."""
    data = assert_comes_back(OF, in_units(OF, groups(OF, 2, dense=True)), BY)
    assert [(head["mask_coding"], head["mask_bytes"]) for head in heads(data)] == [(MASK_ALL, 0)] * 2


def test_step_adjustment_reaches_the_network() -> None:
    """The step of a group, over that of the file, changes the bytes but not what they give."""
    packed = set()
    for step_adjust in (-128, -8, 0, 8, 127):
        made = [replace(group, step_adjust=step_adjust) for group in MADE]
        packed.add(hashlib.sha256(parts_of(assert_comes_back(OF, made, BY), 1)[1]).digest())
    assert len(packed) == 5
