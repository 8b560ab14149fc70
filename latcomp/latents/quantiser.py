"""Latents to integers and back: a step for every channel, a scale for the quality, finer steps for what will be
held.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

SYMBOL_MIN, SYMBOL_MAX = -(2**15), 2**15 - 1  # what a symbol may be in a file, as FORMAT.md says


@dataclass(frozen=True)
class Quantiser:
    """Uniform reconstruction in whole units; a step is `units` of them, so that single tokens may have finer steps.

    step: (C,) quantiser step of each channel at step scale 1; step_scale: factor on all of them; units: units a step, a
    power of two; rounding: 0.5 rounds to the nearest multiple, less draws values towards zero; hysteresis: how much
    further than half a step a value must move from its last kept one before it changes. The last two save bits for
    little error, and the reader need not know them."""

    step: np.ndarray
    step_scale: float
    rounding: float = 0.5
    hysteresis: float = 0.0
    units: int = 1
    dtype: ClassVar[type[np.generic]] = np.int32

    def width(self, dims: int) -> np.ndarray:
        """float32 size of a unit in each channel, shaped to broadcast over (C, ...) of `dims` dimensions."""
        return (self.step * (self.step_scale / self.units)).astype(np.float32).reshape(-1, *[1] * (dims - 1))

    @property
    def halvings_most(self) -> int:
        """How many times a step can be halved."""
        return self.units.bit_length() - 1

    def quantise(self, latents: np.ndarray, halvings: np.ndarray | None = None) -> np.ndarray:
        """int32 symbols (C, ...), in units, of float32 latents (C, ...): multiples of the step halved `halvings`
        (...) times.

        Clipped to what a file can hold: a network may answer a picture it never saw the like of with latents of any
        size."""
        multiple = (
            np.float32(self.units) if halvings is None else (self.units >> halvings.astype(np.int32)).astype(np.float32)
        )
        scaled = np.abs(latents) / (self.width(latents.ndim) * multiple)
        size = np.minimum(
            np.floor(scaled + np.float32(self.rounding)) * multiple, SYMBOL_MAX // self.units * self.units
        )
        found: np.ndarray = np.where(latents < 0, -size, size).astype(np.int32)
        return found

    def quantise_near(self, latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """Symbols of latents (C, ...) that are whole steps from `kept` (C, ...), symbols too, and equal to it within
        the hysteresis.

        Clipped to what a file can hold, by whole steps too.
        """
        # in float32 throughout: numpy would take int32 x float32 to float64
        inverse = 1 / (self.width(latents.ndim) * np.float32(self.units))
        distance = latents * inverse
        distance -= kept.astype(np.float32) * np.float32(1 / self.units)
        steps = np.rint(distance)
        steps[np.abs(distance, out=distance) <= np.float32(0.5 + self.hysteresis)] = 0
        np.clip(
            steps, SYMBOL_MIN - SYMBOL_MAX, SYMBOL_MAX - SYMBOL_MIN, out=steps
        )  # so that they are whole numbers of 32 bits
        whole = steps.astype(np.int32)
        found: np.ndarray = kept + whole * np.int32(self.units)
        if found.size and (found.min() < SYMBOL_MIN or found.max() > SYMBOL_MAX):
            whole = np.clip(whole, -((kept - SYMBOL_MIN) // self.units), (SYMBOL_MAX - kept) // self.units)
            found = kept + whole * np.int32(self.units)
        return found

    def dequantise(self, symbols: np.ndarray) -> np.ndarray:
        """float32 latents (C, ...) of int32 symbols (C, ...)."""
        found: np.ndarray = symbols.astype(np.float32) * self.width(symbols.ndim)
        return found


@dataclass(frozen=True)
class LosslessQuantiser:
    """The quantiser of lossless files: latents pass unchanged, bit for bit."""

    units: int = 1
    dtype: ClassVar[type[np.generic]] = np.float32

    def width(self, dims: int) -> np.ndarray:
        """One, as float32."""
        return np.ones((1,) * dims, np.float32)

    def quantise(self, latents: np.ndarray, halvings: np.ndarray | None = None) -> np.ndarray:
        """The latents themselves."""
        return latents

    def quantise_near(self, latents: np.ndarray, kept: np.ndarray) -> np.ndarray:
        """The latents themselves."""
        return latents

    def dequantise(self, symbols: np.ndarray) -> np.ndarray:
        """The latents themselves."""
        return symbols
