"""What a layer of whole numbers is, and how large its sums can be."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from latcomp.errors import UsageError

ACTIVATION_MAX = 127
"""Largest activation; the smallest is 0. Two products of it with a weight fit 16 bits: 2 * 127 * 127 < 2**15, so no
processor's way of multiplying bytes, which adds pairs in 16 bits, can cut one off."""
WEIGHT_MAX = 127
WEIGHT_SHIFT = 8
"""From a sum to an activation: weights are whole numbers of 1/256."""
SUM_MAX = 2**31 - 1 - (1 << WEIGHT_SHIFT)


class Layer(Protocol):
    """Weights (K, N) and biases (N,), made ready for many products."""

    def sums(self, x: np.ndarray) -> np.ndarray:
        """(n, N) whole numbers, as int32 or float32: products of activations uint8 (n, K) with the weights, and the
        biases."""
        ...

    def activations(self, x: np.ndarray) -> np.ndarray:
        """uint8 (n, N): the sums in units of activations, (sum + 128) >> 8, cut to 0 ... 127."""
        ...


class Kernels(Protocol):
    """A way to multiply whole numbers; those that multiply alike are equal."""

    def __hash__(self) -> int: ...

    @property
    def name(self) -> str:
        """For people."""
        ...

    def layer(self, weight: np.ndarray, bias: np.ndarray) -> Layer:
        """weight: int8 (K, N), -127 to 127; bias: int32 (N,). Raises `UsageError` for others, and where a sum could
        pass 32 bits."""
        ...


def activations_of(sums: np.ndarray) -> np.ndarray:
    """uint8 (...) activations of whole sums (...)."""
    half = 1 << (WEIGHT_SHIFT - 1)
    found: np.ndarray = np.clip((sums + half) >> WEIGHT_SHIFT, 0, ACTIVATION_MAX).astype(np.uint8)
    return found


def largest_sum(weight: np.ndarray, bias: np.ndarray) -> int:
    """What no sum of a layer, nor any part of one, can pass in magnitude. Raises `UsageError` as `Kernels.layer`
    does."""
    if weight.dtype != np.int8 or weight.ndim != 2 or bias.dtype != np.int32 or bias.shape != weight.shape[1:]:
        raise UsageError(
            f"a layer takes int8 weights (K, N) and int32 biases (N,), not {weight.dtype} {weight.shape} and "
            f"{bias.dtype} {bias.shape}"
        )
    if weight.size and int(weight.min()) < -WEIGHT_MAX:
        raise UsageError(f"a layer's weights are from {-WEIGHT_MAX} to {WEIGHT_MAX}")
    sums = ACTIVATION_MAX * np.abs(weight.astype(np.int64)).sum(0) + np.abs(bias.astype(np.int64))
    most = int(sums.max(initial=0))
    if most > SUM_MAX:
        raise UsageError("a layer's sums can pass 32 bits")
    return most
