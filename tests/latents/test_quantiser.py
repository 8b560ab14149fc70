"""Quantisers: near what went in, within what a file can hold."""

from __future__ import annotations

import numpy as np
import pytest

from latcomp import container
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, LosslessQuantiser, Quantiser

C = 6
UNITS = Quantiser(np.ones(C, np.float32), 1.0, hysteresis=0.15, units=4)


def some_latents(size: float) -> np.ndarray:
    return np.random.default_rng(4).normal(0, size, (C, 16, 5, 7)).astype(np.float32)


def test_dequantised_symbols_are_within_half_a_step_when_rounding_to_nearest() -> None:
    quantiser = Quantiser(np.linspace(0.5, 2, C).astype(np.float32), 0.7)
    latents = some_latents(4)
    error = np.abs(quantiser.dequantise(quantiser.quantise(latents)) - latents)
    assert (error <= 0.35 * quantiser.step[:, None, None, None] + 1e-4).all()


@pytest.mark.parametrize("halvings", [0, 1, 2])
def test_rounding_is_within_half_of_the_halved_step(halvings: int) -> None:
    latents = np.linspace(-20, 20, C * 50, dtype=np.float32).reshape(C, 50)
    symbols = UNITS.quantise(latents, np.full(50, halvings, np.uint8))
    assert (symbols % (4 >> halvings) == 0).all()
    assert np.abs(UNITS.dequantise(symbols) - latents).max() <= 0.5 / 2**halvings + 1e-5


def test_a_dead_zone_only_shrinks_symbols() -> None:
    latents = some_latents(2)
    near = Quantiser(np.ones(C, np.float32), 1.0).quantise(latents)
    dead = Quantiser(np.ones(C, np.float32), 1.0, rounding=0.35).quantise(latents)
    assert (np.abs(dead) <= np.abs(near)).all()
    assert (dead != near).any()


def test_values_near_a_kept_one_stay_there_and_others_are_whole_steps_away() -> None:
    kept = np.array([[1, -6, 9, 0]], np.int32)  # in units
    latents = np.array([[0.25 + 0.64, -1.5 - 0.66, 2.25 + 3.2, 9e9]], np.float32)
    found = Quantiser(np.ones(1, np.float32), 1.0, hysteresis=0.15, units=4).quantise_near(latents, kept)
    assert found.tolist() == [[1, -6 - 4, 9 + 12, SYMBOL_MAX // 4 * 4]]


def test_lossless_latents_pass_as_they_are() -> None:
    latents, quantiser = some_latents(3), LosslessQuantiser()
    assert quantiser.quantise(latents) is latents
    assert quantiser.dequantise(quantiser.quantise_near(latents, latents)) is latents
    assert quantiser.width(4).tolist() == [[[[1.0]]]]


def test_a_symbol_may_be_what_the_format_allows() -> None:
    assert (SYMBOL_MIN, SYMBOL_MAX) == (container.SYMBOL_MIN, container.SYMBOL_MAX)
