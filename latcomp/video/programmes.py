"""Which streams of a transport stream belong to one programme: a multiplex may carry several channels, of which the
audio of one belongs to the film and that of the others does not.

FFmpeg groups them, PyAV does not say how; so the tables are read here (ISO/IEC 13818-1, sections 2.4.4.3 and 2.4.4.8).
"""

from collections.abc import Callable, Iterator

READ_MOST = 1 << 20
"""Bytes of the beginning in which the tables are looked for: they come ten times a second."""
_SYNC = 0x47
_SIZES = (188, 192, 204)  # a packet; with a time in front (m2ts); with parity behind
_IN_A_ROW = 5  # packets that must begin where they should
_PAT_PID, _PAT, _PMT = 0, 0, 2
_HEAD, _CRC = 3, 4


def programmes(read_at: Callable[[int, int], bytes]) -> list[set[int]]:
    """Return the PIDs of each programme of a transport stream, in its own order; nothing where it has no tables in its
    beginning, or is none.

    read_at: bytes of the source at (offset, size); none for a pipe.
    """
    data = read_at(0, READ_MOST)
    tables: dict[int, bytes] = {}
    waiting: dict[int, bytearray] = {}
    wanted: dict[int, int] = {}  # PID of a programme's table -> its number
    for pid, starts, payload in _packets(data):
        if pid != _PAT_PID and pid not in wanted:
            continue
        if starts:
            if not payload:
                continue
            payload = payload[1 + payload[0] :]  # behind the pointer to where a section begins
            waiting[pid] = bytearray()
        if pid not in waiting:
            continue
        waiting[pid] += payload
        section = _whole(waiting[pid])
        if section is None:
            continue
        del waiting[pid]
        if pid == _PAT_PID and section[0] == _PAT and not wanted:
            wanted = dict(_programme_tables(section))
        elif pid != _PAT_PID and section[0] == _PMT:
            tables.setdefault(pid, section)
        if wanted and len(tables) == len(wanted):
            break
    return [set(_streams(tables[pid])) for pid in wanted if pid in tables]


def _packets(data: bytes) -> Iterator[tuple[int, bool, bytes]]:
    """Yield (PID, whether a section begins in it, payload) of each whole packet."""
    for size in _SIZES:
        start = _first(data, size)
        if start is None:
            continue
        for at in range(start, len(data) - 187, size):
            packet = data[at : at + 188]
            if packet[0] != _SYNC:
                return
            control, begin = packet[3] >> 4 & 3, 4
            if control & 2:
                begin += 1 + packet[4]
            if control & 1 and begin < 188:
                yield (packet[1] & 0x1F) << 8 | packet[2], bool(packet[1] & 0x40), packet[begin:]
        return


def _first(data: bytes, size: int) -> int | None:
    """Return where packets of a size begin, None where they do not."""
    for start in range(min(size, max(0, len(data) - _IN_A_ROW * size))):
        if all(data[start + number * size] == _SYNC for number in range(_IN_A_ROW)):
            return start
    return None


def _whole(section: bytearray) -> bytes | None:
    """Return a section once all of it is there."""
    if len(section) < _HEAD:
        return None
    length = _HEAD + ((section[1] & 0x0F) << 8 | section[2])
    return bytes(section[:length]) if len(section) >= length else None


def _programme_tables(section: bytes) -> Iterator[tuple[int, int]]:
    """Yield (PID of its table, number) of each programme; number 0 is the network's."""
    for at in range(8, len(section) - _CRC - 3, 4):
        number = section[at] << 8 | section[at + 1]
        if number:
            yield (section[at + 2] & 0x1F) << 8 | section[at + 3], number


def _streams(section: bytes) -> Iterator[int]:
    """Yield the PIDs of a programme's streams."""
    if len(section) < 12:
        return
    at = 12 + ((section[10] & 0x0F) << 8 | section[11])
    while at + 5 <= len(section) - _CRC:
        yield (section[at + 1] & 0x1F) << 8 | section[at + 2]
        at += 5 + ((section[at + 3] & 0x0F) << 8 | section[at + 4])
