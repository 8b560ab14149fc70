"""Frames on the world grid: the pixels of what a latent frame shows, each frame in its place.

What a frame does not cover there costs bits and nobody sees it. It is the pixel last seen at that place, so that it
does not change; where none was seen yet the one that will be seen first in the same latent frame; else the nearest
pixel. A reader knows nothing of this.
"""

from __future__ import annotations

import numpy as np

from latcomp.latents import Box, Offset

SEEN, FILLED = 2, 1


class Canvas:
    """The pixels of one stream's boxes, latent frame after latent frame."""

    def __init__(self, spatial: int) -> None:
        """spatial: pixels per side of a token."""
        self._spatial = spatial
        self._box = Box(0, 0, 0, 0)
        self._pixels = np.zeros((0, 0, 3), np.uint8)  # of the box after its last frame
        self._known = np.zeros((0, 0), np.uint8)  # SEEN, FILLED or nothing yet

    def restart(self) -> None:
        """Forget what was seen."""
        self._box, self._pixels, self._known = Box(0, 0, 0, 0), self._pixels[:0, :0], self._known[:0, :0]

    def place(self, frames: list[np.ndarray], offsets: list[Offset], box: Box) -> np.ndarray:
        """(frames, spatial * rows, spatial * columns, 3): a latent frame's frames (H, W, 3) uint8 at their offsets in
        its box, which holds them all.
        """
        corner = (box.top * self._spatial, box.left * self._spatial)
        places = [(dy - corner[0], dx - corner[1]) for dy, dx in offsets]
        height, width = frames[0].shape[:2]
        self._move(box)
        self._fill(frames, places)
        found = np.empty((len(frames), *self._pixels.shape), np.uint8)
        for here, frame, (top, left) in zip(found, frames, places, strict=True):
            self._pixels[top : top + height, left : left + width] = frame
            self._known[top : top + height, left : left + width] = SEEN
            here[:] = self._pixels
        return found

    def _move(self, box: Box) -> None:
        """Turn to another box; what both hold stays."""
        if box == self._box:
            return
        shape = (box.rows * self._spatial, box.columns * self._spatial)
        pixels, known = np.zeros((*shape, 3), np.uint8), np.zeros(shape, np.uint8)
        both = box.both(self._box)
        if both.area:
            here, there = self._area(both, box), self._area(both, self._box)
            pixels[here], known[here] = self._pixels[there], self._known[there]
        self._box, self._pixels, self._known = box, pixels, known

    def _area(self, part: Box, box: Box) -> tuple[slice, slice]:
        """Where the pixels of a part of a box are."""
        rows, columns = part.inside(box)
        side = self._spatial
        return slice(rows.start * side, rows.stop * side), slice(columns.start * side, columns.stop * side)

    def _fill(self, frames: list[np.ndarray], places: list[tuple[int, int]]) -> None:
        """Give every pixel that was not seen yet a value: of the first frame that shows it, or the nearest one; one
        that was given such a value keeps it while no frame shows it.
        """
        y, x = np.nonzero(self._known != SEEN)
        if not len(y):
            return
        height, width = frames[0].shape[:2]
        new = self._known[y, x] != FILLED
        best = np.full(len(y), height + width, np.int64)
        for frame, (top, left) in zip(frames, places, strict=True):
            near_y, near_x = np.clip(y - top, 0, height - 1), np.clip(x - left, 0, width - 1)
            distance = np.abs(y - top - near_y) + np.abs(x - left - near_x)
            nearer = np.flatnonzero((distance < best) & ((distance == 0) | new))
            best[nearer] = distance[nearer]
            self._pixels[y[nearer], x[nearer]] = frame[near_y[nearer], near_x[nearer]]
        self._known[y, x] = FILLED
