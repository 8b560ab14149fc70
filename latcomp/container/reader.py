"""Groups, audio and attachments of a .lat file in file order, from files and pipes, up to and again after damage."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from latcomp.container.attachments import PackedAttachment
from latcomp.container.audio import AudioChunk
from latcomp.container.chunks import ByteSource, Chunk
from latcomp.container.clock import spread
from latcomp.container.coding import GroupCoder, Prior, coder_for
from latcomp.container.group import Group, GroupHead, unpack_group
from latcomp.container.header import Header
from latcomp.container.hint import claims_at, group_from, starts, true_segments
from latcomp.container.index import EndMarker, IndexEntry, entry_of_frame, entry_of_pts, load_index
from latcomp.container.limits import Limits
from latcomp.container.need import check_bytes
from latcomp.container.walk import INDEX_LIES, Problem, Walk, read_front
from latcomp.errors import DamagedFileError, UsageError
from latcomp.stages import stage, staged

FindPrior = Callable[[str, str], Prior]
"""The prior of a name and a SHA-256; raises `UnsupportedFileError` when it is not at hand."""


@dataclass(frozen=True)
class LostGroups:
    """Frames that damage took: they come where their groups would have come."""

    first_frame: int
    """Number of the first lost frame."""
    frames: int
    """How many."""
    pts: np.ndarray
    """int64 (frames,): their times, where the group's head could be read; between and around those, evenly spaced."""
    latent_frames: tuple[int, ...]
    """How many of them each lost latent frame stands for, as the heads say that could be read; elsewhere whole ones,
    the last short.
    """


Item = Group | AudioChunk | PackedAttachment | LostGroups
"""What a reader gives."""


