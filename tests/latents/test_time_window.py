"""Protects: the part that --start and --duration choose has one meaning, and is refused in the same words, in videos
and .lat files.
"""

from __future__ import annotations

import math
from fractions import Fraction
from pathlib import Path

import pytest

from latcomp.errors import UsageError
from latcomp.latents.time_window import TimeWindow
from latcomp.video import open_video
from tests.video import make


def test_bounds_are_those_that_a_person_means() -> None:
    """0.2 + 0.4 ends at 0.6, and 10/24 as a float is the time of frame 10."""
    window = TimeWindow.of(0.2, 0.4)
    assert [window.holds(Fraction(n, 10)) for n in (1, 2, 5, 6)] == [False, True, True, False]
    assert window.is_before(Fraction(1, 10)) and not window.is_past(Fraction(1, 10)) and window.is_past(Fraction(6, 10))
    assert TimeWindow.of(10 / 24, None).holds(Fraction(10, 24)) and TimeWindow.of(None, 10 / 24).is_past(
        Fraction(10, 24)
    )


def test_what_comes_before_the_first_frame_belongs_to_it() -> None:
    assert TimeWindow.of(None, 1).holds(Fraction(-1, 10)) and not TimeWindow.of(0.5, 1).holds(Fraction(-1, 10))
    assert TimeWindow.of(None, None).whole and not TimeWindow.of(None, 1).whole


def test_its_seconds_in_a_video() -> None:
    assert TimeWindow.of(1, 5).duration_within(Fraction(3)) == 2
    assert TimeWindow.of(1, 5).duration_within(None) == 5 and TimeWindow.of(4, None).duration_within(Fraction(3)) == 0


@pytest.mark.parametrize(
    ("start", "duration", "name"),
    [
        (-1, None, "start_seconds"),
        (math.nan, None, "start_seconds"),
        (0, 0, "duration_seconds"),
        (0, math.inf, "duration_seconds"),
    ],
)
def test_refused_alike(tmp_path: Path, start: float, duration: float | None, name: str) -> None:
    with pytest.raises(UsageError, match=f"{name} .* is out of range: choose") as told:
        TimeWindow.of(start, duration)
    video = tmp_path / "clip.mkv"
    make.write(video, make.pictures(2))
    with pytest.raises(UsageError) as by_video:
        open_video(video, start_seconds=start, duration_seconds=duration)
    assert str(by_video.value) == str(told.value)
