"""What a segment knows of world positions that are out of sight. It grows with what was seen, and a segment bounds
that.
"""

from __future__ import annotations

import numpy as np

from latcomp.latents.world import Box, FrameView

MARGIN = 8  # positions by which it grows beyond what is needed, so that it does not grow at every latent frame


class WorldStore:
    """Values, halvings and ages of every position of a box that grows, as they were when last in sight; an age is kept
    as the latent frame it counts from, so that it runs on out of sight."""

    def __init__(self, channels: int, dtype: np.typing.DTypeLike) -> None:
        self._box: Box | None = None
        self._now = 0  # latent frames
        self._kept = np.zeros((0, 0, channels), dtype)
        self._halvings = np.zeros((0, 0), np.uint8)
        self._since = np.zeros((0, 0), np.int64)
        self._seen = np.zeros((0, 0), bool)

    def advance(self) -> None:
        """A latent frame more has passed."""
        self._now += 1

    def put(self, view: FrameView, kept: np.ndarray, halvings: np.ndarray, age: np.ndarray, seen: np.ndarray) -> None:
        """Remember what is in view: kept (P, C), halvings (P,), age (P,), seen (P,)."""
        at = self._at(view)
        self._kept[at], self._halvings[at], self._since[at], self._seen[at] = kept, halvings, self._now - age, seen

    def take(self, view: FrameView) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The same of another view: kept (P, C), halvings uint8 (P,), age int32 (P,), seen bool (P,); zeros where
        nothing was seen."""
        at = self._at(view)
        seen = self._seen[at]
        age = np.where(seen, self._now - self._since[at], 0).astype(np.int32)
        return self._kept[at], self._halvings[at], age, seen

    def copy(self) -> WorldStore:
        """A copy that later changes do not reach."""
        found = WorldStore(self._kept.shape[2], self._kept.dtype)
        found._box, found._now = self._box, self._now
        found._kept, found._halvings = self._kept.copy(), self._halvings.copy()
        found._since, found._seen = self._since.copy(), self._seen.copy()
        return found

    def _at(self, view: FrameView) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns of what is in view, for which there is room now."""
        box = self._box
        if box is None or Box.around((box, view.box)) != box:
            box = self._grow(view.box)
        y, x = view.world
        return y - box.top, x - box.left

    def _grow(self, wanted: Box) -> Box:
        """The box, once it holds another."""
        before = self._box
        box = wanted if before is None else _roomy(before, Box.around((before, wanted)))
        for name in ("_kept", "_halvings", "_since", "_seen"):
            old = getattr(self, name)
            new = np.zeros((*box.shape, *old.shape[2:]), old.dtype)
            if before is not None:
                new[before.inside(box)] = old
            setattr(self, name, new)
        self._box = box
        return box


def _roomy(before: Box, wanted: Box) -> Box:
    """A box that holds another, with a margin on the sides where it is larger than before."""
    top = wanted.top - MARGIN * (wanted.top < before.top)
    left = wanted.left - MARGIN * (wanted.left < before.left)
    bottom = wanted.bottom + MARGIN * (wanted.bottom > before.bottom)
    right = wanted.right + MARGIN * (wanted.right > before.right)
    return Box(top, left, bottom - top, right - left)
