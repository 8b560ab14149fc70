"""The times frames get in an output: those they came with, or the nearest places of a regular grid."""

from fractions import Fraction

from latcomp.errors import UsageError


class OutputTimes:
    """Gives each frame its time in the output, one after the other."""

    def __init__(self, time_base: Fraction, rate: Fraction, *, exact: bool, gaps: bool = True) -> None:
        """time_base: seconds per unit of the pts that come; rate: frames a second; exact: whether the output holds any time,
        else only multiples of 1 / rate, of which it may leave some out if it holds `gaps`."""
        self.unit = time_base if exact else 1 / rate
        """Seconds per unit of the output's pts."""
        self.regular = True
        """False once a frame's own time was not on the grid that it was put on."""
        self._time_base, self._rate, self._exact, self._gaps = time_base, rate, exact, gaps
        self._first: int | None = None
        self._last = 0
        self._place = -1  # of the last frame on the grid
        self._count = 0
        self._step = self._shortest = self._longest = 0  # between two frames: the last one, and the extremes

    @property
    def shift(self) -> Fraction | None:
        """Seconds that a grid takes off every time because it begins with the first frame; None while that is not known."""
        if self._exact:
            return Fraction(0)
        return None if self._first is None else self._first * self._time_base

    def next(self, pts: int) -> int:
        """Return the time of the next frame, in `unit`; UsageError when `pts` does not increase."""
        if self._first is None:
            self._first = pts
        elif pts <= self._last:
            raise UsageError(f"timestamps of frames must increase: {pts} follows {self._last}")
        else:
            self._step = pts - self._last
            self._longest = max(self._longest, self._step)
            self._shortest = min(self._shortest or self._step, self._step)
        self._last = pts
        self._count += 1
        if self._exact:
            return pts
        wanted = (pts - self._first) * self._time_base * self._rate
        self._place = max(self._place + 1, round(wanted)) if self._gaps else self._place + 1
        self.regular = self.regular and abs(wanted - self._place) < Fraction(1, 2)
        return self._place

    def last_duration(self) -> int:
        """Return how long the last frame is shown, in `unit`.

        The average rate is frames over duration in most files, and tells the duration of the whole. Where that makes no sense
        for the last frame (the rate is a file's mere word, or that of more than these frames), it is shown as long as the
        one before, or as the rate says where times vary.
        """
        if not self._exact or self._first is None:
            return 1
        whole = self._count / self._rate / self._time_base
        rest = round(whole - (self._last - self._first))
        if self._count == 1:
            return max(1, rest)
        if self._shortest <= 4 * rest and rest <= 4 * self._longest:
            return rest
        even = self._longest - self._shortest <= 2  # rounded times differ by one, in either direction
        return self._step if even else max(1, round(1 / self._rate / self._time_base))
