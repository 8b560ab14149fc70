"""What stands at a place of a file, and where its segments really start: an index is a hint, and is not believed
without a look.
"""

from __future__ import annotations

from typing import BinaryIO

from latcomp.container.chunks import CHUNK_OVERHEAD, ByteSource, ChunkReader
from latcomp.container.format import AUDIO_CHUNK, CHUNK_HEAD, GROUP_CHUNK, GROUP_HEAD
from latcomp.container.group import GroupHead, unpack_head
from latcomp.container.header import Header
from latcomp.container.index import IndexEntry
from latcomp.container.limits import Limits
from latcomp.container.walk import Walk
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError


def group_from(fo: BinaryIO, offset: int, header: Header, limits: Limits) -> GroupHead | None:
    """The head of the next group at or behind `offset`; None when anything but intact audio and optional chunks stands
    before it.

    The file's place moves. limits: those of a `Walk`, which bound the length of a chunk.
    """
    fo.seek(offset)
    chunks = ChunkReader(ByteSource(fo, offset), limits)
    try:
        while (chunk := chunks.next()) is not None and (chunk.type == AUDIO_CHUNK or chunk.type[:1].islower()):
            pass
        return None if chunk is None or chunk.type != GROUP_CHUNK else unpack_head(chunk.payload, header, limits)
    except (DamagedFileError, UnsupportedFileError, LimitError):
        return None  # what is wrong there is said when it is read


def claims_at(fo: BinaryIO, offset: int) -> tuple[int, int, int] | None:
    """(index, first frame, first pts) that the next group at or behind `offset` claims, without a look at its checksum:
    a few bytes are read. None when no group stands there. The file's place moves."""
    while True:
        fo.seek(offset)
        front = fo.read(CHUNK_HEAD.size + GROUP_HEAD.size)
        if len(front) < CHUNK_HEAD.size + GROUP_HEAD.size:
            return None
        kind, length = front[:4], CHUNK_HEAD.unpack(front)["payload_bytes"]
        if kind == GROUP_CHUNK:
            head = GROUP_HEAD.unpack(front, CHUNK_HEAD.size)
            return head["index"], head["first_frame"], head["first_pts"]
        if not (kind == AUDIO_CHUNK or kind[:1].islower()):
            return None
        offset += length + CHUNK_OVERHEAD


def starts(head: GroupHead | None, entry: IndexEntry) -> bool:
    """Whether a group is the one that an entry of the index promises."""
    return head is not None and head.key and _names(entry) == (head.index, head.first_frame, int(head.pts[0]))


def true_segments(
    fo: BinaryIO, offset: int, header: Header, limits: Limits, hinted: tuple[IndexEntry, ...]
) -> tuple[IndexEntry, ...] | None:
    """The segments of a whole file, found by reading its chunks from `offset`, the first one, on; None when the index
    did not lie: where the file is damaged, the segments that only the index knows of may have been there. The file's
    place moves."""
    fo.seek(offset)
    walk = Walk(ByteSource(fo, offset), header, limits, compare_index=False)
    for _ in walk:
        pass
    if walk.problems and {_names(entry) for entry in walk.segments} <= {_names(entry) for entry in hinted}:
        return None
    return tuple(walk.segments)


def _names(entry: IndexEntry) -> tuple[int, int, int]:
    return entry.group, entry.first_frame, entry.first_pts
