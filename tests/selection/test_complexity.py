"""Steps follow content: still scenes get finer ones, fast scenes coarser ones, within bounds and not at the highest
quality.
"""

import numpy as np
import pytest

from latcomp.latents import Box, FrameView, GroupView
from latcomp.latents.profile import CodingProfile
from latcomp.selection.complexity import ADJUST_MOST, complexity, step_adjust
from tests.selection.worlds import cut, some_views, walk

C = 16
STEP = np.ones(C, np.float32)
USUAL = CodingProfile()


def scene(change: float, frames: int = 8) -> np.ndarray:
    rng = np.random.default_rng(0)
    start = rng.normal(0, 6, (C, 1, 6, 6))
    return (start + np.cumsum(rng.normal(0, change, (C, frames, 6, 6)), axis=1)).astype(np.float32)


def test_more_change_is_more_complex_and_gets_coarser_steps() -> None:
    found = [complexity(scene(change), STEP) for change in (0.01, 0.5, 2.0, 8.0)]
    assert found == sorted(found)
    adjustments = [step_adjust(scene(change), STEP, 5.0, USUAL) for change in (0.01, 0.5, 2.0, 8.0)]
    assert adjustments == sorted(adjustments)
    assert adjustments[0] < 0 < adjustments[-1]


def test_adjustments_are_bounded_and_end_at_the_highest_quality() -> None:
    assert step_adjust(np.zeros((C, 8, 4, 4), np.float32), STEP, 5.0, USUAL) == -ADJUST_MOST
    assert step_adjust(scene(50.0), STEP, 0.0, USUAL) <= ADJUST_MOST
    assert step_adjust(scene(50.0), STEP, 10.0, USUAL) == 0


def test_a_cut_costs_no_more_than_its_latent_frame_alone() -> None:
    cut = np.concatenate([scene(0.01, 4), 40 - scene(0.01, 4)], axis=1)
    alone = np.log2(1 + np.abs(np.rint(cut))).sum(0).mean()
    assert complexity(cut, STEP) <= alone


def test_a_single_latent_frame_has_a_complexity() -> None:
    assert complexity(scene(1.0, 1), STEP) > 0


def test_a_profile_decides_how_much_content_counts() -> None:
    """No strength leaves all steps alone; a usual clip of more bits gets finer steps."""
    moving = scene(2.0)
    assert step_adjust(moving, STEP, 5.0, CodingProfile(complexity_strength=0.0)) == 0
    richer = CodingProfile(complexity_bits=2 * USUAL.complexity_bits)
    assert step_adjust(moving, STEP, 5.0, richer) < step_adjust(moving, STEP, 5.0, USUAL)


@pytest.mark.parametrize("seed", range(8))
def test_tokens_count_that_were_visible_in_the_latent_frame_before(seed: int) -> None:
    """One by one; what is not visible has no influence on them."""
    (view,) = some_views(seed, [6], reach=2)
    latents = cut(10 * walk(seed, [view], C), [view])[0]
    symbols, found = np.rint(latents), []
    for t in range(1, 6):
        for y, x in np.argwhere(view.visible[t] & view.visible[t - 1]):
            now, before = symbols[:, t, y, x], symbols[:, t - 1, y, x]
            found.append(min(np.log2(1 + np.abs(now)).sum(), np.log2(1 + np.abs(now - before)).sum()))
    assert complexity(latents, STEP, view) == pytest.approx(np.mean(found), rel=1e-5)
    others = np.where(view.visible, latents, np.float32(7))
    assert complexity(others, STEP, view) == complexity(latents, STEP, view)
    assert step_adjust(others, STEP, 5.0, USUAL, view) == step_adjust(latents, STEP, 5.0, USUAL, view)


def test_a_view_of_everything_changes_no_complexity() -> None:
    box = Box(4, -4, 6, 6)
    view = GroupView((FrameView.of((box,)),) * 8, box)
    assert complexity(scene(1.0), STEP, view) == complexity(scene(1.0), STEP)


def test_latent_frames_that_share_nothing_count_as_single_ones() -> None:
    """A quarter of what they are alone, each visible position once."""
    view = GroupView.over(tuple(FrameView.of((Box(9 * t, 0, 2, 3),)) for t in range(3)))
    latents = cut(10 * walk(0, [view], C), [view])[0]
    single = np.concatenate([view.take(latents, t) for t in range(3)], axis=1)[:, None, None]
    assert complexity(latents, STEP, view) == pytest.approx(complexity(single, STEP), rel=1e-6)
    one = GroupView.over((FrameView.of((Box(0, 0, 1, 1), Box(2, 2, 1, 1))),))
    latents = cut(10 * walk(0, [one], C), [one])[0]
    assert complexity(latents, STEP, one) == pytest.approx(complexity(one.take(latents, 0)[:, None, None], STEP))