class Reader:
    """An open .lat file. Iterate over it once: Group, AudioChunk, PackedAttachment and, where damage was met,
    LostGroups come in file order.

    Raises on opening: `DamagedFileError` (not a .lat file, or its header is damaged), `UnsupportedFileError` (version,
    coding), `LimitError`. Damage further on is stepped over and noted in `damage`: after it, reading goes on at the
    next key group. Later raised: `UnsupportedFileError` for chunks or layouts of a later version, `LimitError` for
    claims above the limits."""

    def __init__(self, fo: BinaryIO, limits: Limits | None = None, find_prior: FindPrior | None = None) -> None:
        """find_prior: gives the prior of a name and SHA-256; files that name one cannot be read without."""
        self._fo = fo
        self.limits = limits or Limits()
        self._seekable = _can_seek(fo)
        source = ByteSource(fo)
        self.header: Header
        with stage("reading"):
            self.header, self.front = read_front(source, self.limits)  # front: all bytes before the first chunk
        self._walk = Walk(source, self.header, self.limits)
        self._find_prior = find_prior
        self._prior: Prior | None = None
        self._index: tuple[EndMarker, tuple[IndexEntry, ...]] | None = None
        self._index_tried = False
        self._coder: GroupCoder | None = None  # None: the next group can only be a key group
        self._next_frame = 0  # the first frame that was neither given nor reported lost
        self._last_pts: int | None = None
        self._start_pts = 0  # of the first frame to be read, where nothing else tells times
        self._skipped: list[GroupHead] = []  # readable heads of groups that could not be decoded

    @property
    def damage(self) -> list[Problem]:
        """What was wrong so far, in file order; empty for an intact file."""
        return self._walk.problems

    def note(self, chunk: Chunk | None, message: str) -> None:
        """Add to the damage what whoever reads found wrong with what a chunk holds."""
        self._walk.note(0 if chunk is None else chunk.offset, message)

    @property
    def index(self) -> tuple[IndexEntry, ...] | None:
        """The segments of a seekable file; None for a pipe, or when the index is missing or damaged."""
        if not self._index_tried and self._seekable:
            place = self._fo.tell()
            self._index = load_index(self._fo, self.limits)
            self._fo.seek(place)
        self._index_tried = True
        return None if self._index is None else self._index[1]

    @property
    def frames_total(self) -> int | None:
        """Frames of the file, from its end marker; None when that is not at hand (a pipe before its end, a file cut
        off).
        """
        if self._walk.end is not None:
            return self._walk.end.frames
        return None if self.index is None or self._index is None else self._index[0].frames

    @property
    def first_pts(self) -> int | None:
        """Time of the file's first frame: as its group says it, else as the index does; None when neither can be read,
        or for a pipe.
        """
        if not self._seekable:
            return None
        hinted = self.index[0].first_pts if self.index and self.index[0].first_frame == 0 else None
        place = self._fo.tell()
        # two that agree need no checksum, which would take reading the whole group
        if hinted is None or claims_at(self._fo, len(self.front)) != (0, 0, hinted):
            head = group_from(self._fo, len(self.front), self.header, self._walk.limits)
            if head is not None and head.first_frame == 0:
                hinted = int(head.pts[0])
        self._fo.seek(place)
        bound = self._walk.clock.bound
        return None if hinted is None else max(min(hinted, bound), -bound)

    def seek_segment(self, frame: int) -> IndexEntry | None:
        """Go on at the segment that holds `frame`. Gives None, and reading goes on where it was, without an index."""
        return self._seek(lambda entries: entry_of_frame(entries, frame))

    def seek_seconds(self, seconds: float) -> IndexEntry | None:
        """Go on at the segment that holds a presentation time. Gives None, and reading goes on where it was, without an
        index.
        """
        if not math.isfinite(seconds):
            raise UsageError(f"{seconds} is not a time")
        numerator, denominator = self.header.time_base
        pts = math.floor(seconds * denominator / numerator)
        return self._seek(lambda entries: entry_of_pts(entries, pts))

    def _seek(self, find: Callable[[tuple[IndexEntry, ...]], IndexEntry]) -> IndexEntry | None:
        """Go on at the segment that `find` chooses: from the index, or from the file itself where the index contradicts
        it.
        """
        if not self.index:
            return None
        place, entry = self._fo.tell(), find(self.index)
        if not starts(group_from(self._fo, entry.offset, self.header, self._walk.limits), entry):
            segments = true_segments(self._fo, len(self.front), self.header, self.limits, self.index)
            if segments is not None:
                self._walk.note(entry.offset, INDEX_LIES)
                if not segments:
                    self._fo.seek(place)
                    return None
                entry = find(segments)
        self._fo.seek(entry.offset)
        self._walk.seek(ByteSource(self._fo, entry.offset), entry)
        self._coder, self._next_frame, self._last_pts, self._skipped = None, entry.first_frame, None, []
        self._start_pts = entry.first_pts
        return entry

    def __iter__(self) -> Iterator[Item]:
        for item, _ in self.with_chunks():
            yield item

    def with_chunks(self) -> Iterator[tuple[Item, Chunk | None]]:
        """The same items, each with the chunk it came in; None for lost groups."""
        for chunk, content in staged("reading", self._walk):
            if isinstance(content, AudioChunk | PackedAttachment):
                yield content, chunk
            elif isinstance(content, GroupHead):
                group = self._group(chunk, content)
                if group is not None:
                    for lost in self._lost(group.first_frame, int(group.pts[0])):
                        yield lost, None
                    self._next_frame = group.first_frame + len(group.pts)
                    self._last_pts = int(group.pts[-1])
                    yield group, chunk
        # behind the last group: what the end marker says was there, or at least what could be read of it
        last = self._skipped[-1] if self._skipped else None
        known_end = last.first_frame + last.frames if last else self._next_frame
        for lost in self._lost(self._walk.end.frames if self._walk.end else known_end, None):
            yield lost, None

    def _group(self, chunk: Chunk, head: GroupHead) -> Group | None:
        """The decoded group, or None when damage leaves it undecodable."""
        if head.key:
            wanted = self.header.prior
            if wanted is not None and self._prior is None and self._find_prior is not None:
                self._prior = self._find_prior(wanted["name"], wanted["sha256"])
        try:
            check_bytes(head, self.header, self._prior, head.key)
        except DamagedFileError as error:
            self._walk.note(chunk.offset, str(error))
            self._coder = None
            self._lose(head)
            return None
        if head.key:
            self._coder = coder_for(self.header, self._prior)
        elif self._coder is None or head.first_frame != self._next_frame:
            if not self.damage:
                self._walk.note(chunk.offset, f"group {head.index} is no key group and nothing stands before it")
            self._coder = None
        if self._coder is not None:
            try:
                with stage("token_coding"):
                    return unpack_group(chunk.payload, head, self.header, self._coder)
            except DamagedFileError as error:
                self._walk.note(chunk.offset, str(error))
                self._coder = None
        self._lose(head)
        return None

    def _lose(self, head: GroupHead) -> None:
        """Count a group that cannot be decoded, and remember what can be read of it."""
        self._walk.lose(head.frames, f"up to group {head.index}")
        self._skipped.append(head)

    def _lost(self, until_frame: int, until_pts: int | None) -> Iterator[LostGroups]:
        frames = until_frame - self._next_frame
        if frames > 0:
            known = [(head.first_frame - self._next_frame, head.pts) for head in self._skipped]
            pts = self._lost_times(frames, known, until_pts)
            yield LostGroups(self._next_frame, frames, pts, self._lost_latent_frames(until_frame))
        self._skipped = []

    def _lost_latent_frames(self, until_frame: int) -> tuple[int, ...]:
        """Frames of each latent frame up to `until_frame` that was lost."""
        at, inside = self._next_frame, self.header.rule_of(key=False)
        found: list[int] = []
        stretches = [(head.first_frame, head.frames, self.header.rule_of(head.key)) for head in self._skipped]
        for first, frames, rule in (*stretches, (until_frame, 0, inside)):
            unknown = min(first, until_frame) - at
            if unknown > 0:
                found += inside.counts(unknown)
                at += unknown
            missing = min(first + frames, until_frame) - max(first, at)
            if missing > 0:
                found += (rule if at == first else inside).counts(missing)
                at += missing
        return tuple(found)

    def _lost_times(self, frames: int, known: list[tuple[int, np.ndarray]], until_pts: int | None) -> np.ndarray:
        """int64 (frames,) times: `known` ones in their places, evenly spaced ones elsewhere."""
        places: list[int] = [] if self._last_pts is None else [-1]
        times: list[int] = [] if self._last_pts is None else [self._last_pts]
        for first, pts in known:
            places += range(first, first + len(pts))
            times += pts.tolist()
        if until_pts is not None:
            places.append(frames)
            times.append(until_pts)
        clock = self._walk.clock
        if not places:
            places, times = [0], [self._start_pts]
        if places[0] > 0:
            times.insert(0, clock.before(times[0], places[0]))
            places.insert(0, 0)
        if places[-1] < frames - 1:
            times.append(clock.after(times[-1], frames - 1 - places[-1]))
            places.append(frames - 1)
        return spread(places, times)[1 if places[0] < 0 else 0 :][:frames]


def _can_seek(fo: BinaryIO) -> bool:
    """Whether offsets in the file are places of the file object."""
    seekable = getattr(fo, "seekable", None)
    return bool(seekable is not None and seekable() and fo.tell() == 0)
