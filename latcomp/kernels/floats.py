"""Whole numbers in the matrix products of floating-point numbers that numpy has on every machine: exact as long as no
sum passes what a mantissa holds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.kernels.layer import ACTIVATION_MAX, WEIGHT_SHIFT, Layer, largest_sum

BLOCK = 512  # rows at once: what they are as floats stays in the processor's cache
LARGEST = 2**24 - (1 << WEIGHT_SHIFT)  # sums of float32 that are exact, and still so with a half activation more


@dataclass(frozen=True)
class FloatLayer:
    """See `Layer`."""

    weight: np.ndarray
    """float32 or float64 (K, N)."""
    bias: np.ndarray

    def sums(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.sums`."""
        found = np.empty((len(x), self.weight.shape[1]), np.float32 if self.weight.dtype == np.float32 else np.int32)
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            product = x[rows].astype(self.weight.dtype) @ self.weight
            np.add(product, self.bias, out=found[rows], casting="unsafe")
        return found

    def activations(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.activations`."""
        found = np.empty((len(x), self.weight.shape[1]), np.uint8)
        # powers of two change no digit of what is scaled by them
        weight = self.weight
        for start in range(0, len(x), BLOCK):
            rows = slice(start, start + BLOCK)
            product = x[rows].astype(weight.dtype) @ weight
            product += self.bias
            product *= weight.dtype.type(2.0**-WEIGHT_SHIFT)
            product += weight.dtype.type(0.5)
            np.clip(product, 0, ACTIVATION_MAX, out=product)  # what is cut off behind the point is cut off by the cast
            found[rows] = product
        return found


@dataclass(frozen=True)
class Floats:
    """See `Kernels`. float32, or float64 for layers whose sums are too large for that."""

    name: str = "numpy floats"

    def layer(self, weight: np.ndarray, bias: np.ndarray) -> Layer:
        """See `Kernels.layer`."""
        dtype = np.float32 if largest_sum(weight, bias) <= LARGEST else np.float64
        return FloatLayer(weight.astype(dtype), bias.astype(dtype))


FLOATS = Floats()
