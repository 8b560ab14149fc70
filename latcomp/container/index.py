"""The index of segments and the end marker, which stand last in a file so that it can be written to a pipe."""

from __future__ import annotations

import bisect
import os
from dataclasses import asdict, dataclass
from typing import BinaryIO

from latcomp.container.chunks import CHUNK_OVERHEAD, BadChunk, ByteSource, Chunk, ChunkReader
from latcomp.container.format import END, END_CHUNK, GROUP_HEAD, INDEX_CHUNK, INDEX_ENTRY, INDEX_HEAD
from latcomp.container.limits import Limits
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError, LimitError

SEGMENT_BYTES_MIN = CHUNK_OVERHEAD + GROUP_HEAD.size


@dataclass(frozen=True, slots=True)
class IndexEntry:
    """Where a segment starts."""

    group: int
    """Number of its key group."""
    first_frame: int
    """Number of its first frame."""
    first_pts: int
    """Presentation time of that frame."""
    offset: int
    """Byte where reading starts: behind the group before, so that audio in between is read too."""


@dataclass(frozen=True)
class EndMarker:
    """What the writer counted."""

    groups: int
    frames: int
    audio_packets: int
    index_offset: int


def pack_index(entries: list[IndexEntry]) -> bytes:
    """Payload of an index chunk: the number of entries, and a zstd frame of them."""
    packed = b"".join(INDEX_ENTRY.pack(**asdict(entry)) for entry in entries)
    return INDEX_HEAD.pack(segments=len(entries)) + compress(packed)


def unpack_index(payload: bytes, offset: int) -> tuple[IndexEntry, ...]:
    """The entries of an index chunk that stands at `offset` in its file.

    Raises `DamagedFileError` when they are not what is declared, not in order, or more than the bytes before can hold
    groups."""
    if len(payload) < INDEX_HEAD.size:
        raise DamagedFileError("the index is too short")
    count = INDEX_HEAD.unpack(payload)["segments"]
    if count * SEGMENT_BYTES_MIN > offset:
        raise DamagedFileError(f"the index claims {count} segments in {offset} bytes")
    size = count * INDEX_ENTRY.size
    packed = decompress(payload[INDEX_HEAD.size :], size, "index", exactly=size)
    entries = tuple(IndexEntry(**INDEX_ENTRY.unpack(packed, at)) for at in range(0, size, INDEX_ENTRY.size))
    for before, after in zip(entries, entries[1:], strict=False):
        if not (before.group < after.group and before.first_frame < after.first_frame and before.offset < after.offset):
            raise DamagedFileError("the index is not in order")
    return entries


def pack_end(marker: EndMarker) -> bytes:
    """Payload of the end marker."""
    return END.pack(**vars(marker))


def unpack_end(payload: bytes, limits: Limits) -> EndMarker:
    """The end marker's counts. Raises `DamagedFileError` for a wrong length, `LimitError` for more frames than
    allowed.
    """
    if len(payload) != END.size:
        raise DamagedFileError(f"the end marker has {len(payload)} bytes, not {END.size}")
    marker = EndMarker(**END.unpack(payload))
    if marker.frames > limits.max_frames:
        raise LimitError(
            f"the end marker claims {marker.frames} frames, {limits.max_frames} are allowed (raise with max_frames)",
            settings=("max_frames",),
        )
    return marker


def load_index(fo: BinaryIO, limits: Limits) -> tuple[EndMarker, tuple[IndexEntry, ...]] | None:
    """End marker and index of a seekable file, found from its end; None when they are missing or damaged. The file's
    place moves.
    """
    tail = END.size + CHUNK_OVERHEAD
    size = fo.seek(0, os.SEEK_END)
    if size < tail:
        return None
    end = _chunk_at(fo, size - tail, END_CHUNK, limits)
    if end is None:
        return None
    try:
        marker = unpack_end(end.payload, limits)
        if marker.index_offset >= size:
            return None
        index = _chunk_at(fo, marker.index_offset, INDEX_CHUNK, limits)
        return None if index is None else (marker, unpack_index(index.payload, index.offset))
    except DamagedFileError:
        return None


def _chunk_at(fo: BinaryIO, offset: int, kind: bytes, limits: Limits) -> Chunk | None:
    fo.seek(offset)
    try:
        chunk = ChunkReader(ByteSource(fo, offset), limits).next()
    except BadChunk:
        return None
    return chunk if chunk is not None and chunk.type == kind else None


def entry_of_frame(entries: tuple[IndexEntry, ...], frame: int) -> IndexEntry:
    """The segment that holds a frame (the first one for a frame before all)."""
    return entries[max(bisect.bisect_right(entries, frame, key=lambda entry: entry.first_frame) - 1, 0)]


def entry_of_pts(entries: tuple[IndexEntry, ...], pts: int) -> IndexEntry:
    """The last segment that starts at or before a presentation time (the first one for a time before all)."""
    return entries[max(bisect.bisect_right(entries, pts, key=lambda entry: entry.first_pts) - 1, 0)]
