"""Quantiser steps and normalisation of a tokenizer that brings none of its own, fitted from its latents.

A public tokenizer was not trained with a quantiser, so nothing says how large its steps are to be. Only the relative
size from channel to channel may be known, as by the gain of its decoder; the common factor is chosen so that a quality
means about the same relative error whatever the tokenizer.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from latcomp.errors import UsageError

STEP_MIN, STEP_MAX = 1e-9, 1e9
"""Of a step and a scale in a file: times any step scale and symbol float32 still holds them."""
DIGITS = 4  # significant digits of fitted numbers: as text they are short, and every reader has the same float32
SCALE_AT_DEFAULT = 0.9375  # step scale of the default quality
SHARE_AT_DEFAULT = 0.2
"""The step there over the latents' standard deviation: a relative squared error of 0.2^2 / 12 = 3.3e-3, and a little
more where values are held."""
QUIETEST = 1e-3  # a channel that hardly varies is given no less than this share of the usual deviation


@dataclass(frozen=True)
class Steps:
    """What a reader and an encoder need of a tokenizer's latents. Raises `UsageError` for numbers out of range."""

    channel_step: tuple[float, ...]
    """Quantiser step of each channel at step scale 1, C numbers."""
    channel_scale: tuple[float, ...]
    """What a difference in each channel is divided by, C numbers."""

    def __post_init__(self) -> None:
        if len(self.channel_step) != len(self.channel_scale) or not self.channel_step:
            raise UsageError("steps and scales are needed for the same channels, one of each")
        for name in ("channel_step", "channel_scale"):
            for value in getattr(self, name):
                if not STEP_MIN <= value <= STEP_MAX:
                    raise UsageError(f"{name}: {value:g} is out of range: {STEP_MIN:g} to {STEP_MAX:g}")

    @property
    def step(self) -> np.ndarray:
        """float32 (C,): the steps as a quantiser takes them."""
        return np.array(self.channel_step, np.float32)

    @property
    def scale(self) -> np.ndarray:
        """float32 (C,): the scales as a selection takes them."""
        return np.array(self.channel_scale, np.float32)

    def to_json(self) -> dict[str, list[float]]:
        """The header's member `steps`."""
        return {"channel_step": list(self.channel_step), "channel_scale": list(self.channel_scale)}

    @classmethod
    def from_json(cls, found: dict[str, list[float]]) -> Steps:
        """Those of a header's member `steps`."""
        return cls(tuple(found["channel_step"]), tuple(found["channel_scale"]))


def fit_steps(latents: np.ndarray, weights: tuple[float, ...] | None = None, most_off: float = math.inf) -> Steps:
    """Steps for latents (C, T, h, w) and what is like them.

    weights: (C,) relative steps of the channels, None where nothing is known: then all are alike, which is the least
    squared error in the latents for the bits. At `SCALE_AT_DEFAULT` the root mean square of the steps is
    `SHARE_AT_DEFAULT` of the latents' standard deviation, but no more than `most_off` times larger or smaller than that
    of the weights. Scales are each channel's own deviation, by a common factor such that a channel that varies as usual
    has its step as its scale: a temporal difference then counts whole steps, as `CodingProfile.dropped_changes` does.
    Latents that do not vary at all have steps of 1. Raises `UsageError` for weights that are not C numbers above
    zero."""
    channels = len(latents)
    given = np.ones(channels) if weights is None else np.array(weights, np.float64)
    if given.shape != (channels,) or not (np.isfinite(given).all() and (given > 0).all()):
        raise UsageError(f"{channels} relative steps above zero are needed, one a channel")
    deviations = deviation_of_channels(latents)
    usual = float(np.sqrt(np.mean(np.square(deviations))))
    if not usual > 0 or not np.isfinite(usual):
        usual = SCALE_AT_DEFAULT / SHARE_AT_DEFAULT
        deviations = np.full(channels, usual)
    guess = float(np.sqrt(np.mean(np.square(given))))
    size = min(max(usual * SHARE_AT_DEFAULT / SCALE_AT_DEFAULT, guess / most_off), guess * most_off)
    steps = given * (size / guess)
    scales = np.maximum(deviations, QUIETEST * usual) * (size / usual)
    return Steps(rounded(steps), rounded(scales))


def deviation_of_channels(latents: np.ndarray) -> np.ndarray:
    """float64 (C,): standard deviation of each channel of latents (C, ...) about its own mean."""
    flat = latents.reshape(len(latents), -1)
    return np.array([np.std(channel, dtype=np.float64) for channel in flat])


def deviation_of(latents: np.ndarray) -> float:
    """Standard deviation of latents (C, ...) as one number: the root of the mean variance of their channels, each about
    its own mean."""
    return float(np.sqrt(np.mean(np.square(deviation_of_channels(latents)))))


def rounded(values: np.ndarray) -> tuple[float, ...]:
    """Numbers of so many significant digits that text holds them exactly, within what a file may say."""
    return tuple(float(f"{min(max(float(value), STEP_MIN), STEP_MAX):.{DIGITS}g}") for value in values)
