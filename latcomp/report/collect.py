"""One pass over a .lat file, and its pictures beside it: what a page shows of its frames and keep masks. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from latcomp.container import Group, Reader
from latcomp.report.pictures import JpegMaker, Shelf, Shown, picture_size
from latcomp.report.series import GroupRow

AGE_MOST = 255

PicturesOf = Callable[[Group], Iterator[np.ndarray]]
"""The frames of a group in order, (H, W, 3) uint8 RGB; called with every group in file order. It may give fewer than
the group has.
"""


class MaskHistory:
    """What the keep masks so far say of each position, without holding the masks."""

    def __init__(self, grid: tuple[int, int]) -> None:
        """grid: (rows, columns) of positions."""
        self.age = np.full(grid, AGE_MOST, np.uint8)
        """uint8 (rows, columns): latent frames since the position was kept, 0 in the one it is kept in, at most 255."""
        self._times_kept = np.zeros(grid, np.int64)
        self.times: list[tuple[float, float]] = []
        """Seconds at which each latent frame begins and ends."""
        self.kept: list[int] = []
        """Kept tokens of each latent frame."""

    def add(self, mask: np.ndarray, start_seconds: float, end_seconds: float) -> None:
        """Take the next latent frame. mask: bool (rows, columns)."""
        self.age += self.age < AGE_MOST
        self.age[mask] = 0
        self._times_kept += mask
        self.times.append((start_seconds, end_seconds))
        self.kept.append(int(np.count_nonzero(mask)))

    @property
    def share(self) -> np.ndarray:
        """uint8 (rows, columns): in what share of the latent frames the position was kept, 255 is all."""
        return np.rint(255 * self._times_kept / max(len(self.kept), 1)).astype(np.uint8)

    def ratios(self, most: int) -> list[tuple[float, float, float]]:
        """(start_seconds, end_seconds, kept tokens over positions) of each latent frame, or of several in a row: at
        most `most`.
        """
        each = max(-(-len(self.kept) // most), 1)
        pieces = [slice(start, start + each) for start in range(0, len(self.kept), each)]
        return [
            (
                self.times[piece][0][0],
                self.times[piece][-1][1],
                sum(self.kept[piece]) / (len(self.kept[piece]) * self.age.size),
            )
            for piece in pieces
        ]


@dataclass
class Collected:
    """What a page shows of a file."""

    shelf: Shelf
    history: MaskHistory
    size: tuple[int, int]
    """(width, height) of its pictures, before rotation."""
    damage: list[str] = field(default_factory=list)
    """What was found damaged while masks were read, one line each."""


def collect(
    reader: Reader, rows: Sequence[GroupRow], pictures_of: PicturesOf, progress: Callable[[int], None] | None = None
) -> Collected:
    """Read a file from the reader's place to its end.

    rows: of `group_rows`, of the same file; progress: called with the number of frames passed, after each group. Raises
    what the reader and `pictures_of` raise; damage in the file is stepped over and listed."""
    header = reader.header
    numerator, denominator = header.time_base
    ends = {row.group: row.end_seconds for row in rows}
    size = picture_size(header.width, header.height, header.sample_aspect_ratio)
    shelf = Shelf.for_frames(sum(row.frames for row in rows))
    history, jpeg = MaskHistory(header.grid), JpegMaker(size)
    for group in reader:
        if not isinstance(group, Group):
            continue
        pictures = pictures_of(group)
        times = [pts * numerator / denominator for pts in group.pts.tolist()]
        rule = header.rule_of(group.key)
        starts = [times[rule.place(step).start] for step in range(len(group.mask))]
        starts.append(ends.get(group.index, times[-1]))
        for place, seconds in enumerate(times):
            step = rule.latent_frame_of(place)
            if place == rule.place(step).start:
                history.add(group.mask[step], starts[step], starts[step + 1])
            pixels = next(pictures, None)
            frame = group.first_frame + place
            if pixels is not None and shelf.wants(frame):
                shown = Shown(frame, seconds, len(history.kept) - 1, group.index, history.kept[-1], jpeg(pixels))
                shelf.put(shown, history.age)
        for _ in pictures:  # what gives them may have something left to do
            pass
        if progress is not None:
            progress(group.first_frame + len(group.pts))
    return Collected(shelf, history, size, [str(problem) for problem in reader.damage])
