"""The step scale says the same in every unit it is asked for in, on every machine."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from latcomp.latents import StepScale, log_step_of
from latcomp.latents.step_scale import _BOUNDS


def test_log_step() -> None:
    """Sixteenths of an octave are rounded right from the smallest to the largest step scale, and on either side of
    every bound.
    """
    for scale in np.geomspace(1e-12, 1e12, 20_001).tolist():
        assert log_step_of(scale) == StepScale(scale).log_step == round(16 * math.log2(scale))
    for exponent in (-3, 0, 1, 40):
        for number, bound in enumerate(_BOUNDS, 1):
            assert abs(bound - 2 ** ((number - 0.5) / 16 - 1)) < 6e-10
            inside = 16 * (exponent - 1) + number
            assert log_step_of(math.ldexp(bound, exponent)) == inside
            assert log_step_of(math.ldexp(math.nextafter(bound, 0), exponent)) == inside - 1


def test_32_adjustments_double_the_step() -> None:
    assert StepScale(0.5, 32).value == 1.0
    assert StepScale(0.5, -32).value == 0.25
    assert StepScale(1.0, 16).value == pytest.approx(2**0.5)


@given(st.floats(1e-6, 1e6), st.integers(-128, 127))
def test_the_adjustment_counts_by_half_in_sixteenths(base: float, adjust: int) -> None:
    """Two 32nds are a sixteenth; an odd one is rounded down, so that no rounding of a machine is asked."""
    scale = StepScale(base, adjust)
    assert scale.log_step == log_step_of(base) + math.floor(adjust / 2)
    assert abs(scale.log_step - 16 * math.log2(scale.value)) <= 1 + 1e-6


def test_another_adjustment_replaces_the_one_before() -> None:
    """It is over the file's scale, not over the segment's."""
    scale = StepScale(0.7, 9)
    assert scale.adjusted(-4) == StepScale(0.7, -4)
    assert scale.adjusted(-4).adjusted(9) == scale
    assert scale.adjusted(0).value == 0.7
