"""What the keep masks of a file say of each position of a world, gathered without holding the masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from latcomp.latents import Box, FrameView
from latcomp.report.series import GroupRow

AGE_MOST = 255


def worlds_of(rows: Sequence[GroupRow]) -> dict[int, int]:
    """Number of the world, from 0, that each group of a file lies in, by the group's number.

    A segment in which the camera was followed has a world of its own; those in a row where it was not share one, the
    frame's own grid."""
    segments: list[list[GroupRow]] = []
    for row in rows:
        if row.key or not segments:
            segments.append([])
        segments[-1].append(row)
    found: dict[int, int] = {}
    number, was_still = -1, False
    for segment in segments:
        is_still = not any(row.moves for row in segment)
        number += not (is_still and was_still)
        was_still = is_still
        found |= {row.group: number for row in segment}
    return found


class WorldHistory:
    """What the keep masks so far say of each position of one world."""

    def __init__(self, box: Box) -> None:
        """box: what its first latent frame shows."""
        self.box = box
        """Around all that was shown so far."""
        self._age = np.full(box.shape, AGE_MOST, np.uint8)
        self._times_kept, self._times_shown = np.zeros(box.shape, np.int32), np.zeros(box.shape, np.int32)

    def add(self, view: FrameView, mask: np.ndarray) -> None:
        """Take the next latent frame. mask: bool (rows, columns) of what its box holds."""
        self._grow(Box.around((self.box, view.box)))
        here = view.box.inside(self.box)
        self._age += self._age < AGE_MOST
        self._age[here][mask] = 0
        self._times_kept[here] += mask
        self._times_shown[here] += view.visible

    def age(self, box: Box) -> np.ndarray:
        """uint8 (rows, columns) of a box: latent frames since the position was kept, also out of sight; 0 in the one it
        is kept in, at most 255.
        """
        return self._age[box.inside(self.box)]

    @property
    def share(self) -> np.ndarray:
        """uint8 (rows, columns): in what share of the latent frames that showed the position it was kept, 255 is all
        and 0 never.
        """
        share = np.rint(255 * self._times_kept / np.maximum(self._times_shown, 1))
        return np.maximum(share, self._times_kept > 0).astype(np.uint8)

    def _grow(self, box: Box) -> None:
        if box == self.box:
            return
        here = self.box.inside(box)
        for name, empty in (("_age", AGE_MOST), ("_times_kept", 0), ("_times_shown", 0)):
            before: np.ndarray = getattr(self, name)
            larger = np.full(box.shape, empty, before.dtype)
            larger[here] = before
            setattr(self, name, larger)
        self.box = box


class MaskHistory:
    """Times and kept tokens of each latent frame of a file."""

    def __init__(self) -> None:
        self.times: list[tuple[float, float]] = []
        """Seconds at which each latent frame begins and ends."""
        self.kept: list[int] = []
        """Kept tokens of each latent frame."""
        self.positions: list[int] = []
        """Positions that each latent frame shows."""

    def add(self, kept: int, positions: int, start_seconds: float, end_seconds: float) -> None:
        """Take the next latent frame."""
        self.times.append((start_seconds, end_seconds))
        self.kept.append(kept)
        self.positions.append(positions)

    def ratios(self, most: int) -> list[tuple[float, float, float]]:
        """(start_seconds, end_seconds, kept tokens over positions) of each latent frame, or of several in a row: at
        most `most`.
        """
        each = max(-(-len(self.kept) // most), 1)
        pieces = [slice(start, start + each) for start in range(0, len(self.kept), each)]
        return [
            (self.times[piece][0][0], self.times[piece][-1][1], sum(self.kept[piece]) / sum(self.positions[piece]))
            for piece in pieces
        ]
