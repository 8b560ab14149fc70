"""A group filled by hold: every dropped position stays what it was, and is known to be so old and so fine."""

from __future__ import annotations

import numpy as np

from latcomp.latents import Box, FrameView, GroupView, TokenMemory, hold

C = 5


def some_tokens(frames: int, grid: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(tokens (N, C), mask (T, h, w), halvings (N,)) of a segment's first latent frames."""
    rng = np.random.default_rng(0)
    mask = rng.random((frames, *grid)) < 0.3
    mask[0] = True
    count = int(mask.sum())
    return rng.normal(size=(count, C)).astype(np.float32), mask, rng.integers(0, 3, count).astype(np.uint8)


def new(grid: tuple[int, int]) -> TokenMemory:
    return TokenMemory.start(grid, C, np.float32)


def test_holding_group_by_group_is_holding_all_at_once() -> None:
    tokens, mask, halvings = some_tokens(12, (4, 5))
    whole = hold(new((4, 5)), tokens, mask, halvings)
    memory, start, found = new((4, 5)), 0, []
    for t in range(0, 12, 4):
        rows = slice(start, start + int(mask[t : t + 4].sum()))
        found.append(hold(memory, tokens[rows], mask[t : t + 4], halvings[rows]))
        start = rows.stop
    assert np.array_equal(np.concatenate([f.held for f in found], axis=1), whole.held)
    for name in ("mask", "age", "halvings"):
        assert np.array_equal(np.concatenate([getattr(f, name) for f in found]), getattr(whole, name))


def test_dropped_positions_hold_the_last_kept_value() -> None:
    tokens, mask, halvings = some_tokens(9, (2, 3))
    found = hold(new((2, 3)), tokens, mask, halvings)
    assert found.held[:, mask].T.tolist() == tokens.tolist()
    assert found.halvings[mask].tolist() == halvings.tolist()
    assert (found.age[mask] == 0).all()
    for t in range(1, 9):
        dropped = ~mask[t]
        assert (found.held[:, t] == found.held[:, t - 1])[:, dropped].all()
        assert (found.halvings[t] == found.halvings[t - 1])[dropped].all()
        assert (found.age[t] == found.age[t - 1] + 1)[dropped].all()


def test_what_is_held_stays_when_the_segment_goes_on() -> None:
    """A group is no window into the memory: later groups do not change it."""
    tokens, mask, halvings = some_tokens(3, (2, 2))
    memory = new((2, 2))
    found = hold(memory, tokens, mask, halvings)
    before = found.held.copy(), found.age.copy(), found.halvings.copy()
    hold(memory, tokens + 1, mask, halvings)
    assert all(np.array_equal(a, b) for a, b in zip(before, (found.held, found.age, found.halvings), strict=True))


def test_tokens_without_halvings_have_none() -> None:
    tokens, mask, _ = some_tokens(4, (3, 3))
    assert not hold(new((3, 3)), tokens, mask).halvings.any()


def test_a_group_of_moving_views_is_held_by_world_place() -> None:
    """Each latent frame's box has a value everywhere, the nearest of the row where it shows nothing; nothing lies
    outside of it. What comes back has its own value still, and its age.
    """
    corner = FrameView.of((Box(0, 0, 1, 2), Box(1, 1, 1, 2)))  # shows all but (0, 2) and (1, 0)
    beside = FrameView.of((Box(0, 2, 2, 2),))
    view = GroupView.over((corner, beside, corner))
    mask = np.zeros(view.shape, bool)
    mask[0], mask[1, :, 2:] = view.visible[0], [[True, True], [False, True]]
    tokens = np.arange(7, dtype=np.float32)[:, None] * np.ones(C, np.float32)
    found = hold(TokenMemory.start(corner, C, np.float32), tokens, mask, np.arange(7, dtype=np.uint8) % 3, view)
    assert found.view is view and found.mask is mask
    assert found.held[0].tolist() == [
        [[0, 1, 1, 0], [2, 2, 3, 0]],
        [[0, 0, 4, 5], [0, 0, 3, 6]],
        [[0, 1, 1, 0], [2, 2, 3, 0]],
    ]
    assert (found.held == found.held[:1]).all()
    assert found.age.tolist() == [
        [[0, 0, 0, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 1, 0]],
        [[2, 2, 2, 0], [2, 2, 2, 0]],
    ]
    assert found.halvings.tolist() == [
        [[0, 1, 1, 0], [2, 2, 0, 0]],
        [[0, 0, 1, 2], [0, 0, 0, 0]],
        [[0, 1, 1, 0], [2, 2, 0, 0]],
    ]


def test_a_group_of_views_is_held_as_its_latent_frames_one_by_one() -> None:
    rng = np.random.default_rng(1)
    frames = tuple(FrameView.of((Box(y, x, 3, 4),)) for y, x in rng.integers(-2, 3, (8, 2)))
    view = GroupView.over(frames)
    mask = view.visible & (rng.random(view.shape) < 0.6)
    tokens = rng.normal(size=(int(mask.sum()), C)).astype(np.float32)
    whole = hold(TokenMemory.start(frames[0], C, np.float32), tokens, mask, view=view)
    memory, row = TokenMemory.start(frames[0], C, np.float32), 0
    for t, frame in enumerate(frames):
        here = mask[t : t + 1][(slice(None), *frame.box.inside(view.window))]
        rows = slice(row, row + int(here.sum()))
        one, row = hold(memory, tokens[rows], here, view=GroupView.over((frame,))), rows.stop
        assert np.array_equal(one.held[:, 0], view.part(whole.held, t))
        assert np.array_equal(one.age[0], view.part(whole.age, t))
