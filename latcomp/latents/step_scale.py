"""The factor on all quantiser steps: one object, whichever unit it is asked for in."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass

ADJUST_PER_OCTAVE = 32  # a segment's adjustment is stored in 32nds of an octave
ADJUST_MIN, ADJUST_MAX = -128, 127  # what a group can hold of it
SCALE_MIN, SCALE_MAX = 1e-12, 1e12  # what a header can hold
LOG_STEP_PER_OCTAVE = 16  # the prior knows the scale in sixteenths of one

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
    """16 * log2(step_scale), rounded, the same on every machine; step_scale is above 0."""
    mantissa, exponent = math.frexp(step_scale)
    return LOG_STEP_PER_OCTAVE * (exponent - 1) + bisect_right(_BOUNDS, mantissa)


@dataclass(frozen=True)
class StepScale:
    """The step scale of a segment: that of the file, and the segment's own adjustment of it."""

    base: float
    """Of the file: what its quality stands for."""
    adjust: int = 0
    """32nds of an octave by which the segment's steps are above it, -128 to 127."""

    @property
    def value(self) -> float:
        """The factor on all steps; what a tokenizer's decoder is conditioned on."""
        return float(self.base * 2.0 ** (self.adjust / ADJUST_PER_OCTAVE))

    @property
    def log_step(self) -> int:
        """Sixteenths of an octave, in whole numbers throughout: what the prior is conditioned on."""
        return log_step_of(self.base) + (self.adjust >> 1)

    def adjusted(self, adjust: int) -> StepScale:
        """The same file's scale under another adjustment."""
        return StepScale(self.base, adjust)
