"""Protects BD-rate: closed forms, published curves, and that nothing is said where curves have no quality in common."""

from __future__ import annotations

import math

import pytest

from latcomp.metrics.bdrate import bd_rate, mean_of, monotone, ms_ssim_db, quality_at

CURVE = [(0.02, 30.0), (0.05, 33.0), (0.1, 35.5), (0.3, 39.0), (0.4, 39.8)]

# Rates and PSNR of the README and example_usage.py of github.com/FAU-LMS/bjontegaard (x265 at two presets), and of the
# demo of github.com/Anserw/Bjontegaard_metric. The values are what the former package, version 1.3.0, says with
# method='pchip', which agrees with the Excel sheet of JVET-T2010 to ten digits.
PUBLISHED = [
    (
        [(9487.76, 40.037), (4593.60, 38.615), (2486.44, 36.845), (1358.24, 34.851)],
        [(9787.80, 40.121), (4469.00, 38.651), (2451.52, 36.970), (1356.24, 34.987)],
        -4.417485350589,
    ),
    (
        [(82472.76, 43.825), (26875.24, 41.404), (9487.76, 40.037), (4593.6, 38.615)],
        [(99896.96, 44.731), (33952.04, 41.875), (9787.8, 40.121), (4469.0, 38.651)],
        -4.472182002762,
    ),
    (
        [(686.76, 40.28), (309.58, 37.18), (157.11, 34.24), (85.95, 31.42)],
        [(893.34, 40.39), (407.8, 37.21), (204.93, 34.17), (112.75, 31.24)],
        31.379878202398,
    ),
]


@pytest.mark.parametrize(("factor", "percent"), [(2.0, 100.0), (1.0, 0.0), (0.5, -50.0), (1.1, 10.0)])
def test_a_curve_at_a_multiple_of_the_rate_costs_that_much_more(factor: float, percent: float) -> None:
    assert bd_rate(CURVE, [(rate * factor, quality) for rate, quality in CURVE]) == pytest.approx(percent, abs=1e-9)


@pytest.mark.parametrize(("anchor", "test", "percent"), PUBLISHED)
def test_published_curves_have_their_published_values(
    anchor: list[tuple[float, float]], test: list[tuple[float, float]], percent: float
) -> None:
    assert bd_rate(anchor, test) == pytest.approx(percent, abs=1e-6)
    assert bd_rate(anchor[::-1], sorted(test)) == pytest.approx(percent, abs=1e-6)  # in any order


def test_only_the_common_qualities_count() -> None:
    """log rate linear in quality: 1 octave a dB for one, the same times 3 for the other from 32 dB on; they share 32 to
    34 dB.
    """
    anchor = [(2.0**q, 30.0 + q) for q in range(5)]
    test = [(3 * 2.0**q, 30.0 + q) for q in range(2, 8)]
    assert bd_rate(anchor, test) == pytest.approx(200.0)


def test_curves_without_a_common_quality_have_no_value() -> None:
    assert bd_rate(CURVE, [(rate, quality + 20) for rate, quality in CURVE]) is None
    assert (
        bd_rate(CURVE, [(rate, quality + 9.8) for rate, quality in CURVE]) is None
    )  # one point in common is no interval
    assert bd_rate(CURVE, CURVE[:1]) is None
    assert bd_rate(CURVE, []) is None


def test_points_that_a_cheaper_one_beats_are_dropped() -> None:
    worse = [*CURVE, (0.2, 35.0), (0.3, 38.0), (0.35, 39.0)]
    assert monotone(worse) == CURVE
    assert bd_rate(CURVE, worse) == pytest.approx(0.0, abs=1e-9)
    assert monotone([]) == []


def test_ms_ssim_in_decibels() -> None:
    assert ms_ssim_db(0.9) == pytest.approx(10.0)
    assert ms_ssim_db(0.99) == pytest.approx(20.0)
    assert ms_ssim_db(0.0) == 0.0
    assert ms_ssim_db(1.0) == 100.0


def test_quality_at_a_rate_is_on_the_curve_and_never_beyond_it() -> None:
    for rate, quality in CURVE:
        assert quality_at(CURVE, rate) == pytest.approx(quality)
    line = [(10.0**i, 10.0 * i) for i in range(-3, 1)]
    assert quality_at(line, math.sqrt(1e-3)) == pytest.approx(-15.0)
    assert quality_at(CURVE, 0.019) is None
    assert quality_at(CURVE, 0.41) is None
    assert quality_at([(0.1, 30.0)], 0.1) == 30.0
    assert quality_at([], 0.1) is None


def test_means_leave_out_what_is_not_there() -> None:
    assert mean_of([1.0, None, 3.0]) == 2.0
    assert mean_of([None]) is None
