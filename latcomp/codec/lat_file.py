"""A .lat file opened for reading in Python: header, statistics, groups, latents and masks by time. Only `latents` needs
torch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np

from latcomp import models
from latcomp.checks import check_whole
from latcomp.codec.arguments import checks_arguments
from latcomp.codec.places import WorldLatents, WorldMask, check_places, moves, no_frame_places
from latcomp.codec.timeline import Timeline
from latcomp.container import Group, Header, Limits, LostGroups, Problem, Reader, scan
from latcomp.container.walk import NO_FRAMES
from latcomp.devices import memory_errors
from latcomp.errors import DamagedFileError, UsageError
from latcomp.latents import Box
from latcomp.latents.time_window import TimeWindow
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.report.stats import stats_dict
from latcomp.sources import SharedFile, open_seekable

if TYPE_CHECKING:
    from latcomp.codec.filled import FillModels

DAMAGED = ("error", "hold")
Chosen: TypeAlias = tuple[Group, bool, slice]
"""A group, whether it stands for a lost one, and which of its latent frames are wanted."""


class LatFile:
    """Reader of a .lat file; a context manager. Iterating yields its groups in order.

    What is damaged never makes a file shorter: reading raises `DamagedFileError`, or with damaged='hold' lost latent
    frames stand in their places, with nothing kept and the last filled latents held, as `decode` holds the last frame.
    """

    @checks_arguments
    def __init__(
        self,
        source: str | Path | BinaryIO,
        fill: str = "auto",
        device: str = "auto",
        tokenizer: str | Path | None = None,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        limits: Limits | None = None,
        damaged: str = "error",
    ) -> None:
        """source: a path or a binary file object, read from where it stands; one that cannot go back, as a pipe, is
        copied to a temporary file first. fill, device, max_pixels, limits: as for `decode`. damaged: 'error' or 'hold'.

        Raises `DamagedFileError` when the source cannot be read or is not a .lat file, `UsageError` for another word in
        `damaged`."""
        if damaged not in DAMAGED:
            raise UsageError(f"damaged {damaged!r} is unknown: choose {' or '.join(DAMAGED)}")
        self._limits = limits or Limits(max_pixels=max_pixels)
        self._fill, self._device, self._tokenizer, self._holds = fill, device, tokenizer, damaged == "hold"
        self._damage: dict[str, None] = {}
        self._timeline: Timeline | None = None
        self.models: FillModels | None = None
        """What filling needs of the file's models: found at the first latents, or given before that by who reads many
        files of the same models."""
        self._held = ExitStack()  # what was opened here
        try:
            # each pass over the groups has its own place, as several may be under way
            self._file = SharedFile(self._held.enter_context(open_seekable(source)))
            self.header: Header = Reader(self._file.view(), self._limits).header
            """The file's header."""
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> LatFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        header = self.header
        return f"LatFile({header.width}x{header.height}, {header.tokenizer['name']}, quality {header.quality})"

    def close(self) -> None:
        """Close the file, when it was opened here."""
        self._held.close()

    @property
    def damage(self) -> list[str]:
        """What was found to be damaged so far, in the order in which it was met; empty for what was read of an intact
        file.
        """
        return list(self._damage)

    def stats(self) -> dict[str, Any]:
        """The object of `latcomp stats --json`; what is damaged is in its `damage`. Raises `LimitError` for claims
        above the limits.
        """
        return stats_dict(scan(self._file.view(), self._limits))

    def __iter__(self) -> Iterator[Group]:
        """The groups; with damaged='hold' also groups that keep nothing, in the place of lost ones and numbered on from
        the one before.
        """
        for group, _ in self._groups(self._reader()):
            yield group

    def _reader(self) -> Reader:
        return Reader(self._file.view(), self._limits, models.prior_finder(self._tokenizer))

    def _groups(self, reader: Reader) -> Iterator[tuple[Group, bool]]:
        """The groups from where the reader stands, each with whether it stands for a lost one.

        Raises `DamagedFileError` at the first damage unless that is held, and when nothing could be read.
        """
        found, before = 0, -1
        offset: np.ndarray | None = None  # of the last frame, where the camera then stays
        for item in reader:
            self._note(reader.damage)
            if isinstance(item, Group):
                found, before = found + 1, item.index
                offset = item.offsets[-1] if item.offsets is not None and moves(item) else None
                yield item, False
            elif isinstance(item, LostGroups):
                for group in _placeholders(item, before + 1, self.header, offset):
                    before = group.index
                    yield group, True
        self._note(reader.damage)
        if not found:
            raise DamagedFileError(f"nothing could be read: {reader.damage[0]}" if reader.damage else NO_FRAMES)

    def _note(self, problems: Sequence[Problem]) -> None:
        """Take over what was found wrong. Raises `DamagedFileError` unless damage is held."""
        if problems:
            self._damage |= dict.fromkeys(map(str, problems))
            if not self._holds:
                raise DamagedFileError(
                    f"the file is damaged: {problems[0]}; damaged='hold' reads the rest, in its place"
                )

    @property
    def timeline(self) -> Timeline:
        """Where segments begin, in frames and latent frames: from the index, or by reading the file where that is
        missing or damaged, which raises `DamagedFileError` unless damage is held.
        """
        if self._timeline is None:
            found = Timeline.of(self._reader())
            if found is None:
                summary = scan(self._file.view(), self._limits)
                self._note(summary.problems)
                found = Timeline.counted(summary)
            self._timeline = found
        return self._timeline

    def _chosen(self, start_seconds: float, duration_seconds: float | None) -> Iterator[Chosen]:
        """The latent frames that lie in the chosen time, from the segment that holds its start on."""
        from latcomp.codec.decode_stream import seek_to

        window = TimeWindow.of(start_seconds, duration_seconds)
        unit = Fraction(*self.header.time_base)
        reader = self._reader()
        first = seek_to(reader, window)
        for group, lost in self._groups(reader):
            first = int(group.pts[0]) if first is None else first
            times = [(pts - first) * unit for pts in group.pts.tolist()]
            if window.is_past(times[0]):
                return
            # a latent frame is chosen when any of its frames is
            rule = self.header.rule_of(group.key)
            chosen = sorted(
                {rule.latent_frame_of(place) for place, seconds in enumerate(times) if window.holds(seconds)}
            )
            yield group, lost, slice(chosen[0], chosen[-1] + 1) if chosen else slice(0, 0)

    def _counted(self, first: int, count: int | None) -> Iterator[Chosen]:
        """`count` latent frames from number `first` on, all with None; nothing behind the last one's group is read."""
        reader, at = self._reader(), 0
        if first and self.timeline.segments:
            entry = reader.seek_segment(self.timeline.segment_of(first).first_frame)
            at = 0 if entry is None else self.timeline.latent_frame_of(entry.first_frame)
        end = math.inf if count is None else first + count
        for group, lost in self._groups(reader):
            steps = len(group.mask)
            yield group, lost, slice(min(max(first - at, 0), steps), int(min(max(end - at, 0), steps)))
            at += steps
            if at >= end:
                return

    def latents(self, start_seconds: float = 0.0, duration_seconds: float | None = None, places: str = "frame") -> Any:
        """Filled latents of the latent frames that overlap the chosen time, float32 torch tensors.

        places: 'frame' gives one tensor `(1, C, T, h, w)` over the frame's own grid, 'world' a list with a
        `WorldLatents` for each group, which is what there is of a moving camera.

        Raises `DamagedFileError` at damage on the way unless that is held, `UsageError` when no latent frame lies in
        the chosen time, and with 'frame' where the camera was followed in it."""
        check_places(places)
        found = list(self._filled(self._chosen(start_seconds, duration_seconds), places))
        if not found:
            raise UsageError("no latent frame lies in the chosen time")
        if places == "world":
            return found
        import torch

        return torch.cat([part.latents for part in found], dim=2)

    def stretch(self, first: int = 0, count: int | None = None, places: str = "frame") -> list[WorldLatents]:
        """Filled latents and masks of `count` latent frames from number `first` on, a part for each group that has some
        of them; None: all to the end.

        Only segments that hold some of them are read, and of the last one nothing behind their group. Fewer come where
        the file ends before. Raises what `latents` does, but gives an empty list behind the end."""
        check_places(places)
        check_whole("first", first, 0, "choose a latent frame, from 0")
        if count is not None:
            check_whole("count", count, 1, "choose 1 latent frame or more")
        return list(self._filled(self._counted(first, count), places))

    def _filled(self, groups: Iterable[Chosen], places: str) -> Iterator[WorldLatents]:
        """The latent frames that are wanted, filled. Raises `UsageError` for one that has not the places that are asked
        for.
        """
        import torch

        from latcomp.codec.filled import FillModels, GroupFiller

        if self.models is None:
            self.models = FillModels(self.header, self._device, self._fill, self._tokenizer)
        device = self.models.device
        filler = GroupFiller(self.header, self.models)
        last = torch.zeros((1, self.header.channels, 1, *self.header.grid), device=device)
        window = Box(0, 0, *self.header.grid)
        for group, lost, chosen in groups:
            wanted = chosen.stop > chosen.start
            if places == "frame" and moves(group) and wanted:
                raise no_frame_places("latents have", "give places='world'")
            if not (lost or wanted or self._holds) and filler.skip(group):
                continue
            if lost:  # it shows what the last frame before it does
                held = last[(..., *group.view.window.inside(window))]
                filled = held.expand(-1, -1, len(group.mask), -1, -1)
            else:
                with memory_errors(device):
                    filled, _ = filler.fill(group)
            last, window = filled[:, :, -1:], group.view.window
            if wanted:
                yield WorldLatents.of(group, self.header, filled, chosen)

    @property
    def mask(self) -> np.ndarray:
        """Keep mask of the whole file, `(T, h, w)` booleans; nothing is kept where damage is held.

        Raises `DamagedFileError` at damage unless that is held, and when the file holds no frames; `UsageError` where
        the camera was followed in it.
        """
        masks = []
        for group in self:
            if moves(group):
                raise no_frame_places("the mask has", "read world_masks")
            masks.append(group.mask)
        return np.concatenate(masks)

    @property
    def world_masks(self) -> list[WorldMask]:
        """Keep mask of each group over what it shows of the world, also where the camera moves. Raises
        `DamagedFileError` as `mask` does.
        """
        return [WorldMask.of_group(group) for group in self]


