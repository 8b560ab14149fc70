"""The step scale as a whole number of sixteenths of an octave, the same on every machine."""

from __future__ import annotations

import math
from bisect import bisect_right

# 0.5 * 2**((k - 1/2) / 16) for k = 1 ... 16: where a mantissa's sixteenth begins, to nine digits
_BOUNDS = (
    0.510948574,
    0.533570200,
    0.557193371,
    0.581862429,
    0.607623680,
    0.634525479,
    0.662618322,
    0.691954941,
    0.722590403,
    0.754582214,
    0.787990423,
    0.822877739,
    0.859309649,
    0.897354538,
    0.937083817,
    0.978572062,
)


def log_step_of(step_scale: float) -> int:
    """16 * log2(step_scale), rounded; step_scale is above 0."""
    mantissa, exponent = math.frexp(step_scale)
    return 16 * (exponent - 1) + bisect_right(_BOUNDS, mantissa)
