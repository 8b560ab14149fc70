"""Steps follow content: still scenes get finer ones, fast scenes coarser ones, within bounds and not at the highest
quality.
"""

import numpy as np

from latcomp.latents.profile import CodingProfile
from latcomp.selection.complexity import ADJUST_MOST, complexity, step_adjust

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
