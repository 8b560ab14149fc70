"""Protects: what is said of a position is said of its place in the world, wherever the frame is, and a segment that
follows the camera has a world of its own.
"""

from __future__ import annotations

import io

import numpy as np

from latcomp.container import scan
from latcomp.latents import Box, FrameView
from latcomp.report.history import AGE_MOST, MaskHistory, WorldHistory, worlds_of
from latcomp.report.series import group_rows
from tests.container.make import header, written
from tests.report.make import panned, seen_at


def test_ages_are_those_of_world_places() -> None:
    """A position that left and came back has aged out of sight."""
    of = header(requires=("camera",))
    made = panned(of, [None, (0, 3), (2, 0), (0, -3)])
    history = WorldHistory(made[0].view.frames[0].box)
    for group in made:
        for t, view in enumerate(group.view.frames):
            history.add(view, group.view.part(group.mask, t))
            box, ages = seen_at(made, group, t)
            found = history.age(box)
            for (y, x), age in ages.items():
                if box.top <= y < box.bottom and box.left <= x < box.right:
                    assert found[y - box.top, x - box.left] == age
            assert (found[~view.visible] > 0).all()
    assert history.box == Box.around(view.box for group in made for view in group.view.frames)


def test_a_share_is_of_the_latent_frames_that_showed_the_position() -> None:
    left, right = FrameView.of([Box(0, 0, 1, 2)]), FrameView.of([Box(0, 1, 1, 2)])
    history = WorldHistory(left.box)
    for view, kept in ((left, [[True, True]]), (right, [[False, True]]), (right, [[True, False]])):
        history.add(view, np.array(kept))
    assert history.box == Box(0, 0, 1, 3)
    assert history.share.tolist() == [[255, 170, 128]]  # 1 of 1, 2 of 3, 1 of 2


def test_what_was_seldom_kept_is_not_taken_for_what_never_was() -> None:
    view = FrameView.whole((1, 2))
    history = WorldHistory(view.box)
    history.add(view, np.array([[True, False]]))
    for _ in range(1000):
        history.add(view, np.zeros((1, 2), bool))
    assert history.share.tolist() == [[1, 0]]
    assert (history.age(view.box) == AGE_MOST).all()


def test_segments_that_stand_still_share_a_world() -> None:
    of = header(requires=("camera",))
    steps = [None, (0, 0), None, None, (0, 3), None, (1, 0), None, None]
    rows = group_rows(scan(io.BytesIO(written(of, panned(of, steps)))))
    assert list(worlds_of(rows).values()) == [0, 0, 0, 1, 1, 2, 2, 3, 3]
    assert worlds_of([]) == {}


def test_ratios_are_of_visible_positions() -> None:
    history = MaskHistory()
    for place, (kept, positions) in enumerate([(5, 10), (1, 20), (9, 9)]):
        history.add(kept, positions, place, place + 1)
    assert history.ratios(3) == [(0, 1, 0.5), (1, 2, 0.05), (2, 3, 1.0)]
    assert history.ratios(2) == [(0, 2, 0.2), (2, 3, 1.0)]
