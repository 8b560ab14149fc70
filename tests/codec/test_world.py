"""Protects: offsets count from the first frame of their segment, cuts begin new worlds, and a world that never moved is
told from one that did.
"""

from __future__ import annotations

import numpy as np

from latcomp.codec.world import Placed, World
from latcomp.latents import Box, Offset
from latcomp.video import Frame

PICTURE = Frame(np.zeros((8, 8, 3), np.uint8), 0)


def placed(*offsets: Offset, cut: int | None = None) -> list[Placed]:
    """The frames of a latent frame; cut: the one that a new world begins with."""
    return [Placed(PICTURE, offset, number == cut) for number, offset in enumerate(offsets)]


def test_a_camera_that_stands_still_rests() -> None:
    world = World()
    assert world.rests(placed((0, 0), (0, 0)))
    assert world.rests(placed((0, 0), (0, 0), cut=1))
    assert world.rests(placed((0, 0), (0, 0), cut=0))
    assert not world.rests(placed((0, 0), (0, 1)))


def test_a_world_that_begins_elsewhere_goes_on_at_the_corner_of_one_that_never_moved() -> None:
    """So a cut costs nothing that the latents do not ask for."""
    world = World()
    assert world.rests(placed((0, 0), (0, 0)))
    assert world.rests(placed((3, 4), (3, 4), cut=0))
    offsets, starts = world.place(placed((3, 6), (3, 7)))
    assert offsets == [(0, 2), (0, 3)] and not starts


def test_a_world_that_moved_never_rests_again() -> None:
    world = World()
    offsets, starts = world.place(placed((0, 0), (0, 2)))
    world.take(offsets, Box(0, 0, 1, 2))
    assert not starts and not world.rests(placed((0, 0), (0, 0)))


def test_behind_a_cut_the_camera_stays_and_the_next_latent_frame_begins_a_segment() -> None:
    world = World()
    world.take(world.place(placed((0, 1), (0, 2)))[0], Box(0, 0, 1, 2))
    offsets, starts = world.place(placed((0, 3), (0, 0), (5, 5), cut=1))
    assert offsets == [(0, 3)] * 3 and not starts
    world.take(offsets, Box(0, 0, 1, 2))
    following = placed((7, 7), (8, 9))
    assert world.place(following)[1]
    assert world.begin(following) == [(0, 0), (1, 2)]
    assert world.place(placed((9, 9)))[0] == [(2, 2)]


def test_a_cut_at_the_first_frame_of_a_latent_frame_begins_a_segment_at_once() -> None:
    world = World()
    world.take(world.place(placed((0, 1), (0, 2)))[0], Box(0, 0, 1, 2))
    assert world.place(placed((0, 0), (1, 0), cut=0))[1]


def test_the_bound_counts_all_that_the_segment_showed() -> None:
    world = World()
    world.take([(0, 8)], Box(0, 0, 2, 4))
    assert world.holds(Box(0, 4, 2, 4), 16)
    assert not world.holds(Box(0, 5, 2, 4), 16)
    world.begin(placed((0, 0)))
    assert world.holds(Box(0, 5, 2, 4), 8)
