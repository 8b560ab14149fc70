"""BD-rate: how many more bits one codec needs than another at equal quality, and quality read off a curve at a given
rate.

G. Bjontegaard, "Calculation of average PSNR differences between RD-curves", VCEG-M33, 2001, in the variant of the
common test conditions of HEVC and VVC (F. Bossen, JCTVC-L1100; JVET-T2010): the logarithm of the rate is interpolated
over quality by piecewise cubic Hermite polynomials (PCHIP) instead of one cubic through all points, which overshoots.
MS-SSIM is close to 1 over most of a curve, so it is interpolated in decibels, -10 log10(1 - MS-SSIM)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from scipy.interpolate import PchipInterpolator  # type: ignore[import-untyped]

MS_SSIM_CAP_DB = 100.0
"""What frames without any difference count as, as for PSNR."""

Point = tuple[float, float]
"""Bits per pixel (above 0), quality (higher is better)."""


def ms_ssim_db(value: float) -> float:
    """MS-SSIM, 0 to 1, in decibels: -10 log10(1 - value), at most 100."""
    return min(MS_SSIM_CAP_DB, float(-10 * np.log10(max(1 - value, 1e-12))))


def monotone(points: Iterable[Point]) -> list[Point]:
    """The points in order of rate that are better than every cheaper one: rate and quality both strictly increase."""
    kept: list[Point] = []
    for rate, quality in sorted(points, key=lambda point: (point[0], -point[1])):
        if not kept or quality > kept[-1][1]:
            kept.append((rate, quality))
    return kept


def bd_rate(anchor: Sequence[Point], test: Sequence[Point]) -> float | None:
    """Percent more bits that `test` needs than `anchor`, mean over the qualities both reach; negative is fewer bits.

    anchor, test: (bits per pixel, quality) in any order; points that a cheaper one beats are dropped. None when the
    curves have no interval of quality in common, or fewer than two points are left on one of them."""
    curves = [monotone(anchor), monotone(test)]
    if min(map(len, curves)) < 2:
        return None
    low = max(curve[0][1] for curve in curves)
    high = min(curve[-1][1] for curve in curves)
    if low >= high:
        return None
    of_anchor, of_test = (
        float(_pchip([quality for _, quality in curve], np.log([rate for rate, _ in curve])).integrate(low, high))
        for curve in curves
    )
    return float(np.expm1((of_test - of_anchor) / (high - low)) * 100)


def quality_at(points: Sequence[Point], rate: float) -> float | None:
    """Quality of a curve at a rate in bits per pixel, interpolated over the logarithm of the rate; None outside the
    curve.

    points: as for `bd_rate`.
    """
    curve = monotone(points)
    if not curve or not curve[0][0] <= rate <= curve[-1][0]:
        return None
    if len(curve) == 1:
        return curve[0][1]
    logs = np.log([point[0] for point in curve])
    # rounding must not push a rate that is the curve's own end past it
    return float(_pchip(logs, [point[1] for point in curve])(np.clip(np.log(rate), logs[0], logs[-1])))


def mean_of(values: Iterable[float | None]) -> float | None:
    """Mean of the values there are; None without any."""
    there = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None


def _pchip(x: Sequence[float] | np.ndarray, y: Sequence[float] | np.ndarray) -> PchipInterpolator:
    """The interpolator through some points; x strictly increasing."""
    from scipy.interpolate import PchipInterpolator

    return PchipInterpolator(np.asarray(x, float), np.asarray(y, float))
