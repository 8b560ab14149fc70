"""Latents to integers and back: a step for every channel, a scale for the quality."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.errors import UsageError

SYMBOL_BOUND = 2**15 - 1  # largest magnitude a symbol may have in a file
QUALITY_MAX = 10.0
SCALE_AT_ZERO = 3.55  # step scale of quality 0
QUALITY_OCTAVE = 2.5  # qualities over which the step halves


def step_scale_of(quality: float) -> float:
    """Step scale of a quality from 0 to 10: 3.55 at 0, halved every 2.5, 0.222 at 10. Raises `UsageError` outside the range."""
    if not 0 <= quality <= QUALITY_MAX:
        raise UsageError(f"quality {quality} is out of range: choose 0 (small) to 10 (exact)")
    return SCALE_AT_ZERO * 2.0 ** (-quality / QUALITY_OCTAVE)


@dataclass(frozen=True)
class Quantiser:
    """Uniform reconstruction, rounding with a dead zone.

    step: (C,) quantiser step of each channel at step scale 1; step_scale: factor on all of them; rounding: 0.5 rounds to the
    nearest integer, less draws values towards zero; hysteresis: how much further than half a step a value must move from its last
    kept symbol before it changes. Both save bits for little error, and nothing of either has to be known to the reader.
    """

    step: np.ndarray
    step_scale: float
    rounding: float = 0.5
    hysteresis: float = 0.0

    def _width(self, dims: int) -> np.ndarray:
        return (self.step * self.step_scale).astype(np.float32).reshape(-1, *[1] * (dims - 1))

    def quantise(self, latents: np.ndarray) -> np.ndarray:
        """int32 symbols (C, ...) of float32 latents (C, ...), clipped to the bound a file can hold."""
        scaled = np.abs(latents) / self._width(latents.ndim)
        size = np.minimum(np.floor(scaled + np.float32(self.rounding)), SYMBOL_BOUND)
        return np.where(latents < 0, -size, size).astype(np.int32)

    def quantise_near(self, latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """As `quantise`, but values within half a step and the hysteresis of `kept` (C, ...), dequantised, stay there."""
        width = self._width(latents.ndim)
        stays = np.abs(latents - kept) <= width * np.float32(0.5 + self.hysteresis)
        return np.where(stays, np.rint(kept / width).astype(np.int32), self.quantise(latents))

    def dequantise(self, symbols: np.ndarray) -> np.ndarray:
        """float32 latents (C, ...) of int32 symbols (C, ...)."""
        return symbols.astype(np.float32) * self._width(symbols.ndim)


@dataclass(frozen=True)
class Identity:
    """The quantiser of lossless files: latents pass unchanged, bit for bit."""

    def quantise(self, latents: np.ndarray) -> np.ndarray:
        """The latents themselves."""
        return latents

    def quantise_near(self, latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """The latents themselves."""
        return latents

    def dequantise(self, symbols: np.ndarray) -> np.ndarray:
        """The latents themselves."""
        return symbols
