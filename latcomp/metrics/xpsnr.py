"""XPSNR of luma: PSNR whose errors weigh less where the eye sees them less, in busy and in moving parts.

C. R. Helmrich, M. Siekmann, S. Becker, S. Bosse, D. Marpe, T. Wiegand, "XPSNR: A Low-Complexity Extension of the
Perceptually Weighted Peak Signal-to-Noise Ratio for High-Resolution Video Quality Assessment", ICASSP 2020, by FFmpeg's
filter of that name. Motion is weighed by the frame rate: up to 32 frames per second by first differences in time, above
by second ones."""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction

from latcomp.errors import UsageError
from latcomp.metrics.filters import PairFilter, has_filter
from latcomp.metrics.luma import PSNR_CAP_DB
from latcomp.metrics.meter import FramePair, Measured, check_size

FILTER = "xpsnr"
_KEY = "lavfi.xpsnr.xpsnr.y"
_ASSUMED_RATE = Fraction(25)  # frames per second, where a source does not say


def check_xpsnr() -> None:
    """Raise `UsageError` when the FFmpeg of this PyAV has no such filter."""
    if not has_filter(FILTER):
        raise UsageError("xpsnr needs a PyAV whose FFmpeg has the filter xpsnr: pip install -U av")


class Xpsnr:
    """Measures XPSNR; `rate` in frames per second. Raises `UsageError` as `check_xpsnr`."""

    def __init__(self, rate: Fraction | None) -> None:
        check_xpsnr()
        self._filter = PairFilter(FILTER, {}, (rate or _ASSUMED_RATE).limit_denominator(1_000_000))
        self._found: list[float] = []

    def add(self, pair: FramePair) -> None:
        """Take the next frame. Raises `UsageError` when it is too small."""
        if not self._found:
            check_size(FILTER, pair.reference_y)
        # not as libvmaf and psnr have it: the first one's activity is what errors are weighed by
        self._take(self._filter.push(pair.reference_y, pair.test_y))

    def finish(self) -> Measured:
        """dB of the video as FFmpeg gives it, of the mean root error, and of each frame; at most 100."""
        self._take(self._filter.end())
        return Measured(overall_of(self._found), [min(PSNR_CAP_DB, value) for value in self._found])

    def close(self) -> None:
        """Free the filter."""
        self._filter.close()

    def _take(self, ready: Iterable[dict[str, str]]) -> None:
        self._found += [float(metadata[_KEY]) for metadata in ready]


def overall_of(frames: list[float]) -> float:
    """dB of a video out of dB of its frames, inf for equal ones: of the mean root error; at most 100.

    As `get_avg_xpsnr` of FFmpeg's vf_xpsnr.c does, with weighted errors of 1 and more."""
    mean_root = math.fsum(10 ** (-value / 20) for value in frames) / len(frames)
    return PSNR_CAP_DB if mean_root <= 0 else min(PSNR_CAP_DB, -20 * math.log10(mean_root))
