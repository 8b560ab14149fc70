"""The times frames get in an output: those they came with, or the nearest places of a regular grid."""

from fractions import Fraction

from latcomp.errors import OutputError, UsageError

_FINEST = Fraction(1, 1_000_000)  # seconds: a unit below this leaves mp4 no room for a gap of half an hour
_REPEATS_MAX = 1000


class OutputTimes:
    """Gives each frame its time in the output, one after the other."""

    def __init__(
        self, time_base: Fraction, rate: Fraction, *, exact: bool, gaps: bool = True, longest: int | None = None
    ) -> None:
        """time_base: seconds per unit of the pts that come; rate: frames per second; exact: whether the output holds
        any time, else only multiples of 1 / rate, of which it may leave some out if it holds `gaps`; longest: units
        that a frame may be shown, None for any number."""
        self.unit = max(time_base, _FINEST) if exact else 1 / rate
        """Seconds per unit of the output's pts."""
        self.regular = True
        """False once a frame's own time was not on the grid that it was put on."""
        self._time_base, self._rate, self._exact, self._gaps = time_base, rate, exact, gaps
        self._longest = longest
        self._first: int | None = None
        self._last = 0
        self._place = 0  # of the last frame in the output
        self._count = 0
        self._step = self._shortest = self._longest_step = 0  # between two frames: the last one, and the extremes

    @property
    def shift(self) -> Fraction | None:
        """Seconds that are taken off every time; None while that is not known.

        A grid begins with the first frame. So does every output whose first frame would come before 0, where nothing
        plays."""
        if self._first is None:
            return None
        return self._first * self._time_base if not self._exact or self._first < 0 else Fraction(0)

    def next(self, pts: int) -> int:
        """Return the time of the next frame, in `unit`; UsageError when `pts` does not increase."""
        begins = self._first is None
        if self._first is None:
            self._first = pts
        elif pts <= self._last:
            raise UsageError(f"timestamps of frames must increase: {pts} follows {self._last}")
        else:
            self._step = pts - self._last
            self._longest_step = max(self._longest_step, self._step)
            self._shortest = min(self._shortest or self._step, self._step)
        self._last = pts
        self._count += 1
        wanted = (pts * self._time_base - (self.shift or 0)) / self.unit
        if self._exact:
            self._place = round(wanted) if begins else max(self._place + 1, round(wanted))
        else:
            self._place = (
                round(wanted) if begins else max(self._place + 1, round(wanted)) if self._gaps else self._place + 1
            )
            self.regular = self.regular and abs(wanted - self._place) < Fraction(1, 2)
        return self._place

    def shown_from(self, time: int, until: int) -> list[int]:
        """Return when a frame that is shown from `time` until `until` must be written: again where the output holds no
        longer step.

        OutputError where that would be absurdly often.
        """
        if self._longest is None or until - time <= self._longest:
            return [time]
        if until - time > self._longest * _REPEATS_MAX:
            raise OutputError(
                f"a gap of {float((until - time) * self.unit):.6g} seconds between two frames is more than this format "
                "holds"
            )
        return list(range(time, until, self._longest))

    def last_duration(self) -> int:
        """Return how long the last frame is shown, in `unit`.

        The average rate is frames over duration in most files, and tells the duration of the whole. Where that makes no
        sense for the last frame (the rate is a file's mere word, or that of more than these frames), it is shown as
        long as the one before, or as the rate says where times vary."""
        if not self._exact or self._first is None:
            return 1
        units = max(1, round(self._last_units() * self._time_base / self.unit))
        return units if self._longest is None else min(units, self._longest)

    def _last_units(self) -> int:
        """How long the last frame is shown, in units of the times that came."""
        whole = self._count / self._rate / self._time_base
        rest = round(whole - (self._last - (self._first or 0)))
        if self._count == 1:
            return max(1, rest)
        if self._shortest <= 4 * rest and rest <= 4 * self._longest_step:
            return rest
        even = self._longest_step - self._shortest <= 2  # rounded times differ by one, in either direction
        return self._step if even else max(1, round(1 / self._rate / self._time_base))
