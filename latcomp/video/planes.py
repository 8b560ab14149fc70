"""Luma planes: made from RGB, made smaller, and compared when one is moved against the other. Whole numbers alone."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from latcomp.errors import UsageError

Plane = npt.NDArray[np.uint8]
ONE = 256
"""Mean differences are counted in 256ths of a level, places in 256ths of a pixel."""
_ROWS = 64  # converted at a time, so that what lies between stays in the cache


def luma(rgb: npt.NDArray[np.uint8]) -> Plane:
    """Return the luma (h, w) uint8 of RGB pixels (h, w, 3) uint8: (77 R + 150 G + 29 B + 128) >> 8.

    Raises UsageError for an array of another kind."""
    if rgb.dtype != np.uint8 or rgb.ndim != 3 or rgb.shape[2] != 3:
        raise UsageError(f"pixels of shape {rgb.shape} and type {rgb.dtype} are not RGB: give (h, w, 3) of uint8")
    height, width = rgb.shape[:2]
    out = np.empty((height, width), np.uint8)
    for top in range(0, height, _ROWS):
        red, green, blue = np.ascontiguousarray(rgb[top : top + _ROWS].reshape(-1, 3).T)
        total = np.multiply(red, 77, dtype=np.uint16)
        total += np.multiply(green, 150, dtype=np.uint16)
        total += np.multiply(blue, 29, dtype=np.uint16)
        total += 128
        total >>= 8
        out[top : top + _ROWS] = total.reshape(-1, width)
    return out


def pooled(plane: Plane, factor: int) -> Plane:
    """Return the rounded means (h // factor, w // factor) of a plane's blocks; factor: a power of two, 2 to 16."""
    height, width = plane.shape[0] // factor * factor, plane.shape[1] // factor * factor
    rows = np.add(plane[0:height:factor, :width], plane[1:height:factor, :width], dtype=np.uint16)
    for row in range(2, factor):
        rows += plane[row:height:factor, :width]
    total = rows[:, 0::factor] + rows[:, 1::factor]
    for column in range(2, factor):
        total += rows[:, column::factor]
    total += factor * factor // 2
    total >>= 2 * (factor.bit_length() - 1)
    return total.astype(np.uint8)


def inside(size: int, move: int) -> tuple[int, int]:
    """Return the first and the end of the places 0 to `size` that are also inside when moved by `move`."""
    return max(0, -move), min(size, size - move)


def pair(here: Plane, there: Plane, dy: int, dx: int, step: int = 1) -> tuple[Plane, Plane]:
    """Return what two pictures show of the same when place (y, x) of the one is (y + dy, x + dx) of the other.

    here: every `step`-th row of the one, from its first on; there: all rows (h, w) of the other. Both results have the
    shape of the overlap, which may be empty."""
    height, width = there.shape
    top, bottom = inside(height, dy)
    left, right = inside(width, dx)
    first, end = -(-top // step), -(-bottom // step)
    if first >= end or left >= right:
        return here[:0], there[:0]
    return (
        here[first:end, left:right],
        there[first * step + dy : (end - 1) * step + dy + 1 : step, left + dx : right + dx],
    )


def _clipped(one: Plane, other: Plane, clip: int) -> Plane:
    """Return the absolute differences of two planes of one shape, none above `clip`."""
    result = np.maximum(one, other)
    result -= np.minimum(one, other)
    np.minimum(result, clip, out=result)
    return result


def mean_difference(one: Plane, other: Plane, clip: int) -> int:
    """Return the mean of the absolute differences, each at most `clip`, in 256ths; that of all others if empty."""
    if one.size == 0:
        return clip * ONE
    return int(_clipped(one, other, clip).sum(dtype=np.uint32)) * ONE // one.size


def mean_square(one: Plane, other: Plane, clip: int) -> int:
    """Return the mean of the squared differences, each difference at most `clip`, in 256ths; that of all others if
    empty.

    Squares, because a parabola through them finds parts of pixels; clipped, so that what moves by itself or is new
    weighs little."""
    if one.size == 0:
        return clip * clip * ONE
    result = _clipped(one, other, clip)
    return int(np.multiply(result, result, dtype=np.uint16).sum(dtype=np.uint64)) * ONE // one.size
