"""The chunks of a file in order, each checked for its place in the sequence; damage is noted and stepped over."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from latcomp.container.attachments import AttachmentCount, PackedAttachment, unpack_attachment
from latcomp.container.audio import AudioChunk, unpack_audio
from latcomp.container.chunks import BadChunk, ByteSource, Chunk, ChunkReader, SearchEnded
from latcomp.container.clock import FrameClock
from latcomp.container.format import ATTACHMENT_CHUNK, AUDIO_CHUNK, CHUNK_TYPES, GROUP_CHUNK, INDEX_CHUNK, PRELUDE
from latcomp.container.group import GroupHead, place_of, unpack_head
from latcomp.container.header import Header, header_length, unpack_header
from latcomp.container.index import EndMarker, IndexEntry, unpack_end, unpack_index
from latcomp.container.limits import Limits
from latcomp.container.offsets import SegmentWorld, world_most
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError

AUDIO_BYTES_MAX = 64 << 20
INDEX_LIES = "the index does not fit the file"
NO_FRAMES = "the file holds no frames"

Content = GroupHead | AudioChunk | PackedAttachment | tuple[IndexEntry, ...] | EndMarker
"""What a chunk says."""


@dataclass(frozen=True)
class Problem:
    """Something in a file that is not as it should be."""

    offset: int
    """Byte where it was noticed."""
    message: str

    def __str__(self) -> str:
        return self.message


def read_header(source: ByteSource, limits: Limits) -> Header:
    """The header at the front of a file; raises what `unpack_header` raises."""
    return read_front(source, limits)[0]


def read_front(source: ByteSource, limits: Limits) -> tuple[Header, bytes]:
    """The header, and all bytes before the first chunk as they are; raises what `unpack_header` raises."""
    prelude = source.take(PRELUDE.size)
    rest = source.take(header_length(prelude, limits))
    return unpack_header(prelude, rest, limits), prelude + rest


class Walk:
    """Iterates over (chunk, content): a GroupHead, AudioChunk, PackedAttachment, index entries or EndMarker each;
    optional unknown chunks are left out.

    problems: what was wrong so far; damage never ends the walk, only the end of the bytes or the end marker does.
    """

    def __init__(self, source: ByteSource, header: Header, limits: Limits, compare_index: bool = True) -> None:
        """compare_index: whether an index that does not fit the file is a problem."""
        positions = world_most(header.grid) if "camera" in header.requires else math.prod(header.grid)
        symbols = header.group_latent_frames * positions * header.channels
        # no honest chunk is longer, so a damaged length is seen at once and not only after buffering what it claims
        longest = max(AUDIO_BYTES_MAX, 8 * symbols)
        self.limits = replace(limits, max_chunk_bytes=min(limits.max_chunk_bytes, longest))
        self.source, self.header = source, header
        self._chunks = ChunkReader(source, self.limits)
        self.clock = FrameClock(header)
        self._world = SegmentWorld(header, limits)
        self._attachments = AttachmentCount(limits)
        self.problems: list[Problem] = []
        self._compare_index = compare_index
        self._index_offset: int | None = None
        self._more_problems = self._lost_frames = 0
        self.next_group = self.next_frame = self.audio_packets = 0
        self.segments: list[IndexEntry] = []
        self.end: EndMarker | None = None
        self.from_start = True
        """Whether every chunk since the header was walked; false after a seek, when counts cannot be compared."""
        self._behind_group = source.offset

    def seek(self, source: ByteSource, entry: IndexEntry) -> None:
        """Go on at a segment's start."""
        self.source, self._chunks = source, ChunkReader(source, self.limits)
        self.next_group, self.next_frame = entry.group, entry.first_frame
        self.end, self.from_start = None, False
        self._world, self._attachments = SegmentWorld(self.header, self.limits), AttachmentCount(self.limits)
        self.clock.reset()

    def note(self, offset: int, message: str) -> None:
        """Note a problem; above the limit only their number, in the last one."""
        most = self.limits.max_problems
        if len(self.problems) < most:
            self.problems.append(Problem(offset, message))
            return
        self._more_problems += 1
        self.problems[most:] = [Problem(offset, f"{self._more_problems} more problems up to byte {offset}")]

    def lose(self, frames: int, where: str) -> None:
        """Count frames that cannot be decoded. Raises `LimitError` when the file has lost too many."""
        self._lost_frames += frames
        if self._lost_frames > self.limits.max_lost_frames:
            raise LimitError(
                f"{self._lost_frames} frames {where} are lost, {self.limits.max_lost_frames} are allowed "
                "(raise with max_lost_frames)",
                settings=("max_lost_frames",),
            )

    def __iter__(self) -> Iterator[tuple[Chunk, Content]]:
        while self.end is None:
            try:
                chunk = self._next()
            except SearchEnded as error:
                self.note(self.source.offset, str(error))
                return
            if chunk is None:
                self.note(
                    self.source.offset,
                    f"the file is cut off: it ends at byte {self.source.offset} without an end marker",
                )
                return
            if chunk.type not in CHUNK_TYPES:
                if chunk.type[:1].isupper():
                    raise UnsupportedFileError(
                        f"the file needs chunks of type {chunk.type.decode('ascii')}, which this latcomp does not "
                        "know: use a newer one"
                    )
                continue
            try:
                content = self._content(chunk)
            except DamagedFileError as error:
                self.note(chunk.offset, str(error))
                continue
            if content is not None:
                yield chunk, content
        with self.source.peek(1) as more:
            if more:
                self.note(self.source.offset, f"bytes behind the end marker, from byte {self.source.offset}")

    def _next(self) -> Chunk | None:
        try:
            return self._chunks.next()
        except BadChunk as bad:
            self.note(bad.offset, str(bad))
            return self._chunks.find_next()

    def _content(self, chunk: Chunk) -> Content | None:
        """What a chunk of a known type says; None for a group that does not come in its place."""
        if chunk.type == GROUP_CHUNK:
            return self._group(chunk)
        if chunk.type == AUDIO_CHUNK:
            audio = unpack_audio(chunk.payload, len(self.header.audio))
            self.audio_packets += len(audio.packets)
            return audio
        if chunk.type == ATTACHMENT_CHUNK:
            attachment = unpack_attachment(chunk.payload)
            self._attachments.add(attachment)
            return attachment
        if chunk.type == INDEX_CHUNK:
            self._index_offset = chunk.offset
            entries = unpack_index(chunk.payload, chunk.offset)
            if self._compare_index and self.from_start and not self.problems and list(entries) != self.segments:
                raise DamagedFileError(INDEX_LIES)
            return entries
        end = unpack_end(chunk.payload, self.limits)
        self._check_end(chunk, end)
        self.end = end
        return end

    def _group(self, chunk: Chunk) -> GroupHead | None:
        """The head of a group that comes in its place, or later than expected; None for one that comes again or
        contradicts the order.
        """
        index, first_frame = place_of(chunk.payload)  # before the times: a group of a few bytes may have many
        ahead, frames = index - self.next_group, first_frame - self.next_frame
        longest = self.header.group_latent_frames * self.header.temporal
        if ahead < 0:
            self.note(chunk.offset, f"group {index} comes again or too late")
            return None
        if first_frame <= self.limits.max_frames and not ahead <= frames <= ahead * longest:
            self.note(chunk.offset, f"group {index} claims to start at frame {first_frame}, {self.next_frame} is next")
            return None
        head = unpack_head(chunk.payload, self.header, self.limits)
        # behind a lost group, which may have been a key group, nothing is decoded before the next segment
        self._world.show(head.view.window, head.key or ahead > 0, f"group {head.index}")
        if ahead:
            self.lose(frames, f"before group {head.index}")
            which = f"group {self.next_group} is" if ahead == 1 else f"groups {self.next_group} to {head.index - 1} are"
            self.note(chunk.offset, f"{which} missing ({frames} frames)")
        times, wrong = self.clock.follow(head.first_frame, head.pts)
        if wrong is not None:  # its frames are good, only when to show them is not known
            self.note(chunk.offset, f"group {index} has times that make no sense: {wrong}")
            head = replace(head, pts=times)
        if head.key:
            self.segments.append(IndexEntry(head.index, head.first_frame, int(head.pts[0]), self._behind_group))
        self._behind_group = chunk.offset + chunk.size
        self.next_group, self.next_frame = head.index + 1, head.first_frame + head.frames
        return head

    def _check_end(self, chunk: Chunk, end: EndMarker) -> None:
        longest = self.header.group_latent_frames * self.header.temporal
        ahead, frames = end.groups - self.next_group, end.frames - self.next_frame
        if not 0 <= ahead <= frames <= ahead * longest:
            raise DamagedFileError(
                f"the end marker claims {end.groups} groups and {end.frames} frames, {self.next_group} and "
                f"{self.next_frame} came"
            )
        self.lose(frames, "at the end")
        if ahead:
            self.note(chunk.offset, f"the last {ahead} groups are missing ({frames} frames)")
        if not self.from_start or self.problems:
            return
        if end.audio_packets != self.audio_packets:
            self.note(
                chunk.offset, f"the end marker claims {end.audio_packets} audio packets, {self.audio_packets} came"
            )
        elif end.groups == 0:
            self.note(chunk.offset, NO_FRAMES)
        elif self._compare_index and end.index_offset != self._index_offset:
            self.note(chunk.offset, f"the end marker claims an index at byte {end.index_offset}, it is not there")