def _placeholders(lost: LostGroups, index: int, header: Header, offset: np.ndarray | None) -> Iterator[Group]:
    """Groups that keep nothing, in the place of lost ones, the first of number `index`; offset: (2,) of the camera,
    None for the world's corner.

    Only the last latent frame of a group may be short, so a short one ends its group.
    """
    at, start = 0, 0
    counts = lost.latent_frames
    for end, count in enumerate(counts, 1):
        if end - start < header.group_latent_frames and count == header.temporal and end < len(counts):
            continue
        frames = sum(counts[start:end])
        offsets = None if offset is None else np.tile(offset, (frames, 1))
        view = header.view_of(False, frames, offsets)
        nothing = np.zeros((0, header.channels), np.float32 if header.coding == "lossless" else np.int32)
        yield Group(
            index,
            False,
            lost.first_frame + at,
            lost.pts[at : at + frames],
            np.zeros(view.shape, bool),
            nothing,
            "hold",
            halvings=None if header.prior is None else np.zeros(0, np.uint8),
            offsets=offsets,
            view=view,
        )
        at, start, index = at + frames, end, index + 1


def open_lat(source: str | Path | BinaryIO, **settings: Any) -> LatFile:
    """A `LatFile` of a path or file object; settings as it takes them."""
    return LatFile(source, **settings)
