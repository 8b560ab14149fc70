"""The part of a video that is wanted, in exact seconds from its first frame."""

import math
from dataclasses import dataclass
from fractions import Fraction

from latcomp.errors import UsageError

# 10/24 as a float is not the time of frame 10: a time this near to a bound is taken to lie on it.
_TOLERANCE_SECONDS = Fraction(1, 1_000_000)


@dataclass(frozen=True)
class Part:
    """What has a time t with start <= t < end."""

    start: Fraction
    end: Fraction | None
    """None: to the end of the video."""

    @classmethod
    def of(cls, start_seconds: float | None, duration_seconds: float | None) -> "Part":
        """Return the part that two settings mean; UsageError for a negative start or a duration that is not above zero."""
        if start_seconds is not None and not 0 <= start_seconds < math.inf:
            raise UsageError(f"--start must be 0 or more seconds, not {start_seconds}")
        if duration_seconds is not None and not 0 < duration_seconds < math.inf:
            raise UsageError(f"--duration must be more than 0 seconds, not {duration_seconds}")
        start = _decimal(start_seconds or 0)
        return cls(start, None if duration_seconds is None else start + _decimal(duration_seconds))

    def __str__(self) -> str:
        return f"between {float(self.start):g} s and {'the end' if self.end is None else f'{float(self.end):g} s'}"

    @property
    def whole(self) -> bool:
        """True when it is all of the video."""
        return self.start == 0 and self.end is None

    def is_before(self, seconds: Fraction) -> bool:
        """Tell whether a time lies before the part; what comes before the first frame, as AAC does, belongs to that one."""
        return self.start > 0 and seconds < self.start - _TOLERANCE_SECONDS

    def is_past(self, seconds: Fraction) -> bool:
        """Tell whether a time lies behind the part."""
        return self.end is not None and seconds >= self.end - _TOLERANCE_SECONDS

    def duration_within(self, whole: Fraction | None) -> Fraction | None:
        """Return its seconds in a video that lasts `whole` (None: unknown)."""
        left = None if whole is None else max(Fraction(0), whole - self.start)
        wanted = None if self.end is None else self.end - self.start
        return min((duration for duration in (left, wanted) if duration is not None), default=None)


def _decimal(seconds: float) -> Fraction:
    """Return what a person means by a float: 0.2 is a fifth, not the binary number nearest to it."""
    return Fraction(repr(float(seconds)))
