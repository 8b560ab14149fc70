"""Protects: steps that are fitted to latents mean the same relative error whatever their size, and are the same numbers
for every reader."""

from __future__ import annotations

import json

import numpy as np
import pytest

from latcomp.errors import UsageError
from latcomp.latents import Quantiser
from latcomp.latents.steps import SCALE_AT_DEFAULT, Steps, deviation_of, fit_steps


def latents(size: float = 1.0, channels: int = 4) -> np.ndarray:
    """(C, 3, 8, 9): channels of different size, each with a mean of its own."""
    rng = np.random.default_rng(1)
    widths = np.linspace(0.5, 2, channels).reshape(-1, 1, 1, 1)
    return (size * (rng.normal(3, 1, (channels, 3, 8, 9)) * widths)).astype(np.float32)


@pytest.mark.parametrize("size", [1e-3, 1.0, 250.0])
@pytest.mark.parametrize("weights", [None, (1.0, 2.0, 0.5, 1.0)])
def test_the_error_at_the_default_quality(size: float, weights: tuple[float, ...] | None) -> None:
    values = latents(size)
    quantiser = Quantiser(fit_steps(values, weights).step, SCALE_AT_DEFAULT)
    error = np.square(quantiser.dequantise(quantiser.quantise(values)) - values).mean()
    assert 2.9e-3 < error / deviation_of(values) ** 2 < 4e-3


def test_the_size_is_fitted_and_the_relations_are_kept() -> None:
    steps = fit_steps(latents(), (1.0, 2.0, 4.0, 1.0)).channel_step
    assert np.allclose(np.array(steps) / steps[0], [1, 2, 4, 1], rtol=1e-3)
    assert len(set(fit_steps(latents()).channel_step)) == 1


def test_scales_are_deviations_in_steps() -> None:
    """So that a threshold counts whole steps, as it does for a tokenizer that was trained with a quantiser."""
    values = latents()
    steps = fit_steps(values)
    own = values.reshape(4, -1).std(1)
    assert np.allclose(steps.scale / steps.scale[0], own / own[0], rtol=1e-3)
    assert np.sqrt(np.mean(np.square(steps.scale))) == pytest.approx(steps.channel_step[0], rel=1e-3)


def test_numbers_are_short_as_text_and_read_back_the_same() -> None:
    steps = fit_steps(latents(0.37))
    text = json.dumps(steps.to_json())
    assert Steps.from_json(json.loads(text)) == steps and len(text) < 120


def test_latents_that_do_not_vary() -> None:
    """Of a grey picture, or in a channel alone."""
    assert fit_steps(np.full((3, 1, 2, 2), 7, np.float32)) == Steps((1.0,) * 3, (1.0,) * 3)
    values = latents()
    values[2] = 1
    scales = fit_steps(values).channel_scale
    assert 0 < scales[2] < 0.01 * scales[0]


def test_no_further_from_a_guess_than_allowed() -> None:
    dark = latents(1e-3)
    assert fit_steps(dark, (0.2,) * 4, 4.0).channel_step == (0.05,) * 4
    assert fit_steps(latents(1e3), (0.2,) * 4, 4.0).channel_step == (0.8,) * 4


@pytest.mark.parametrize(
    "weights", [(1.0,), (1.0, 2.0, 0.0, 1.0), (1.0, -1.0, 1.0, 1.0), (1.0, float("nan"), 1.0, 1.0)]
)
def test_weights_that_are_none(weights: tuple[float, ...]) -> None:
    with pytest.raises(UsageError, match="4 relative steps above zero are needed"):
        fit_steps(latents(), weights)


@pytest.mark.parametrize(
    ("steps", "scales"),
    [
        ((), ()),
        ((1.0,), (1.0, 1.0)),
        ((0.0,), (1.0,)),
        ((1.0,), (float("inf"),)),
        ((float("nan"),), (1.0,)),
        ((-1.0,), (1.0,)),
    ],
)
def test_numbers_out_of_range(steps: tuple[float, ...], scales: tuple[float, ...]) -> None:
    with pytest.raises(UsageError):
        Steps(steps, scales)
