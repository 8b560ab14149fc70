"""One pass over a .lat file, and its pictures beside it: what a page shows of its frames and keep masks. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from latcomp.container import Group, Reader
from latcomp.latents import Offset
from latcomp.report.history import MaskHistory, WorldHistory, worlds_of
from latcomp.report.pictures import JpegMaker, Shelf, Shown, ShownWorld, picture_size
from latcomp.report.series import GroupRow

PicturesOf = Callable[[Group], Iterator[np.ndarray]]
"""The frames of a group in order, (H, W, 3) uint8 RGB; called with every group in file order. It may give fewer than
the group has.
"""


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
    history, jpeg, numbers = MaskHistory(), JpegMaker(size), worlds_of(rows)
    world: _World | None = None
    for group in reader:
        if not isinstance(group, Group):
            continue
        pictures = pictures_of(group)
        times = [pts * numerator / denominator for pts in group.pts.tolist()]
        rule = header.rule_of(group.key)
        starts = [times[rule.place(step).start] for step in range(len(group.mask))]
        starts.append(ends.get(group.index, times[-1]))
        number = numbers.get(group.index, -1)
        if world is None or world.number != number:
            if world is not None:
                shelf.put_world(*world.shown())
            world = _World(number, group)
        for place, seconds in enumerate(times):
            step = rule.latent_frame_of(place)
            if place == rule.place(step).start:
                view, mask = group.view.frames[step], group.view.part(group.mask, step)
                world.history.add(view, mask)
                history.add(int(np.count_nonzero(mask)), view.count, starts[step], starts[step + 1])
            pixels = next(pictures, None)
            frame = group.first_frame + place
            offset = (0, 0) if group.offsets is None else (int(group.offsets[place, 0]), int(group.offsets[place, 1]))
            world.path.append((frame, offset))
            if pixels is not None and shelf.wants(frame):
                latent_frame, kept = len(history.kept) - 1, history.kept[-1]
                shown = Shown(
                    frame, seconds, latent_frame, group.index, kept, jpeg(pixels), view.count, offset, world.number
                )
                shelf.put(shown, view.box, world.history.age(view.box))
        for _ in pictures:  # what gives them may have something left to do
            pass
        if progress is not None:
            progress(group.first_frame + len(group.pts))
    if world is not None:
        shelf.put_world(*world.shown())
    return Collected(shelf, history, size, [str(problem) for problem in reader.damage])


class _World:
    """A world while its groups are read."""

    def __init__(self, number: int, first: Group) -> None:
        self.number = number
        self.history = WorldHistory(first.view.frames[0].box)
        self.path: list[tuple[int, Offset]] = []  # (frame, its offset)

    def shown(self) -> tuple[int, ShownWorld]:
        """(its number, what a page shows of it)."""
        return self.number, ShownWorld.of(self.history.box, self.history.share, self.path)
