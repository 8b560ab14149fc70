"""One recipe selects for encoder and training alike: group after group, as its parts would one by one."""

from __future__ import annotations

import numpy as np
import pytest

from latcomp.container.coding import FrameCosts
from latcomp.latents import LosslessQuantiser, Quantiser, StepScale
from latcomp.latents.profile import CodingProfile
from latcomp.selection import PRIOR_UNITS, Selection, SelectionRecipe, select_group
from tests.container.make import prior

C = 6
SCALE = StepScale(1.0, 5)


def recipe(units: int = PRIOR_UNITS, lossless: bool = False, **profile: float) -> SelectionRecipe:
    return SelectionRecipe.of(C * (1.0,), C * (2.0,), CodingProfile(**profile), units, lossless=lossless)


def groups(seed: int) -> list[np.ndarray]:
    """Three groups (C, 8, 4, 5), half of whose positions rest under a little noise."""
    rng = np.random.default_rng(seed)
    moving = np.where(np.arange(5) < 3, 0.05, 1.5)
    latents = rng.normal(0, 4, (C, 1, 4, 5)) + (rng.normal(0, 1, (C, 24, 4, 5)) * moving).cumsum(1)
    return [np.ascontiguousarray(latents[:, t : t + 8].astype(np.float32)) for t in (0, 8, 16)]


def assert_same(left: Selection, right: Selection) -> None:
    for name in ("mask", "difference", "symbols", "halvings", "age", "held"):
        assert np.array_equal(getattr(left, name), getattr(right, name)), name


@pytest.mark.parametrize("units", [1, PRIOR_UNITS])
@pytest.mark.parametrize("lookahead", [0.0, 3.0])
def test_a_segment_is_what_its_parts_give_one_by_one(units: int, lookahead: float) -> None:
    """Lookahead where there are finer steps, positions to refine from the second group on, the threshold of the
    scale.
    """
    of = recipe(units, lookahead_lambda=lookahead)
    selector, cache = of.segment(SCALE), None
    for latents in groups(0):
        hints = of.hints(latents, SCALE, refine=cache is not None)
        assert (hints is None) == (units == 1 or lookahead == 0)
        assert hints is None or (hints.refine is None) == (cache is None)
        wanted, cache = select_group(latents, cache, of.threshold(SCALE), of.rule, of.quantiser(SCALE), hints)
        assert_same(selector.next(latents), wanted)


def test_masks_that_were_decided_before_stand() -> None:
    of = recipe()
    free, forced = of.segment(SCALE), of.segment(SCALE)
    for latents in groups(1):
        chosen = free.next(latents)
        hints = of.hints(latents, SCALE, refine=False)
        assert np.array_equal(forced.under(latents, chosen.mask, hints).mask, chosen.mask)


@pytest.mark.parametrize("weight", [0.0, 20.0])
def test_tokens_are_rounded_by_what_they_cost_where_that_counts(weight: float) -> None:
    """A coder alone changes nothing under a lambda of 0; under others it leaves with each latent frame its code."""
    of = recipe(rdo_lambda=weight)
    plain = of.segment(SCALE)
    rounded = of.segment(SCALE, coder=FrameCosts(prior(C), PRIOR_UNITS, SCALE))
    latents = groups(2)[0]
    one, other = plain.next(latents), rounded.next(latents)
    assert one.coded is None
    assert other.coded is None if weight == 0 else len(other.coded or ()) == 8
    assert np.array_equal(one.symbols, other.symbols) == (weight == 0)


def test_lossless_latents_are_dropped_only_where_they_repeat() -> None:
    of = recipe(lossless=True)
    assert isinstance(of.quantiser(SCALE), LosslessQuantiser) and of.threshold(SCALE) == 0
    assert of.hints(groups(3)[0], SCALE, refine=True) is None
    latents = groups(3)[0]
    latents[:, 4, 1] = latents[:, 3, 1]
    found = of.segment(SCALE).next(latents)
    assert not found.mask[4, 1].any() and found.mask.sum() == found.mask.size - 5
    assert np.array_equal(found.held, latents)


def test_constants_come_from_the_profile() -> None:
    of = recipe(hysteresis=0.3, rounding=0.4, absolute_share=0.5, dropped_changes=3.0)
    quantiser = of.quantiser(SCALE)
    assert isinstance(quantiser, Quantiser)
    assert (quantiser.hysteresis, quantiser.rounding, quantiser.units) == (0.3, 0.4, PRIOR_UNITS)
    assert quantiser.step_scale == SCALE.value
    assert (of.rule.absolute_share, of.channels) == (0.5, C)
    assert of.threshold(SCALE) == pytest.approx(3.0 / C * SCALE.value)


def test_other_lambdas_leave_the_rest() -> None:
    of = recipe(hysteresis=0.3)
    other = of.with_lambdas(lookahead=1.0)
    assert (other.profile.lookahead_lambda, other.profile.rdo_lambda) == (1.0, of.profile.rdo_lambda)
    assert other.profile.hysteresis == 0.3
    assert of.with_lambdas().profile == of.profile
