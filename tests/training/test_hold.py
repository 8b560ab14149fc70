"""What the training's decoder sees is what selection and a reader make of the same latents."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import HeldGroup, Quantiser, StepScale
from latcomp.latents.profile import CodingProfile
from latcomp.selection import PRIOR_UNITS, LookaheadHints, SelectionRecipe, select_group
from latcomp.training.hold import FINE_LEVELS, Held, fine_field, hold

PROFILE = CodingProfile()
C, FRAMES, GRID = 12, 10, (3, 5)


def some_latents(seed: int, moving: float) -> np.ndarray:
    """(C, T, h, w) float32 in steps, in odd sixteenths: no value is as near to one multiple of a step as to another.
    Some positions rest for a while, some change in few channels, some in most.
    """
    rng = np.random.default_rng(seed)
    changes = rng.normal(0, moving, (C, FRAMES, *GRID)) * (rng.random((C, FRAMES, *GRID)) < 0.5)
    changes *= rng.random((1, FRAMES, *GRID)) < 0.6
    changes[:, 0] = rng.normal(0, 4, (C, *GRID))
    return ((np.round(changes.cumsum(1) * 8) + 0.5) / 8).astype(np.float32)


def by_selection(latents: np.ndarray, fine: np.ndarray, scale: StepScale, profile: CodingProfile) -> HeldGroup:
    """What the encoder's selection makes of them: fine (h, w) halvings of the first latent frame, no lookahead."""
    recipe = SelectionRecipe.of(C * (1.0,), C * (1.0,), profile, PRIOR_UNITS)
    asked = np.zeros((FRAMES, *GRID), np.uint8)
    asked[0] = fine
    hints = LookaheadHints(latents, asked)
    quantiser = recipe.quantiser(scale)
    assert isinstance(quantiser, Quantiser)
    return select_group(latents, None, recipe.threshold(scale), recipe.rule, quantiser, hints)[0].held_group


def by_training(latents: np.ndarray, fine: np.ndarray, scale: StepScale, profile: CodingProfile) -> Held:
    log_scale = torch.tensor([-np.log2(scale.value)], dtype=torch.float32)
    return hold(torch.from_numpy(latents)[None], log_scale, torch.from_numpy(fine)[None, None].float(), profile)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 10_000),
    st.sampled_from([0.2, 0.7, 2.0]),
    st.sampled_from([0.5, 1.0, 2.0]),
    st.sampled_from([PROFILE, CodingProfile(hysteresis=0.05, dropped_changes=2.5, absolute_share=0.3)]),
)
def test_training_holds_what_selection_holds(seed: int, moving: float, scale: float, profile: CodingProfile) -> None:
    """Values, keep masks and halvings, position by position."""
    latents = some_latents(seed, moving) * np.float32(scale)
    fine = np.random.default_rng(seed).integers(0, FINE_LEVELS + 1, GRID).astype(np.uint8)
    wanted = by_selection(latents, fine, StepScale(scale), profile)
    found = by_training(latents, fine, StepScale(scale), profile)
    assert np.array_equal(found.kept[0, 0].numpy(), wanted.mask)
    assert np.array_equal(found.halvings[0, 0].numpy(), wanted.halvings)
    assert np.array_equal(found.values[0].numpy(), wanted.held)


def test_held_latents_rest_until_they_change_and_pass_gradients_through() -> None:
    latents = torch.full((1, 12, 4, 2, 2), 0.4)
    latents[:, :, 1] += 0.2  # within the hysteresis
    latents[:, :, 2:] += 3.0
    latents.requires_grad_()
    found = hold(latents, torch.zeros(1), torch.zeros(1, 1, 2, 2), PROFILE)
    assert found.kept[0, 0, :, 0, 0].tolist() == [True, False, True, False]
    assert torch.equal(found.values[:, :, 0], found.values[:, :, 1])
    found.values.sum().backward()
    assert torch.equal(latents.grad, torch.ones_like(latents))


def test_finer_positions_are_rounded_finer_until_most_of_them_changes() -> None:
    latents = torch.full((1, 12, 3, 2, 2), 0.3)
    latents[:, :, 2] = 5.2
    found = hold(latents, torch.zeros(1), torch.full((1, 1, 2, 2), 2.0), PROFILE)
    assert torch.allclose(found.values[:, :, 0], torch.tensor(0.25))
    assert torch.allclose(found.values[:, :, 2], torch.tensor(5.0))
    assert found.halvings[0, 0, :, 0, 0].tolist() == [2.0, 2.0, 0.0]


def test_fine_fields_are_blocks_and_leave_half_of_the_crops_alone() -> None:
    fields = fine_field(200, 8, 8, torch.Generator().manual_seed(0))
    assert torch.equal(fields[:, :, :4, :4], fields[:, :, :1, :1].expand(-1, -1, 4, 4))
    assert 0.3 < (fields.amax((1, 2, 3)) > 0).float().mean() < 0.6
