"""Chunks: type, length, payload, CRC-32. Written one after the other; read from files and pipes, and found again after
damage.
"""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from typing import BinaryIO

from latcomp.container.format import CHUNK_HEAD, CHUNK_TYPES, CRC
from latcomp.container.limits import Limits
from latcomp.errors import DamagedFileError, LimitError

CHUNK_OVERHEAD = CHUNK_HEAD.size + CRC.size
READ_BYTES = 1 << 16
WASTE_A_BYTE = 16
_ANY_KNOWN = re.compile(b"|".join(re.escape(name) for name in CHUNK_TYPES))
_TYPE = re.compile(rb"[A-Za-z]{4}")


@dataclass(frozen=True)
class Chunk:
    """One chunk whose CRC-32 is right."""

    type: bytes
    payload: bytes
    offset: int
    """Place in the file of its first byte."""

    @property
    def size(self) -> int:
        """Bytes it takes in the file."""
        return len(self.payload) + CHUNK_OVERHEAD


class BadChunk(DamagedFileError):
    """The bytes at `offset` are not an intact chunk."""

    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset


class SearchEnded(DamagedFileError):
    """The search for the next intact chunk was given up."""


def pack_chunk(kind: bytes, payload: bytes) -> bytes:
    """The bytes of a chunk. Raises `LimitError` when the payload is longer than a reader accepts."""
    most = Limits().max_chunk_bytes
    if len(payload) > most:
        raise LimitError(f"a chunk of {len(payload)} bytes, a .lat file holds {most}")
    body = CHUNK_HEAD.pack(type=kind, payload_bytes=len(payload)) + payload
    return body + CRC.pack(crc=zlib.crc32(body))


class ByteSource:
    """Bytes of a file object in order, with a look ahead; short reads, as pipes give them, are put together."""

    def __init__(self, fo: BinaryIO, offset: int = 0) -> None:
        self._fo = fo
        self._buffer = bytearray()
        self._start = 0  # where in the buffer the next byte is
        self.offset = offset
        """Place in the file of the next byte."""
        self._ended = False

    def peek(self, count: int) -> memoryview:
        """The next `count` bytes, or as many as there are before the end. The view must be released before the next
        call.
        """
        while len(self._buffer) - self._start < count and not self._ended:
            if self._start > READ_BYTES:
                del self._buffer[: self._start]
                self._start = 0
            missing = count - (len(self._buffer) - self._start)
            # never more than a megabyte at once: a length that lies may not make a read allocate what it claims
            data = self._fo.read(min(max(missing, READ_BYTES), 1 << 20))
            if not data:
                self._ended = True
            else:
                self._buffer += data
        return memoryview(self._buffer)[self._start : self._start + count]

    def skip(self, count: int) -> None:
        """Go on by `count` bytes that were looked at."""
        self._start += count
        self.offset += count

    def take(self, count: int) -> bytes:
        """The next `count` bytes, or as many as there are."""
        with self.peek(count) as view:
            data = bytes(view)
        self.skip(len(data))
        return data


class ChunkReader:
    """Chunks of a byte source, one after the other."""

    def __init__(self, source: ByteSource, limits: Limits) -> None:
        self.source, self.limits = source, limits
        self._start = source.offset
        self._wasted = 0  # bytes that went through CRC-32 and were no chunk

    def _waste(self, count: int) -> None:
        """Count bytes that were no chunk. Raises `SearchEnded` for more than an honest file can have."""
        self._wasted += count
        if self._wasted > self.limits.max_search_bytes + WASTE_A_BYTE * (self.source.offset - self._start):
            raise SearchEnded(
                f"gave up looking for the next chunk before byte {self.source.offset}: too much is damaged"
            )

    def next(self) -> Chunk | None:
        """The next chunk, or None at the end of the bytes. Raises `BadChunk`, without moving on, when it is damaged or
        cut off.
        """
        place = self.source.offset
        with self.source.peek(CHUNK_HEAD.size) as front:
            if not front:
                return None
            if len(front) < CHUNK_HEAD.size:
                raise BadChunk(place, f"the file is cut off inside a chunk at byte {place}")
            kind, length = bytes(front[:4]), CHUNK_HEAD.unpack(front)["payload_bytes"]
        if not _TYPE.fullmatch(kind):
            raise BadChunk(place, f"no chunk at byte {place}")
        if length > self.limits.max_chunk_bytes:
            raise BadChunk(
                place, f"the chunk at byte {place} claims {length} bytes, {self.limits.max_chunk_bytes} are allowed"
            )
        total = length + CHUNK_OVERHEAD
        with self.source.peek(total) as view:
            if len(view) < total:
                raise BadChunk(
                    place, f"the file is cut off inside a chunk at byte {place} ({len(view)} of {total} bytes)"
                )
            with view[: total - CRC.size] as body:
                right = zlib.crc32(body) == CRC.unpack(view, total - CRC.size)["crc"]
                payload = bytes(body[CHUNK_HEAD.size :]) if right else b""
        if not right:
            self._waste(total)
            raise BadChunk(place, f"the chunk at byte {place} is damaged (CRC-32)")
        self.source.skip(total)
        return Chunk(kind, payload, place)

    def find_next(self) -> Chunk | None:
        """The next intact chunk of a known type after a damaged one, or None when there is none before the end.

        First where the damaged chunk says that it ends, so that nothing inside a payload is taken for a chunk; then
        byte by byte. Raises `SearchEnded` when the search takes absurdly long, as only a file made for that can."""
        found = self._past_damaged()
        if found is not None:
            return found
        self.source.skip(1)
        while True:
            with self.source.peek(READ_BYTES) as window:
                match = _ANY_KNOWN.search(window)
                at = match.start() if match else max(len(window) - 3, 0)
                last = len(window) < READ_BYTES
                del match
            self.source.skip(at)
            with self.source.peek(CHUNK_HEAD.size) as front:
                candidate = len(front) == CHUNK_HEAD.size and _ANY_KNOWN.match(front) is not None
            if candidate:
                try:
                    return self.next()
                except BadChunk:
                    self.source.skip(1)
            elif last:
                return None

    def _past_damaged(self) -> Chunk | None:
        """The chunk right behind the damaged one, if that is intact; the place is unchanged otherwise."""
        with self.source.peek(CHUNK_HEAD.size) as front:
            if len(front) < CHUNK_HEAD.size:
                return None
            total = CHUNK_HEAD.unpack(front)["payload_bytes"] + CHUNK_OVERHEAD
        if total > self.limits.max_chunk_bytes + CHUNK_OVERHEAD:
            return None
        with self.source.peek(total + CHUNK_HEAD.size) as view:
            with view[total:] as front:
                if len(front) < CHUNK_HEAD.size or _ANY_KNOWN.match(front) is None:
                    return None
                behind = CHUNK_HEAD.unpack(front)["payload_bytes"] + CHUNK_OVERHEAD
        if behind > self.limits.max_chunk_bytes + CHUNK_OVERHEAD:
            return None
        with self.source.peek(total + behind) as view:
            if len(view) < total + behind:
                return None
            with view[total:] as chunk:
                size = behind - CRC.size
                right = zlib.crc32(chunk[:size]) == CRC.unpack(chunk, size)["crc"]
        if not right:
            self._waste(behind)
            return None
        self.source.skip(total)
        return self.next()
