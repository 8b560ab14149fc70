"""Activations of places around, one behind the other: the inputs of a layer that looks at its neighbours."""

from __future__ import annotations

import numpy as np

BLOCK = 512  # rows at once: what is gathered stays in the processor's cache until it lies where it belongs


def gather(values: np.ndarray, around: np.ndarray, out: np.ndarray) -> None:
    """Put the values (P, c) of k places around, intp (n, k), into the first k * c columns of out (n, >= k * c).

    values, out: uint8; around: from 0 to P - 1, which is not checked."""
    count, places = around.shape
    width = places * values.shape[1]
    scratch = np.empty((min(count, BLOCK), places, values.shape[1]), np.uint8)
    for start in range(0, count, BLOCK):
        some = around[start : start + BLOCK]
        # numpy copies whole rows only into what stands together, and only where it need not look out for bad numbers
        found = np.take(values, some, axis=0, out=scratch[: len(some)], mode="clip")
        out[start : start + BLOCK, :width] = found.reshape(len(some), width)


def neighbours(values: np.ndarray, around: np.ndarray, *more: np.ndarray) -> np.ndarray:
    """uint8 (n, k * c + ...): the values (P, c) of k places around (n, k), and behind them other inputs (n, ...) of the
    same layer."""
    widths = [around.shape[1] * values.shape[1], *(part.shape[1] for part in more)]
    found = np.empty((len(around), sum(widths)), np.uint8)
    gather(values, around, found)
    start = widths[0]
    for part, width in zip(more, widths[1:], strict=True):
        found[:, start : start + width] = part
        start += width
    return found
