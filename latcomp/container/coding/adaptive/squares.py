"""Least squares in whole numbers: weights that follow what was seen, the same on every machine.

Recursive least squares over all channels at once, each with weights of its own: sums of products are gathered, and
solved by LDL' elimination in fixed point."""

from __future__ import annotations

import numpy as np

CAP = 8191  # magnitudes of terms and of what is to be found, in eighths
WEIGHT_BITS = 16
WEIGHT_MAX = 1 << 19  # a weight of 8
FACTOR_MAX = 1 << 31
NORMAL_BITS = 30  # of the largest sum of squares when it is solved
RIDGE_SHIFT = 10
ROWS_KEPT = 256  # that the past counts for at most, behind each latent frame


def capped(values: np.ndarray) -> np.ndarray:
    """Terms cut to what sums of their products have room for."""
    return _cut(values, CAP)


def _cut(values: np.ndarray, most: int) -> np.ndarray:
    """Values cut to a magnitude; for few of them np.clip takes five times as long."""
    found: np.ndarray = np.minimum(np.maximum(values, -most), most)
    return found


class Squares:
    """Sums of products of K terms and of what is to be found from them, for each of C channels."""

    def __init__(self, channels: int, terms: int, ridge: int) -> None:
        """ridge: added to each sum of squares, so that little data gives small weights."""
        self.sums = np.zeros((channels, terms + 1, terms + 1), np.int64)
        self.rows = np.zeros(channels, np.int64)
        """Rows that were gathered for each channel, as far as they still count."""
        self._ridge = ridge

    def add(self, terms: np.ndarray, wanted: np.ndarray, some: slice = slice(None)) -> None:
        """Gather n rows of some channels, c of them: terms (c, K, n) and what they should have given (c, n), whole
        numbers of at most `CAP`.
        """
        # float64 holds these sums exactly: products of 26 bits, fewer than 2**27 of them
        rows = np.empty((len(terms), terms.shape[1] + 1, terms.shape[2]))
        rows[:, :-1], rows[:, -1] = terms, wanted
        self.sums[some] += np.matmul(rows, rows.transpose(0, 2, 1)).astype(np.int64)
        self.rows[some] += rows.shape[2]

    def fade(self) -> None:
        """A latent frame ends: all that was seen counts as `ROWS_KEPT` rows from now on, where it was more."""
        many = np.flatnonzero(self.rows > ROWS_KEPT)
        self.sums[many] = self.sums[many] * ROWS_KEPT // self.rows[many, None, None]
        self.rows[many] = ROWS_KEPT

    def weights(self, terms: int) -> np.ndarray:
        """int64 (C, terms) of 1 / 2**16: of the first so many terms alone, the others taken for zero."""
        used = [*range(terms), self.sums.shape[1] - 1]
        sums = self.sums[:, used][:, :, used]
        diagonal = np.arange(terms)
        sums[:, diagonal, diagonal] += (sums[:, diagonal, diagonal] >> RIDGE_SHIFT) + self._ridge
        largest = sums[:, np.arange(terms + 1), np.arange(terms + 1)].max(axis=1)
        shift = np.maximum(np.frexp(largest.astype(np.float64))[1] - NORMAL_BITS, 0)
        sums >>= shift[:, None, None]
        least = np.maximum(sums[:, diagonal, diagonal] >> RIDGE_SHIFT, 1)
        factors = np.zeros_like(sums)
        for j in range(terms):
            pivot = np.maximum(sums[:, j, j], least[:, j])
            column = sums[:, j + 1 :, j]
            factor = _cut((column << WEIGHT_BITS) // pivot[:, None], FACTOR_MAX)
            factors[:, j + 1 :, j] = factor
            sums[:, j + 1 :, j + 1 :] -= (factor[:, :, None] * column[:, None, :]) >> WEIGHT_BITS
        found = np.zeros((len(sums), terms), np.int64)
        for i in range(terms - 1, -1, -1):
            known = (factors[:, i + 1 : terms, i] * found[:, i + 1 :]) >> WEIGHT_BITS
            found[:, i] = _cut(factors[:, terms, i] - known.sum(axis=1), WEIGHT_MAX)
        return found
