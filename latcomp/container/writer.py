"""Groups, audio and attachments into a .lat file, written forward only, so that it may go to a pipe."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO

from latcomp.container.attachments import Attachment, AttachmentCount, pack_attachment
from latcomp.container.audio import PACKETS_MAX, AudioChunk, pack_audio
from latcomp.container.chunks import pack_chunk
from latcomp.container.clock import FrameClock
from latcomp.container.coding import GroupCoder, Prior, coder_for
from latcomp.container.format import ATTACHMENT_CHUNK, AUDIO_CHUNK, END_CHUNK, GROUP_CHUNK, INDEX_CHUNK
from latcomp.container.group import Group, pack_group
from latcomp.container.header import Header, check_header_limits, pack_header
from latcomp.container.index import EndMarker, IndexEntry, pack_end, pack_index
from latcomp.container.limits import Limits
from latcomp.container.offsets import SegmentWorld
from latcomp.container.summary import FileSummary
from latcomp.errors import DamagedFileError, UsageError
from latcomp.stages import stage


@dataclass(frozen=True)
class GroupSizes:
    """Bytes that one group took."""

    bytes_mask: int
    bytes_tokens: int
    bytes_total: int
    """Its whole chunk."""


class ChunkWriter:
    """Puts the front of a file and its chunks one behind the other, keeps the index, and ends with both."""

    def __init__(self, fo: BinaryIO, front: bytes) -> None:
        """front: all bytes before the first chunk; they are written at once."""
        self._fo = fo
        self.offset = 0
        """Bytes written."""
        self.segments: list[IndexEntry] = []
        self.groups = self.frames = self.audio_packets = self.attachments = 0
        self._put(front)
        self._behind_group = self.offset

    def _put(self, data: bytes) -> int:
        view = memoryview(data)
        with stage("writing"):
            while view:  # a raw pipe may take less than it is given
                taken = self._fo.write(view)
                view = view[len(view) if taken is None else taken :]
        self.offset += len(data)
        return len(data)

    def put_group(self, payload: bytes, key: bool, first_pts: int, frames: int) -> int:
        """Write a group's chunk; gives its bytes."""
        if key:
            self.segments.append(IndexEntry(self.groups, self.frames, first_pts, self._behind_group))
        size = self._put(pack_chunk(GROUP_CHUNK, payload))
        self._behind_group = self.offset
        self.groups, self.frames = self.groups + 1, self.frames + frames
        return size

    def put_audio(self, payload: bytes, packets: int) -> int:
        """Write an audio chunk; gives its bytes."""
        self.audio_packets += packets
        return self._put(pack_chunk(AUDIO_CHUNK, payload))

    def put_attachment(self, payload: bytes) -> int:
        """Write an attachment's chunk; gives its bytes."""
        self.attachments += 1
        return self._put(pack_chunk(ATTACHMENT_CHUNK, payload))

    def put_end(self) -> None:
        """Write index and end marker."""
        marker = EndMarker(self.groups, self.frames, self.audio_packets, self.offset)
        self._put(pack_chunk(INDEX_CHUNK, pack_index(self.segments)))
        self._put(pack_chunk(END_CHUNK, pack_end(marker)))


class Writer:
    """Writes one .lat file; `close` finishes it. As a context manager it closes on success only, so a failed file has
    no end marker.

    Raises `UsageError` for groups that do not follow each other or do not fit the header, `LimitError` for what no
    reader would accept."""

    def __init__(self, fo: BinaryIO, header: Header, prior: Prior | None = None, coding: str = "context") -> None:
        """prior: the one that the header names; coding: 'context', or 'zstd' to do without the prior's means."""
        check_header_limits(header, Limits(max_pixels=2**48))
        self.header, self._prior, self._coding = header, prior, coding
        self._coder: GroupCoder | None = None
        front = pack_header(header)
        self._out = ChunkWriter(fo, front)
        self._clock = FrameClock(header)
        self._world = SegmentWorld(header, Limits())
        self._summary = FileSummary(header, bytes_header=len(front))
        self._attachments = AttachmentCount(Limits())
        self._closed = False

    def write_group(self, group: Group) -> GroupSizes:
        """Write the next group; gives its sizes in bytes."""
        self._require_open()
        if group.index != self._out.groups or group.first_frame != self._out.frames:
            raise UsageError(
                f"group {group.index} at frame {group.first_frame} was given, group {self._out.groups} at frame "
                f"{self._out.frames} is next"
            )
        if group.key:
            self._coder = coder_for(self.header, self._prior, self._coding)
        elif self._coder is None:
            raise UsageError("the first group of a file must be a key group")
        with stage("token_coding"):
            payload, head = pack_group(group, self.header, self._coder)
        self._world.show(head.view.window, group.key, f"group {group.index}")
        wrong = self._clock.follow(group.first_frame, head.pts)[1]
        if wrong is not None:
            raise UsageError(f"group {group.index} has times that make no sense: {wrong}")
        self._out.put_group(payload, group.key, int(group.pts[0]), head.frames)
        self._summary.add_group(head, len(payload))
        return GroupSizes(head.bytes_mask, head.bytes_tokens, self._summary.groups[-1].bytes)

    def write_audio(self, chunk: AudioChunk) -> int:
        """Write audio packets of one stream; gives the bytes they took. No packets, no bytes."""
        self._require_open()
        if not 0 <= chunk.stream < len(self.header.audio):
            raise UsageError(f"audio stream {chunk.stream} is not among the header's {len(self.header.audio)}")
        if not chunk.packets:
            return 0
        taken = 0
        for start in range(0, len(chunk.packets), PACKETS_MAX):
            packets = chunk.packets[start : start + PACKETS_MAX]
            taken += self._out.put_audio(pack_audio(AudioChunk(chunk.stream, packets)), len(packets))
        self._summary.bytes_audio += taken
        self._summary.audio_packets += len(chunk.packets)
        return taken

    def write_attachment(self, attachment: Attachment) -> int:
        """Write an attachment; gives the bytes it took. Raises `UsageError` for a name that another one of the file
        has."""
        self._require_open()
        try:
            self._attachments.add(attachment)
        except DamagedFileError as error:
            raise UsageError(str(error)) from None
        taken = self._out.put_attachment(pack_attachment(attachment))
        self._summary.add_attachment(attachment.name, attachment.dtype, attachment.shape, taken)
        return taken

    def close(self) -> FileSummary:
        """Write index and end marker; gives the summary of the file. The file object stays open. A second call writes
        nothing.
        """
        if not self._closed:
            self._out.put_end()
            self._closed = True
            self._summary.bytes_total = self._out.offset
        return self._summary

    @staticmethod
    def segment_bytes(groups: Sequence[Group], header: Header, prior: Prior | None, coding: str) -> int:
        """Bytes that the group chunks of one segment will take, found by coding them."""
        coder = coder_for(header, prior, coding)
        with stage("token_coding"):
            return sum(len(pack_chunk(GROUP_CHUNK, pack_group(group, header, coder)[0])) for group in groups)

    def _require_open(self) -> None:
        if self._closed:
            raise UsageError("the file was closed")

    def __enter__(self) -> Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
