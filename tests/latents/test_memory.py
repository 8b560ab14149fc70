"""What a segment remembers is the same however its groups are cut, and is what the definition says."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import TokenMemory, frames_of_tokens

GRID = (3, 4)
C = 5


def some_group(seed: int, frames: int, share: float = 0.4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(mask (T, h, w), tokens (N, C), halvings (N,)) whose first latent frame keeps everything."""
    rng = np.random.default_rng(seed)
    mask = rng.random((frames, *GRID)) < share
    mask[0] = True
    count = int(mask.sum())
    return mask, rng.integers(-99, 99, (count, C)).astype(np.int32), rng.integers(0, 3, count).astype(np.uint8)


def new() -> TokenMemory:
    return TokenMemory.start(GRID, C)


def assert_same(left: TokenMemory, right: TokenMemory) -> None:
    assert left.kept.tolist() == right.kept.tolist()
    assert left.halvings.tolist() == right.halvings.tolist()
    assert left.age.tolist() == right.age.tolist()
    assert left.seen.tolist() == right.seen.tolist()
    assert left.first == right.first
    assert left.change().tolist() == right.change().tolist()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 99), st.lists(st.integers(1, 5), min_size=1, max_size=5), st.sampled_from([0.0, 0.3, 1.0]))
def test_group_by_group_is_all_at_once(seed: int, sizes: list[int], share: float) -> None:
    mask, tokens, halvings = some_group(seed, sum(sizes), share)
    whole, parts, by_frame = new(), new(), new()
    replaced = whole.advance_group(mask, tokens, halvings)
    found, start, row = [], 0, 0
    for size in sizes:
        part = mask[start : start + size]
        rows = slice(row, row + int(part.sum()))
        found.append(parts.advance_group(part, tokens[rows], halvings[rows]))
        start, row = start + size, rows.stop
    for frame in frames_of_tokens(mask):
        by_frame.advance(frame.places, tokens[frame.rows], halvings[frame.rows])
    assert_same(parts, whole)
    assert_same(by_frame, whole)
    assert np.concatenate(found).tolist() == replaced.tolist()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 99))
def test_it_is_what_the_definition_says(seed: int) -> None:
    """Position by position, from the whole history: the last kept value, its halvings, and how long ago that was."""
    mask, tokens, halvings = some_group(seed, 9)
    memory = new()
    replaced = memory.advance_group(mask, tokens, halvings)
    values, finer, before = np.zeros((*mask.shape, C), np.int32), np.zeros(mask.shape, np.uint8), np.zeros_like(tokens)
    values[mask], finer[mask] = tokens, halvings
    rows = np.full(mask.shape, -1)
    rows[mask] = np.arange(len(tokens))
    for place in range(GRID[0] * GRID[1]):
        y, x = divmod(place, GRID[1])
        kept_at = np.flatnonzero(mask[:, y, x])
        last = kept_at[-1]
        assert memory.kept[place].tolist() == values[last, y, x].tolist()
        assert memory.halvings[place] == finer[last, y, x]
        assert memory.age[place] == len(mask) - 1 - last
        assert memory.just_kept[place] == (last == len(mask) - 1) and memory.seen[place]
        for one, later in zip(kept_at, kept_at[1:], strict=False):
            before[rows[later, y, x]] = values[one, y, x]
        change = values[last, y, x] - (values[kept_at[-2], y, x] if len(kept_at) > 1 else 0)
        assert memory.change()[place].tolist() == (change.tolist() if last == len(mask) - 1 else [0] * C)
    assert replaced.tolist() == before.tolist()
    assert not memory.kept[-1].any() and not memory.change()[-1].any()  # outside of the grid


def test_before_the_first_latent_frame_nothing_is_known() -> None:
    """Nothing was just kept, though no age says so."""
    memory = new()
    assert memory.first and not memory.just_kept.any() and not memory.predicted().any() and not memory.change().any()
    memory.advance(np.arange(0), np.zeros((0, C), np.int32))
    assert not memory.first and not memory.just_kept.any()
    assert memory.age.tolist() == [1] * 12 and not memory.seen.any()


def test_a_latent_frame_that_keeps_nothing_leaves_values_and_makes_them_older() -> None:
    mask, tokens, halvings = some_group(0, 3)
    memory = new()
    memory.advance_group(mask, tokens, halvings)
    kept, finer, age = memory.kept.copy(), memory.halvings.copy(), memory.age.copy()
    memory.advance_group(np.zeros((2, *GRID), bool), np.zeros((0, C), np.int32))
    assert memory.kept.tolist() == kept.tolist() and memory.halvings.tolist() == finer.tolist()
    assert memory.age.tolist() == (age + 2).tolist()
    assert not memory.change().any() and not memory.just_kept.any()


def test_ages_do_not_end_at_a_byte() -> None:
    memory = new()
    memory.advance(np.arange(12), np.ones((12, C), np.int32))
    memory.advance_group(np.zeros((70_000, 12), bool), np.zeros((0, C), np.int32))
    assert memory.age.tolist() == [70_000] * 12
    assert not memory.just_kept.any()


@pytest.mark.parametrize("copied", [TokenMemory.copy, copy.deepcopy])
def test_a_copy_goes_its_own_way(copied) -> None:
    """And the one it was made of goes on as if there were none."""
    mask, tokens, halvings = some_group(1, 4)
    first, second = some_group(2, 3), some_group(3, 2)
    memory, alone = new(), new()
    for each in (memory, alone):
        each.advance_group(mask, tokens, halvings)
    other = copied(memory)
    assert_same(other, memory)
    other.advance_group(*first)
    assert_same(memory, alone)
    memory.advance_group(*second)
    alone.advance_group(*second)
    assert_same(memory, alone)


def test_a_segment_starts_with_nothing_of_the_one_before() -> None:
    memory = new()
    memory.advance_group(*some_group(4, 5))
    memory.reset()
    assert_same(memory, new())
    assert not memory.just_kept.any() and not memory.seen.any()


def test_planes_of_values_are_channels_first() -> None:
    memory = new()
    mask, tokens, _ = some_group(5, 1)
    memory.advance_group(mask, tokens)
    planes = memory.predicted_planes()
    assert planes.shape == (C, 12) and planes.flags.c_contiguous
    assert planes[:, 2 * 4 + 1].tolist() == memory.kept[2 * 4 + 1].tolist()


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.dtype("<u4")])
def test_values_are_of_the_holders_type(dtype: np.typing.DTypeLike) -> None:
    memory = TokenMemory.start(GRID, C, dtype)
    values = np.full((12, C), 3, dtype)
    replaced = memory.advance_group(np.ones((1, *GRID), bool), values)
    assert memory.kept.dtype == memory.predicted_planes().dtype == replaced.dtype == dtype


def test_masks_may_come_one_by_one() -> None:
    """A reader learns each latent frame's mask when it has the tokens before it."""
    mask, tokens, halvings = some_group(6, 6)
    asked = []

    def masks():
        for t, frame in enumerate(mask):
            asked.append(t)
            yield frame

    memory, whole = new(), new()
    for frame in frames_of_tokens(masks()):
        assert asked[-1] == frame.t
        assert frame.places.tolist() == np.flatnonzero(frame.mask).tolist()
        memory.advance(frame.places, tokens[frame.rows], halvings[frame.rows])
    whole.advance_group(mask, tokens, halvings)
    assert_same(memory, whole)
