"""Protects: what stats says of a camera is how far it went from frame to frame, segment by segment, and what it counts
are positions that were visible.
"""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from latcomp.container import FileSummary, Header, scan
from latcomp.report.camera import camera_dict, camera_words
from latcomp.report.series import group_rows
from latcomp.report.stats import stats_dict
from latcomp.report.terminal import print_stats
from tests.container.make import groups, header, written
from tests.report.make import panned


def moving() -> Header:
    return header(requires=("camera",))


def summary_of(of: Header, steps: list[tuple[int, int] | None]) -> FileSummary:
    return scan(io.BytesIO(written(of, panned(of, steps))))


def test_a_camera_that_was_not_looked_at_is_null() -> None:
    of = header()
    assert camera_dict(scan(io.BytesIO(written(of, groups(of, 3))))) is None


def test_speed_is_the_mean_step_of_all_frames() -> None:
    """32 frames make 31 steps: 7 of length 0 in the first group, then 8 of 5, 8 of 2 and 8 of 0."""
    camera = camera_dict(summary_of(moving(), [None, (3, 4), (0, -2), (0, 0)]))
    assert camera is not None
    speed = pytest.approx((8 * 5 + 8 * 2) / 31)
    assert camera == {
        "mode": "auto",
        "pixels_per_frame": speed,
        "segments": [{"start_seconds": 0.0, "mode": "follow", "pixels_per_frame": speed}],
    }
    assert camera_words(camera) == "auto, 1.8 pixels per frame"


def test_segments_are_told_apart() -> None:
    camera = camera_dict(summary_of(moving(), [None, (0, 3), None, (0, 0), None, (1, 0)]))
    assert camera is not None
    assert [segment["mode"] for segment in camera["segments"]] == ["follow", "still", "follow"]
    assert [segment["start_seconds"] for segment in camera["segments"]] == pytest.approx([0, 16 / 25, 32 / 25])
    assert [segment["pixels_per_frame"] for segment in camera["segments"]] == pytest.approx([24 / 15, 0, 8 / 15])
    assert camera_words(camera) == "auto, 0.7 pixels per frame, followed in 2 of 3 segments"
    still = camera_dict(summary_of(moving(), [None, (0, 0)]))
    assert still is not None and camera_words(still) == "auto, still"


def test_groups_say_where_they_begin_and_how_far_they_went() -> None:
    """A step from one group to the next belongs to the later one; a segment's first frame makes none."""
    rows = group_rows(summary_of(moving(), [None, (3, 4), (0, -2), (0, 0), None]))
    assert [(row.offset_y, row.offset_x) for row in rows] == [(0, 0), (3, 4), (24, 30), (24, 16), (0, 0)]
    assert [row.pixels_travelled for row in rows] == pytest.approx([0, 40, 16, 0, 0])
    assert [row.moves for row in rows] == [False, True, True, True, False]


def test_a_way_back_to_the_corner_counts() -> None:
    """A group that stands where its segment began has no offsets, and still a step that leads there."""
    rows = group_rows(summary_of(moving(), [None, (0, 3), (0, -3), (0, 0)]))
    assert [row.pixels_travelled for row in rows] == pytest.approx([0, 24, 24, 0])


def test_a_step_over_lost_frames_is_none() -> None:
    of = moving()
    data = bytearray(written(of, panned(of, [None, (0, 3), (0, 3), (0, 3)]), sound=False))
    whole = scan(io.BytesIO(data))
    data[whole.bytes_header + whole.groups[0].bytes + whole.groups[1].bytes - 9] ^= 255
    found = scan(io.BytesIO(data))
    assert [group.index for group in found.groups] == [0, 2, 3]
    assert [group.pixels_travelled for group in found.groups] == pytest.approx([0, 21, 24])
    camera = camera_dict(found)
    assert camera is not None and camera["pixels_per_frame"] == pytest.approx((21 + 24) / (7 + 7 + 8))


def test_tokens_are_counted_where_they_are_visible_and_raw_latents_on_the_frames_grid() -> None:
    of = moving()
    made = panned(of, [None, (0, 3), (5, 0)])
    data = written(of, made, sound=False)
    figures = stats_dict(scan(io.BytesIO(data)))
    visible = sum(int(group.view.visible.sum()) for group in made)
    assert figures["tokens_total"] == visible > 6 * 35
    assert figures["keep_ratio"] == sum(len(group.tokens) for group in made) / visible
    assert figures["ratio_to_raw_latents"] == pytest.approx(6 * 35 * 6 * 2 / len(data))


def test_the_terminal_says_mode_and_speed() -> None:
    out = io.StringIO()
    figures = stats_dict(summary_of(moving(), [None, (3, 4)]))
    print_stats(figures, Console(file=out, width=120), groups=True)
    lines = out.getvalue().splitlines()
    assert any(line.split() == ["camera", "auto,", "2.7", "pixels", "per", "frame"] for line in lines)
    assert lines[-1].split()[-4:] == ["4,", "3", "40", "hold"]
    assert figures["camera"]["pixels_per_frame"] == pytest.approx(40 / 15)
