"""The bar of long work: frames, share of tokens kept, speed and time left, on standard error of a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from latcomp.cli.standard import error_console

if TYPE_CHECKING:
    from latcomp.codec.progress import Progress

BURST_SECONDS = 0.25  # reports closer than this come from one piece of work


class Pace:
    """Speed and time left, from how many frames were done when.

    The time before the first report, spent on loading, does not count, nor do the frames that came in one burst with
    it: they were worked out before."""

    def __init__(self) -> None:
        self._first: tuple[float, int] | None = None  # when the first burst began, frames at its end
        self._last: tuple[float, int] | None = None
        self._in_first_burst = True

    def add(self, frames: int, seconds: float) -> None:
        """So many frames were done at this time of a clock."""
        if self._first is None or self._last is None:
            self._first = (seconds, frames)
        elif self._in_first_burst:
            paused, long = seconds - self._last[0] >= BURST_SECONDS, seconds - self._first[0] >= 4 * BURST_SECONDS
            if not paused:  # a long one is no burst but a fast machine: it is counted from here
                self._first = (seconds if long else self._first[0], frames)
            self._in_first_burst = not (paused or long)
        self._last = (seconds, frames)

    @property
    def frames_per_second(self) -> float | None:
        """Frames per second since the first burst of reports; None before there is another."""
        if self._first is None or self._last is None or self._in_first_burst or self._last[0] <= self._first[0]:
            return None
        return (self._last[1] - self._first[1]) / (self._last[0] - self._first[0])

    def seconds_left(self, total: int | None) -> float | None:
        """Seconds until `total` frames are done; None where that cannot be told."""
        speed = self.frames_per_second
        if total is None or not speed or self._last is None:
            return None
        return max(total - self._last[1], 0) / speed


def words(state: Progress, pace: Pace) -> str:
    """What stands beside the bar: '96 of 240 frames, 41.2 % of tokens, 23.5 fps, 0:06 left', as far as it is known."""
    total = state.frames_total if state.frames_total is not None and state.frames_total >= state.frames else None
    parts = [f"{state.frames} of {total} frames" if total is not None else f"{state.frames} frames"]
    if state.tokens_total:
        parts.append(f"{100 * state.tokens_kept / state.tokens_total:.1f} % of tokens")
    speed, left = pace.frames_per_second, pace.seconds_left(total)
    if speed:
        parts.append(f"{speed:.1f} fps")
    if left is not None:
        parts.append(f"{clock(left)} left")
    return ", ".join(parts)


def clock(seconds: float) -> str:
    """A time as '0:07', '12:34' or '1:02:03'."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@contextmanager
def progress_bar(label: str, quiet: bool) -> Iterator[Callable[[Progress], None] | None]:
    """A function that moves a bar on standard error, or None when nobody watches: quiet, or not a terminal."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    # the bar takes what the words leave of the line; standard output carries data and is left alone
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=None), TextColumn("{task.fields[words]}"))
    with Bar(*columns, console=error_console(), transient=True, expand=True, redirect_stdout=False) as bar:
        task = bar.add_task(label, total=None, words="starting")
        pace = Pace()

        def show(state: Progress) -> None:
            pace.add(state.frames, time.monotonic())
            bar.update(task, completed=state.frames, total=state.frames_total, words=words(state, pace))

        yield show
