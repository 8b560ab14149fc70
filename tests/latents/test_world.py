"""What latent frames show of the world is what a count pixel by pixel gives, and values find their places there."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import Box, FrameView, GroupView
from latcomp.latents.frame_rule import FrameRule

offset = st.tuples(st.integers(-40, 40), st.integers(-40, 40))
boxes = st.lists(
    st.builds(Box, st.integers(-6, 6), st.integers(-6, 6), st.integers(1, 4), st.integers(1, 4)), min_size=1, max_size=4
)


def places_of(view: FrameView) -> list[tuple[int, int]]:
    """(row, column) in the world of its positions, in their order."""
    return list(zip(*(axis.tolist() for axis in view.world), strict=True))


@st.composite
def group_views(draw: st.DrawFn) -> GroupView:
    """Groups whose latent frames show a few boxes each, apart from each other or not."""
    frames = draw(st.lists(boxes, min_size=1, max_size=4))
    return GroupView.over(tuple(FrameView.of(each) for each in frames))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(offset, min_size=1, max_size=9),
    st.integers(1, 21),
    st.integers(1, 21),
    st.integers(1, 8),
    st.sampled_from([FrameRule(4, 4), FrameRule(4, 1), FrameRule(1, 1)]),
)
def test_a_position_is_visible_where_a_frame_shows_a_pixel_of_it(
    offsets: list[tuple[int, int]], height: int, width: int, spatial: int, rule: FrameRule
) -> None:
    view = GroupView.of(offsets, rule, height, width, spatial)
    every = set()
    assert len(view.frames) == rule.latent_frames(len(offsets))
    for t, frame in enumerate(view.frames):
        shown = set()
        for dy, dx in offsets[rule.place(t)]:
            pixels = np.mgrid[dy : dy + height, dx : dx + width].reshape(2, -1)
            shown |= set(zip(*(np.floor(pixels / spatial).astype(int)).tolist(), strict=True))
        assert places_of(frame) == sorted(shown)
        assert (frame.box.top, frame.box.left) == tuple(map(min, zip(*shown, strict=True)))
        assert (frame.box.bottom - 1, frame.box.right - 1) == tuple(map(max, zip(*shown, strict=True)))
        assert frame.count == len(shown) and frame.full == (len(shown) == frame.box.area)
        every |= shown
    window = view.window
    assert (window.top, window.left) == tuple(map(min, zip(*every, strict=True)))
    assert (window.bottom - 1, window.right - 1) == tuple(map(max, zip(*every, strict=True)))
    assert view.count == int(view.visible.sum()) == sum(frame.count for frame in view.frames)
    for t, frame in enumerate(view.frames):
        y, x = np.nonzero(view.visible[t])
        assert places_of(frame) == list(zip((y + window.top).tolist(), (x + window.left).tolist(), strict=True))


def test_positions_are_found_by_rounding_down_on_both_sides_of_the_corner() -> None:
    assert Box.shown((0, 0), 16, 24, 8) == Box(0, 0, 2, 3)
    assert Box.shown((8, -8), 16, 24, 8) == Box(1, -1, 2, 3)
    assert Box.shown((-1, 1), 16, 24, 8) == Box(-1, 0, 3, 4)  # a pixel aside shows a part of one more
    assert Box.shown((0, 0), 17, 1, 8) == Box(0, 0, 3, 1)


def test_without_camera_motion_a_group_shows_its_grid() -> None:
    still = GroupView.of([(0, 0)] * 7, FrameRule(4, 4), 30, 41, 8)
    whole = GroupView.whole(2, (4, 6))
    assert still == whole and whole.full and whole.visible.all() and whole.shape == (2, 4, 6)
    assert still.frames[0] is whole.frames[1] is FrameView.whole((4, 6))


def test_a_window_that_moves_is_full_in_no_latent_frame_alone() -> None:
    """Each shows all of its own box, and none all of the window."""
    view = GroupView.of([(0, 0), (0, 8)], FrameRule(1, 1), 16, 16, 8)
    assert all(frame.full for frame in view.frames) and not view.full
    assert view.visible.tolist() == [[[True, True, False]] * 2, [[False, True, True]] * 2]


@settings(max_examples=60, deadline=None)
@given(group_views(), st.integers(0, 9))
def test_values_are_taken_from_their_places_and_put_there(view: GroupView, seed: int) -> None:
    rng = np.random.default_rng(seed)
    whole = rng.normal(size=(3, *view.shape))
    again, bits = np.full_like(whole, np.nan), np.zeros(view.shape, bool)
    for t, frame in enumerate(view.frames):
        flat = view.take(whole, t)
        assert flat.shape == (3, frame.count)
        assert np.array_equal(flat, whole[:, t][:, view.visible[t]])
        assert np.array_equal(view.take(whole[:, t : t + 1], t, 0), flat)
        view.put(again, t, flat)
        view.put(bits, t, np.ones(frame.count, bool))
        part = view.part(whole, t)
        assert part.shape == (3, *frame.box.shape) and np.shares_memory(part, whole)
        assert np.array_equal(part[:, frame.visible], flat)
    assert np.array_equal(bits, view.visible)
    assert np.array_equal(again[:, view.visible], whole[:, view.visible])
    assert np.isnan(again[:, ~view.visible]).all()


@settings(max_examples=60, deadline=None)
@given(boxes)
def test_values_spread_to_the_nearest_place_of_the_box(shown: list[Box]) -> None:
    """Of the same row, the left one of two; a row that shows nothing is as the nearest that does, the upper of two."""
    view = FrameView.of(shown)
    spread = view.spread(np.arange(view.count))
    rows = np.flatnonzero(view.visible.any(1))
    for (y, x), found in np.ndenumerate(spread):
        row = min(rows, key=lambda other: (abs(other - y), other))
        column = min(np.flatnonzero(view.visible[row]), key=lambda other: (abs(other - x), other))
        assert found == view.index[row, column] == view.nearest[y * view.box.columns + x]
    assert spread[view.visible].tolist() == list(range(view.count))


def test_frames_that_stand_far_apart_leave_nothing_between_them_without_a_value() -> None:
    """A file may say so, whatever a camera can do."""
    view = FrameView.of((Box(0, 0, 1, 2), Box(4, 3, 1, 2)))
    assert view.spread(np.array([1, 2, 3, 4])).tolist() == [[1, 2, 2, 2, 2]] * 3 + [[3, 3, 3, 3, 4]] * 2


def test_a_view_that_shows_nothing_spreads_zeros() -> None:
    """As the part of a latent frame at some places may."""
    view = FrameView(Box(0, 0, 1, 3), np.zeros((1, 3), bool))
    assert view.count == 0 and not view.full
    assert view.spread(np.zeros((2, 0), np.float32)).tolist() == [[[0.0] * 3]] * 2


@settings(max_examples=40, deadline=None)
@given(boxes)
def test_a_position_is_known_by_its_place_in_the_world(shown: list[Box]) -> None:
    view = FrameView.of(shown)
    number = {place: index for index, place in enumerate(places_of(view))}
    y, x = np.mgrid[-9:12, -9:12]
    found = view.number_at(y, x)
    assert found.shape == y.shape
    for row, column, one in zip(y.flat, x.flat, found.flat, strict=True):
        assert one == number.get((row, column), view.count)


def test_the_same_view_is_the_same_object() -> None:
    """In whatever order its frames come, so that a still camera costs nothing."""
    one, other = Box(0, 0, 2, 3), Box(0, 1, 2, 3)
    assert FrameView.of([one, other, one]) is FrameView.of([other, one])
    assert FrameView.of([one]) is not FrameView.of([other])


def test_nobody_changes_what_is_visible() -> None:
    view = GroupView.of([(0, 0), (3, 5)], FrameRule(4, 4), 16, 16, 8)
    for array in (view.visible, view.frames[0].visible):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = True
