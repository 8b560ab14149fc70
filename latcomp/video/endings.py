"""Whether the end of an avi, a transport stream or an .flv is missing, which FFmpeg passes over in silence."""

from __future__ import annotations

from collections.abc import Callable

ReadAt = Callable[[int, int], bytes]
"""(offset, size) -> up to so many bytes from there."""

_RIFF = b"RIFF"
_LIVE_SIZES = (0, 0xFFFFFFFF)  # of a recording that was never finished, or of a stream
_SYNC = 0x47
_TRANSPORT_PACKETS = (
    (188, 0),
    (192, 4),
    (204, 0),
)  # bytes of a packet, and where its first mark stands; m2ts has 4 bytes before
_FLV = b"FLV"
_FLV_TAGS = (8, 9, 18)  # audio, video, script
_FLV_HEAD_BYTES, _FLV_TAG_BYTES = 9, 11


def is_cut_off(read_at: ReadAt, start: int, length: int) -> bool:
    """Tell whether a seekable file of `length` bytes, whose video begins at `start`, ends before its structure does."""
    head = read_at(start, 512)
    if head[:4] == _RIFF:
        return _riff_passes_the_end(read_at, start, length)
    if head[:3] == _FLV:
        return _flv_is_cut(read_at, start, length)
    packet = _transport_packet(head)
    if packet == 0:
        return False
    reach = min(length - start, 4 * packet)
    return _ends_in_a_packet(read_at(length - reach, reach), packet)


class Ending:
    """Follows a stream of bytes that can be read only once, and tells whether it ended before its structure did."""

    def __init__(self, packet: int, left: int | None) -> None:
        self._packet = packet
        self._left = left
        self._tail = b""

    @classmethod
    def of(cls, beginning: bytes) -> Ending | None:
        """Return what follows a stream that begins like this; None where nothing can be told."""
        if beginning[:4] == _RIFF and len(beginning) >= 8:
            size = int.from_bytes(beginning[4:8], "little")
            return None if size in _LIVE_SIZES else cls(0, size + 8)
        packet = _transport_packet(beginning)
        return cls(packet, None) if packet else None

    def feed(self, data: bytes) -> None:
        """Take the next bytes."""
        if self._left is not None:
            self._left -= len(data)
        else:
            self._tail = (self._tail + data)[-4 * self._packet :]

    @property
    def unfinished(self) -> bool:
        """True when more was declared than has passed, or a packet was begun and not ended."""
        return self._left > 0 if self._left is not None else _ends_in_a_packet(self._tail, self._packet)


def _riff_passes_the_end(read_at: ReadAt, offset: int, length: int) -> bool:
    """Long avi files are several such pieces, one behind the other."""
    while offset < length:
        head = read_at(offset, 8)
        size = int.from_bytes(head[4:8], "little")
        if head[:4] != _RIFF or len(head) < 8 or size in _LIVE_SIZES:
            return False
        offset += 8 + size
    return offset > length


def _transport_packet(head: bytes) -> int:
    """Return the bytes of a packet of a transport stream that begins like this, 0 for anything else."""
    for size, first in _TRANSPORT_PACKETS:
        marks = head[first : first + 2 * size + 1 : size]
        if len(marks) == 3 and all(mark == _SYNC for mark in marks):
            return size
    return 0


def _ends_in_a_packet(tail: bytes, packet: int) -> bool:
    """Tell whether the last packet of a transport stream was begun and not ended; packets may have been lost before."""
    mark = 4 if packet == 192 else 0
    for rest in range(packet):
        marks = [len(tail) - rest - packet * count + mark for count in (1, 2)]
        if all(place >= 0 and tail[place] == _SYNC for place in marks):
            return rest > 0 and (rest <= mark or tail[len(tail) - rest + mark] == _SYNC)
    return False


def _flv_is_cut(read_at: ReadAt, start: int, length: int) -> bool:
    """Each tag is followed by its length: the last one says whether the file ends with a whole tag. If not, all are
    gone through.
    """
    back = int.from_bytes(read_at(length - 4, 4), "big")
    if back >= _FLV_TAG_BYTES and length - 4 - back > start:
        tag = read_at(length - 4 - back, 4)
        if tag[0] in _FLV_TAGS and int.from_bytes(tag[1:4], "big") + _FLV_TAG_BYTES == back:
            return False
    offset = start + _FLV_HEAD_BYTES + 4
    while offset < length:
        tag = read_at(offset, 4)
        if len(tag) == 4 and tag[0] not in _FLV_TAGS:
            return False  # rubbish behind the last tag
        offset += _FLV_TAG_BYTES + int.from_bytes(tag[1:4], "big") + 4
    return offset > length
