"""The world grid: token positions in world places, and what of them each latent frame shows.

A frame with camera offset (dy, dx) shows the world's pixels from there on, so that a still background keeps its place
while the camera moves. A video without camera motion is the case where every frame is at (0, 0): then what it shows is
its own grid.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from latcomp.latents.frame_rule import FrameRule

Offset = tuple[int, int]
"""(dy, dx): whole pixels from a frame's own corner to the world's."""


@dataclass(frozen=True)
class Box:
    """A rectangle of world positions."""

    top: int
    left: int
    rows: int
    columns: int

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.rows, self.columns

    @property
    def area(self) -> int:
        """Positions."""
        return self.rows * self.columns

    @property
    def bottom(self) -> int:
        """The row behind the last."""
        return self.top + self.rows

    @property
    def right(self) -> int:
        """The column behind the last."""
        return self.left + self.columns

    def both(self, other: Box) -> Box:
        """What it shares with another; no rows or no columns where that is nothing."""
        top, left = max(self.top, other.top), max(self.left, other.left)
        rows, columns = min(self.bottom, other.bottom) - top, min(self.right, other.right) - left
        return Box(top, left, max(rows, 0), max(columns, 0))

    def inside(self, outer: Box) -> tuple[slice, slice]:
        """Where it lies in an array over `outer`, which holds it."""
        top, left = self.top - outer.top, self.left - outer.left
        return slice(top, top + self.rows), slice(left, left + self.columns)

    @classmethod
    def around(cls, boxes: Iterable[Box]) -> Box:
        """The smallest that holds all of at least one."""
        every = list(boxes)
        top, left = min(box.top for box in every), min(box.left for box in every)
        return cls(top, left, max(box.bottom for box in every) - top, max(box.right for box in every) - left)

    @classmethod
    def shown(cls, offset: Offset, height: int, width: int, spatial: int) -> Box:
        """The positions that a frame of so many pixels shows, whole or in part."""
        dy, dx = offset
        top, left = dy // spatial, dx // spatial
        return cls(top, left, (dy + height - 1) // spatial - top + 1, (dx + width - 1) // spatial - left + 1)


@dataclass(frozen=True, eq=False)
class FrameView:
    """What one latent frame shows of the world: P visible positions, in order y, x.

    Made by `FrameView.of`, which gives the same object for the same view: it can be compared by `is`."""

    box: Box
    """The rectangle around all of them; networks run on it."""
    visible: np.ndarray
    """bool (rows, columns) of the box."""

    @classmethod
    def of(cls, boxes: Iterable[Box]) -> FrameView:
        """The view of a latent frame whose frames show these boxes."""
        return _view(frozenset((box.top, box.left, box.rows, box.columns) for box in boxes))

    @classmethod
    def shown(cls, offsets: Iterable[Offset], height: int, width: int, spatial: int) -> FrameView:
        """The view of a latent frame of frames at these offsets, pictures of height x width pixels."""
        return cls.of(Box.shown(offset, height, width, spatial) for offset in set(offsets))

    @classmethod
    def whole(cls, grid: tuple[int, ...]) -> FrameView:
        """A grid of (rows, columns) at the world's corner, all of it visible."""
        rows, columns = grid
        return cls.of((Box(0, 0, rows, columns),))

    @cached_property
    def count(self) -> int:
        """Visible positions, P."""
        return int(np.count_nonzero(self.visible))

    @cached_property
    def full(self) -> bool:
        """Whether all of the box is visible."""
        return bool(self.visible.all())

    @cached_property
    def places(self) -> np.ndarray:
        """intp (P,): where in the box, y * columns + x, the visible positions are."""
        return np.flatnonzero(self.visible)

    def shared(self, other: FrameView) -> int:
        """How many positions both show; found without a list of them."""
        both = self.box.both(other.box)
        if not both.area:
            return 0
        return int(np.count_nonzero(self.visible[both.inside(self.box)] & other.visible[both.inside(other.box)]))

    @cached_property
    def world(self) -> tuple[np.ndarray, np.ndarray]:
        """intp (P,) twice: row and column of each visible position in the world."""
        y, x = np.divmod(self.places, self.box.columns)
        return y + self.box.top, x + self.box.left

    @cached_property
    def index(self) -> np.ndarray:
        """intp (rows, columns): number of each visible position, P elsewhere."""
        found = np.full(self.box.area, self.count, np.intp)
        found[self.places] = np.arange(self.count)
        return found.reshape(self.box.shape)

    def number_at(self, y: np.ndarray, x: np.ndarray) -> np.ndarray:
        """intp: numbers of the positions at world rows y and columns x; P where one is not visible."""
        y, x = y - self.box.top, x - self.box.left
        inside = (y >= 0) & (y < self.box.rows) & (x >= 0) & (x < self.box.columns)
        found = np.full(inside.shape, self.count, np.intp)
        found[inside] = self.index[y[inside], x[inside]]
        return found

    @cached_property
    def nearest(self) -> np.ndarray:
        """intp (rows * columns,): number of the visible position that stands for each place of the box: itself, or
        where it is not visible the nearest of its row, the left one of two. A row between frames that stand far apart
        may show nothing: it is as the nearest row that does, the upper one of two."""
        if self.full:
            return np.arange(self.count)
        shows = np.asarray(self.visible.any(axis=1))
        rows = np.flatnonzero(shows)
        found = np.take_along_axis(self.index[rows], _nearest_true(self.visible[rows]), axis=1)
        return found[np.searchsorted(rows, _nearest_true(shows))].reshape(-1)

    def spread(self, values: np.ndarray) -> np.ndarray:
        """(..., rows, columns) of values (..., P): all of the box, where nothing is visible the nearest value."""
        if not self.count:
            return np.zeros((*values.shape[:-1], *self.box.shape), values.dtype)
        found = values if self.full else values[..., self.nearest]
        return found.reshape(*values.shape[:-1], *self.box.shape)


