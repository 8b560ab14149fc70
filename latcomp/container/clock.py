"""The clock of a file's frames: whether times rise from frame to frame and stay within bounds, and times for frames
that have none.

A file says its times group by group, so a wrong one may pass every checksum. Nothing behind the reader can do with
times that go back."""

from __future__ import annotations

import numpy as np

from latcomp.container.header import Header
from latcomp.limits import SECONDS_MAX

UNITS_MAX = 2**62 - 1  # differences fit into 64 bits, too
RATE_LIES = 256
"""A header's rate that differs by more than this factor from that of the frames is not believed: formats hold no frames
of 68 years.
"""
_FALLBACK_RATE = 25


class FrameClock:
    """Follows the times of a file's groups, in order. All arithmetic is exact: times of a hostile file reach all of 64
    bits.
    """

    def __init__(self, header: Header) -> None:
        numerator, denominator = header.time_base
        self.bound = min(UNITS_MAX, SECONDS_MAX * denominator // numerator)
        """The largest time, and less than nothing the smallest, in units."""
        self.step = _usual_step(header)
        """Units between two frames, as far as the header says it and no group tells quite otherwise; at least 1."""
        self._last: tuple[int, int] | None = None  # number and time of the last frame

    def reset(self) -> None:
        """Take the next group as the first: reading goes on elsewhere."""
        self._last = None

    def follow(self, first_frame: int, pts: np.ndarray) -> tuple[np.ndarray, str | None]:
        """(times of the next group's frames, what was wrong with `pts`, its own ones; None when they are taken as they
        are).

        Times that go back or repeat, or leave less than a unit to each frame lost before them, go on evenly behind the
        last frame."""
        wrong = self._fault(first_frame, pts)
        if wrong is not None:
            pts = self._mended(first_frame, pts)
        elif len(pts) > 1:
            seen = max(1, (int(pts[-1]) - int(pts[0])) // (len(pts) - 1))
            if max(seen, self.step) > RATE_LIES * min(seen, self.step):
                self.step = seen
        self._last = first_frame + len(pts) - 1, int(pts[-1])
        return pts, wrong

    def _fault(self, first_frame: int, pts: np.ndarray) -> str | None:
        if int(pts.min()) < -self.bound or int(pts.max()) > self.bound:
            return f"a time is more than {SECONDS_MAX} seconds or {UNITS_MAX} units from 0"
        if not _rise(pts):
            return "its times go back or repeat"
        if self._last is not None and int(pts[0]) - self._last[1] < first_frame - self._last[0]:
            return f"it begins at time {int(pts[0])}, the frames before it reach {self._last[1]}"
        return None

    def _mended(self, first_frame: int, pts: np.ndarray) -> np.ndarray:
        """The times of a group that made no sense: its own steps where these do, behind the last frame."""
        if self._last is None:
            begin = max(min(int(pts[0]), self.bound), -self.bound)
        else:
            begin = self.after(self._last[1], first_frame - self._last[0], len(pts))
        first, span = int(pts[0]), int(pts[-1]) - int(pts[0])
        if _rise(pts) and begin + span <= self.bound:
            moved = (
                pts.view(np.uint64) - np.uint64(first % 2**64) + np.uint64(begin % 2**64)
            )  # exact: the sums fit into 64 bits
            return moved.view(np.int64)
        return begin + self._room(begin, len(pts)) * np.arange(len(pts), dtype=np.int64)

    def after(self, last: int, frames: int, more: int = 0) -> int:
        """The time `frames` usual steps behind `last`; shorter steps where the bound is near and `more` frames are to
        follow.
        """
        return last + frames * self._room(last, frames + more)

    def before(self, first: int, frames: int) -> int:
        """The time `frames` usual steps before `first`; shorter steps where the bound is near."""
        return -self.after(-first, frames)

    def _room(self, begin: int, frames: int) -> int:
        """Units of a step such that as many frames fit behind `begin`; at least 1, as there are more units than frames
        behind the bound.
        """
        return max(1, min(self.step, (self.bound - begin) // max(frames, 1)))


def _rise(pts: np.ndarray) -> bool:
    return bool(np.all(pts[1:] > pts[:-1]))


def spread(places: list[int], times: list[int]) -> np.ndarray:
    """int64: a time for each place from the first to the last of `places`, evenly spaced between the given ones; rising
    if they do.
    """
    found: list[int] = []
    for (place, time), (later, until) in zip(
        zip(places, times, strict=True), zip(places[1:], times[1:], strict=True), strict=False
    ):
        span, steps = until - time, later - place
        found += [time + (2 * offset * span + steps) // (2 * steps) for offset in range(steps)]
    return np.array([*found, times[-1]], np.int64)


def _usual_step(header: Header) -> int:
    rate, (numerator, denominator) = header.average_rate, header.time_base
    if rate is None or rate[0] == 0:
        rate = (_FALLBACK_RATE, 1)  # any guess will do where the source had no rate
    up, down = rate[1] * denominator, rate[0] * numerator
    return max(1, (2 * up + down) // (2 * down))
