"""As much of EBML, which Matroska is made of, as it takes to read a size, build an element and put one into a track of
a file's head.
"""

MAGIC, SEGMENT = bytes.fromhex("1A45DFA3"), bytes.fromhex("18538067")
TRACKS, _TRACK = bytes.fromhex("1654AE6B"), bytes.fromhex("AE")
"""Names of the element that begins a file, of the one that holds the rest of it, and of what is inside that."""


def element(name: str, payload: bytes) -> bytes:
    """Return an element; `name` is its id in hexadecimal."""
    return bytes.fromhex(name) + _size(len(payload), 8) + payload


def number(name: str, value: int) -> bytes:
    """Return an element that holds an unsigned number."""
    return element(name, value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big"))


def with_in_track(head: bytes, name: str, value: int) -> bytes | None:
    """Return the head of a Matroska file with a number put into its first track; None where it is there, or the head no
    such head.
    """
    path = _path(head)
    if path is None or _is_inside(head, path[-1], bytes.fromhex(name)):
        return None
    added = number(name, value)
    out = head[: path[-1][2]] + added + head[path[-1][2] :]
    for at, width, _ in path:
        size = read_size(head, at)[0]
        if size is None:
            continue
        if size + len(added) >= (1 << 7 * width) - 1:
            return None
        out = out[:at] + _size(size + len(added), width) + out[at + width :]
    return out


def _path(head: bytes) -> list[tuple[int, int, int]] | None:
    """(place of the size, its bytes, place of the payload) of the segment, its tracks and the first of these."""
    found, at, end = [], 0, len(head)
    for wanted in (SEGMENT, TRACKS, _TRACK):
        while True:
            if at >= end:
                return None
            name = head[at : at + _width(head[at])]
            place = at + len(name)
            size, width = read_size(head, place)
            if not width:
                return None
            inside = place + width
            if name == wanted:
                break
            if size is None:
                return None
            at = inside + size
        found.append((place, width, inside))
        at, end = inside, end if size is None else min(end, inside + size)
    return found


def _is_inside(head: bytes, parent: tuple[int, int, int], name: bytes) -> bool:
    """Tell whether an element of this name is directly inside another one."""
    place, _, at = parent
    size = read_size(head, place)[0]
    end = at if size is None else min(len(head), at + size)
    while at < end:
        width = _width(head[at])
        size, taken = read_size(head, at + width)
        if head[at : at + width] == name:
            return True
        if size is None:
            return False
        at += width + taken + size
    return False


def _width(first: int) -> int:
    """Bytes of an id or size that begins with this one; 9 for none."""
    return 9 - first.bit_length()


def read_size(data: bytes, at: int = 0) -> tuple[int | None, int]:
    """(a size, the bytes it took); None for one that is not known (a live stream), or where none is there, which takes
    no bytes.
    """
    if at >= len(data) or data[at] == 0 or at + _width(data[at]) > len(data):
        return None, 0
    width = _width(data[at])
    value = int.from_bytes(data[at : at + width], "big") - (1 << 7 * width)
    return (None if value == (1 << 7 * width) - 1 else value), width


def _size(value: int, width: int) -> bytes:
    return (value | 1 << 7 * width).to_bytes(width, "big")