def _nearest_true(values: np.ndarray) -> np.ndarray:
    """intp (..., n): where the nearest True of bool (..., n) is, the earlier one of two. Each n holds at least one."""
    count = values.shape[-1]
    here = np.arange(count)
    before = np.maximum.accumulate(np.where(values, here, -count), axis=-1)
    behind = np.minimum.accumulate(np.where(values, here, 2 * count)[..., ::-1], axis=-1)[..., ::-1]
    found: np.ndarray = np.where(here - before <= behind - here, before, behind)
    return found


@lru_cache(maxsize=16)  # latent frames that follow each other often show the same
def _view(boxes: frozenset[tuple[int, int, int, int]]) -> FrameView:
    """boxes: (top, left, rows, columns) of each."""
    box = Box.around(Box(*one) for one in boxes)
    visible = np.zeros(box.shape, bool)
    for top, left, rows, columns in boxes:
        y, x = top - box.top, left - box.left
        visible[y : y + rows, x : x + columns] = True
    visible.setflags(write=False)
    return FrameView(box, visible)


@dataclass(frozen=True)
class GroupView:
    """What the latent frames of a group show. Arrays of a group are (..., T, h, w) over its window."""

    frames: tuple[FrameView, ...]
    """Of each latent frame."""
    window: Box
    """A rectangle around all that they show."""

    @classmethod
    def over(cls, frames: tuple[FrameView, ...]) -> GroupView:
        """Latent frames that show this, over the smallest window."""
        return cls(frames, Box.around(view.box for view in frames))

    @classmethod
    def whole(cls, latent_frames: int, grid: tuple[int, ...]) -> GroupView:
        """A group without camera motion, on a grid of (rows, columns)."""
        return cls((FrameView.whole(grid),) * latent_frames, Box(0, 0, int(grid[0]), int(grid[1])))

    @classmethod
    def of(
        cls, offsets: Sequence[Offset] | np.ndarray, rule: FrameRule, height: int, width: int, spatial: int
    ) -> GroupView:
        """The group of frames at these offsets, pictures of height x width pixels; rule: of the group."""
        # in whole arrays: a group of a few bytes may have tens of thousands of frames
        first = np.asarray(offsets, np.int64).reshape(-1, 2)
        corner, end = first // spatial, (first + np.array([height - 1, width - 1])) // spatial + 1
        boxes = np.concatenate([corner, end - corner], axis=1)
        moved = np.append(True, (boxes[1:] != boxes[:-1]).any(axis=1))
        frames = []
        for t in range(rule.latent_frames(len(boxes))):
            place = rule.place(t)
            some = moved[place].copy()
            some[0] = True
            frames.append(_view(frozenset(map(tuple, boxes[place][some].tolist()))))
        return cls.over(tuple(frames))

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, h, w) of its arrays."""
        return len(self.frames), *self.window.shape

    @cached_property
    def count(self) -> int:
        """Visible positions of all latent frames."""
        return sum(view.count for view in self.frames)

    @cached_property
    def full(self) -> bool:
        """Whether each latent frame shows all of the window."""
        return all(view.full and view.box == self.window for view in self.frames)

    @cached_property
    def visible(self) -> np.ndarray:
        """bool (T, h, w)."""
        found = np.zeros(self.shape, bool)
        for here, view in zip(found, self.frames, strict=True):
            here[view.box.inside(self.window)] = view.visible
        found.setflags(write=False)
        return found

    def take(self, values: np.ndarray, t: int, at: int | None = None) -> np.ndarray:
        """(..., P) of latent frame t, out of values (..., T, h, w). at: where along T it stands, if not at t."""
        view, here = self.frames[t], values[..., t if at is None else at, :, :]
        if not self.full:
            here = here[(..., *view.box.inside(self.window))]
        flat = here.reshape(*here.shape[:-2], -1)
        return flat if view.full else flat[..., view.places]

    def put(self, values: np.ndarray, t: int, flat: np.ndarray) -> None:
        """Write (..., P) to latent frame t of values (..., T, h, w)."""
        view, here = self.frames[t], values[..., t, :, :]
        if not self.full:
            here = here[(..., *view.box.inside(self.window))]
        if view.full:
            here[...] = flat.reshape(here.shape)
        else:
            here[..., view.visible] = flat

    def part(self, values: np.ndarray, t: int) -> np.ndarray:
        """(..., rows, columns) of latent frame t's box, a view of values (..., T, h, w)."""
        found: np.ndarray = values[..., t, :, :][(..., *self.frames[t].box.inside(self.window))]
        return found
