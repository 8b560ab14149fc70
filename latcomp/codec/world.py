"""Where the frames of a segment lie in its world: offsets that count from its first frame."""

from __future__ import annotations

from dataclasses import dataclass

from latcomp.latents import Box, Offset
from latcomp.video import Frame


@dataclass(frozen=True)
class Placed:
    """A frame and where the camera was."""

    frame: Frame
    offset: Offset = (0, 0)
    """Whole pixels to the corner of the world that the last cut began, or the video's first frame."""
    cut: bool = False
    """Whether a new world begins with it."""


class World:
    """The world of a segment while it is encoded."""

    def __init__(self) -> None:
        self._base: Offset = (0, 0)  # what a frame's offset is counted from
        self._last: Offset = (0, 0)  # of the last frame
        self._box: Box | None = None
        self._cut = False  # whether the last latent frame ended in a new world
        self._moved = False  # whether a frame of the segment was not at the corner

    def rests(self, placed: list[Placed]) -> bool:
        """Whether the next latent frame, and all of the segment before it, lies at the world's corner; then that is
        taken note of. A world that begins where nothing moved goes on at the corner of the one before."""
        if self._moved:
            return False
        offsets, cut = self._placed(placed, self._base_of(placed))
        if any(offset != (0, 0) for offset in offsets):
            return False
        self._base, self._cut = self._base_of(placed), cut
        return True

    def place(self, placed: list[Placed]) -> tuple[list[Offset], bool]:
        """(offset of each of the next latent frame's frames, whether a segment has to begin with it).

        Behind a cut among its frames they stay where the last one before it was; the new world begins with the next
        latent frame."""
        starts = self._moved and self._begins(placed)
        self._base = self._base_of(placed)
        offsets, self._cut = self._placed(placed, self._base)
        return offsets, starts

    def begin(self, placed: list[Placed]) -> list[Offset]:
        """The same for a latent frame that begins a segment."""
        self._base, self._last, self._box, self._moved = placed[0].offset, (0, 0), None, False
        offsets, self._cut = self._placed(placed, self._base)
        return offsets

    @property
    def ends_elsewhere(self) -> bool:
        """Whether the last latent frame has a cut among its frames."""
        return self._cut

    def holds(self, box: Box, most: int) -> bool:
        """Whether the segment's world stays within so many positions with another box."""
        return self._box is None or Box.around((self._box, box)).area <= most

    def take(self, offsets: list[Offset], box: Box) -> None:
        """The next latent frame lies so."""
        self._last = offsets[-1]
        self._box = box if self._box is None else Box.around((self._box, box))
        self._moved |= any(offset != (0, 0) for offset in offsets)

    def _begins(self, placed: list[Placed]) -> bool:
        return self._cut or placed[0].cut

    def _base_of(self, placed: list[Placed]) -> Offset:
        """What the offsets of a latent frame are counted from."""
        if not self._begins(placed):
            return self._base
        return placed[0].offset[0] - self._last[0], placed[0].offset[1] - self._last[1]

    def _placed(self, placed: list[Placed], base: Offset) -> tuple[list[Offset], bool]:
        """(offsets that count from the base, whether there was a cut behind the first frame)."""
        found: list[Offset] = []
        for number, each in enumerate(placed):
            if number and each.cut:
                last = found[-1]
                return [*found, *[last] * (len(placed) - number)], True
            found.append((each.offset[0] - base[0], each.offset[1] - base[1]))
        return found, False
