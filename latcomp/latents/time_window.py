"""A stretch of time of a video or .lat file, by a start and a duration, in exact seconds from the first frame."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from latcomp.checks import checked_number
from latcomp.limits import SECONDS_MAX

# 10/24 as a float is not the time of frame 10: a time this near to a bound is taken to lie on it.
_TOLERANCE_SECONDS = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class TimeWindow:
    """What has a time t with start <= t < end, in exact arithmetic: 0.2 + 0.4 must not reach beyond 0.6."""

    start: Fraction
    end: Fraction | None
    """None: to the end."""

    @classmethod
    def of(cls, start_seconds: float | None, duration_seconds: float | None) -> TimeWindow:
        """The window of two settings in seconds. Raises `UsageError` for a negative start, a duration that is not above
        zero, and what is no time at all.
        """
        start = 0.0 if start_seconds is None else start_seconds
        checked_number("start_seconds", start, 0, SECONDS_MAX, "choose 0 seconds up to the video's length")
        first = _decimal(start)
        if duration_seconds is None:
            return cls(first, None)
        advice = "choose more than 0 seconds"
        checked_number("duration_seconds", duration_seconds, 0, math.inf, advice, above=True)
        return cls(first, first + _decimal(duration_seconds))

    def __str__(self) -> str:
        return f"between {float(self.start):g} s and {'the end' if self.end is None else f'{float(self.end):g} s'}"

    @property
    def whole(self) -> bool:
        """True when nothing is cut off."""
        return self.start == 0 and self.end is None

    def is_before(self, seconds: Fraction) -> bool:
        """True when a time lies before the start; what comes before the first frame, as the beginning of AAC does,
        belongs to that one.
        """
        return self.start > 0 and seconds < self.start - _TOLERANCE_SECONDS

    def is_past(self, seconds: Fraction) -> bool:
        """True when a time lies at the end or behind it."""
        return self.end is not None and seconds >= self.end - _TOLERANCE_SECONDS

    def holds(self, seconds: Fraction) -> bool:
        """True when a time lies inside."""
        return not (self.is_before(seconds) or self.is_past(seconds))

    def duration_within(self, whole: Fraction | None) -> Fraction | None:
        """Its seconds in a video that lasts `whole` (None: unknown)."""
        left = None if whole is None else max(Fraction(0), whole - self.start)
        wanted = None if self.end is None else self.end - self.start
        return min((duration for duration in (left, wanted) if duration is not None), default=None)


def _decimal(seconds: float) -> Fraction:
    """What a person means by a float: 0.2 is a fifth, not the binary number nearest to it."""
    return Fraction(repr(float(seconds)))
