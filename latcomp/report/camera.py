"""What a file says of its camera: whether it was followed, segment by segment, and how fast it moves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

from latcomp.container import FileSummary, GroupSummary


def camera_dict(summary: FileSummary) -> dict[str, Any] | None:
    """The member `camera` of `stats --json`; None for a file whose camera was not looked at.

    pixels_per_frame: mean length of the steps from frame to frame, 0 where there are none. A segment's mode is
    'follow' where one of its frames was moved to its place in the world, else 'still'."""
    if "camera" not in summary.header.requires:
        return None
    numerator, denominator = summary.header.time_base
    return {
        "mode": "auto",
        "pixels_per_frame": _speed(summary.groups),
        "segments": [
            {
                "start_seconds": segment[0].first_pts * numerator / denominator,
                "mode": "follow" if any(group.pixels_travelled or any(group.offset) for group in segment) else "still",
                "pixels_per_frame": _speed(segment),
            }
            for segment in _segments(summary.groups)
        ],
    }


def camera_words(camera: dict[str, Any]) -> str:
    """The same for people, as 'auto, 3.7 pixels per frame'."""
    modes = [segment["mode"] for segment in camera["segments"]]
    followed = modes.count("follow")
    if not followed:
        return f"{camera['mode']}, still"
    where = "" if followed == len(modes) else f", followed in {followed} of {len(modes)} segments"
    return f"{camera['mode']}, {camera['pixels_per_frame']:.1f} pixels per frame{where}"


def _segments(groups: Sequence[GroupSummary]) -> Iterator[Sequence[GroupSummary]]:
    """The groups of each segment."""
    starts = [place for place, group in enumerate(groups) if group.key or place == 0]
    for start, end in pairwise([*starts, len(groups)]):
        yield groups[start:end]


def _speed(groups: Sequence[GroupSummary]) -> float:
    steps = sum(group.camera_steps for group in groups)
    return sum(group.pixels_travelled for group in groups) / steps if steps else 0.0
