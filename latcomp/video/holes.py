"""Where packets stand in a file: FFmpeg passes over bytes that it cannot read, and does not say so."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import av

_OVERHEAD_BYTES = 1024  # between two packets: heads of blocks and clusters
_MATROSKA_BEHIND = tuple(
    bytes.fromhex(name)
    for name in ("1C53BB6B", "1254C367", "114D9B74", "1941A469", "1043A770", "1549A966", "1654AE6B", "1F43B675")
)
"""Ids of what may follow the last packet: cues, tags, seek head, attachments, chapters, info, tracks, a cluster without
packets.
"""
_CHUNK_HEAD_BYTES = 8
_AVI_HEAD_BYTES = 1 << 16  # in which the list of packets begins, as FFmpeg looks for it
_MOST_CHUNKS = 4096  # of an avi, between two packets: sound or indices that are not read


class Holes:
    """Watches the packets of a Matroska file, an avi or an .flv as they come."""

    def __init__(self, container: av.container.InputContainer, read_at: Callable[[int, int], bytes]) -> None:
        """read_at: (offset, size) -> bytes of the file, none where they cannot be had."""
        name = container.format.name
        self._matroska, self.certain = "matroska" in name, name == "avi"
        """certain: a hole is damage, whatever times say (those of an avi count its packets, so none is ever seen to be
        missing).
        """
        self._read_at = read_at
        self._flv = name == "flv"
        self._end: int | None = None
        if self.certain:
            place = read_at(0, _AVI_HEAD_BYTES).find(b"movi")
            self._end = place + 4 if place >= 0 else None

    @property
    def watched(self) -> bool:
        """Whether all packets of the file must be shown to `found_before`."""
        return self._matroska or self.certain or self._flv

    def found_before(self, packet: av.Packet[Any]) -> bool:
        """Tell whether bytes were passed over between the packet before and this one."""
        if not self.watched or packet.pos is None or packet.pos < 0:
            return False
        before = self._end
        if self.certain:
            start, end = packet.pos - _CHUNK_HEAD_BYTES, self._chunk_end(packet.pos, packet.size)
            self._end = end if before is None else max(before, end)
            return before is not None and start > before and self._is_no_row_of_chunks(before, start)
        self._end = packet.pos + packet.size
        return before is not None and packet.pos - before > _OVERHEAD_BYTES

    def _chunk_end(self, place: int, size: int) -> int:
        """Where the chunk of an avi ends that a packet is from; a packet may be a piece of it."""
        head = self._read_at(place - _CHUNK_HEAD_BYTES, _CHUNK_HEAD_BYTES)
        declared = int.from_bytes(head[4:], "little") if head[:2].isdigit() else 0
        return place + max(declared, size)

    def found_at_end(self) -> bool:
        """Tell, when all packets were read, whether bytes behind the last one were passed over."""
        if not (self._matroska or self._flv) or self._end is None:
            return False
        behind = self._read_at(self._end, _OVERHEAD_BYTES + 1)
        return len(behind) > _OVERHEAD_BYTES and not any(name in behind for name in _MATROSKA_BEHIND)

    def _is_no_row_of_chunks(self, at: int, end: int) -> bool:
        """Tell whether the chunks of an avi from `at` on do not lead to `end`."""
        for _ in range(_MOST_CHUNKS):
            at += at % 2
            if at >= end:
                return at > end
            head = self._read_at(at, _CHUNK_HEAD_BYTES)
            if len(head) < _CHUNK_HEAD_BYTES:
                return False
            size = int.from_bytes(head[4:], "little")
            if head[:4] in (b"LIST", b"RIFF"):
                at += 12  # what is inside follows
            elif head[:4] in (b"JUNK", b"idx1") or head[:2] == b"ix" or head[:2].isdigit():
                at += _CHUNK_HEAD_BYTES + size
            else:
                return True
        return False
