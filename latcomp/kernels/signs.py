"""Inputs with a sign as pairs of activations: what is above zero, and what is below.

Processors multiply bytes without a sign by bytes with one. -127 to 127 moved up by 127 would give pairs of products
that pass 16 bits, which some cut off; two activations one of which is always zero never do."""

from __future__ import annotations

import numpy as np


def both_signs(weight: np.ndarray) -> np.ndarray:
    """int8 (2K, N) weights of pairs, for weights int8 (K, N), -127 to 127, of inputs with a sign."""
    return np.stack([weight, -weight], axis=1).reshape(-1, weight.shape[1])


class SignedTable:
    """Looks pairs of activations up for whole numbers with a sign; those beyond the table are as its ends."""

    def __init__(self, magnitudes: np.ndarray) -> None:
        """magnitudes: (n,) activations of 0 to n - 1; those of -1 to 1 - n are as large, and below zero."""
        self.limit = len(magnitudes) - 1
        pairs = np.zeros((2 * self.limit + 1, 2), np.uint8)
        pairs[self.limit :, 0] = magnitudes
        pairs[self.limit :: -1, 1] = magnitudes
        pairs[self.limit, 1] = 0
        self._pairs = pairs.view(np.uint16)[:, 0]  # two bytes at once

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """uint16 (...): the pair of each of int32 values (...), as two bytes that stand together; `.view(np.uint8)`
        gives them."""
        found: np.ndarray = self._pairs.take(np.add(values, self.limit, dtype=np.intp), mode="clip")
        return found
