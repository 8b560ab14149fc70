"""A second decoder of masks and tokens, written from FORMAT.md alone: one value at a time, plain Python, nothing shared with the product.

Only zstd itself is taken from elsewhere.
"""

from __future__ import annotations

import struct
from typing import Any

import zstandard

SIGNED = [(3, 5), (3, 3), (5, 3), (7, 2), (9, 2), (15, 1), (31, 1), (63, 1), (255, 1)]
LEFT = [(2, 8), (2, 4), (3, 3), (4, 2), (6, 2), (8, 1), (16, 1), (64, 1), (256, 1)]
BITS = [(2, 8), (2, 6), (2, 4), (2, 2)]
GAPS_OF_ONES, GAPS_OF_ZEROS = 4, 5
DIRECT = [(-1, 0), (0, -1), (0, 1), (1, 0)]
DIAGONAL = [(-1, -1), (-1, 1), (1, -1), (1, 1)]
BOUNDS = [2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256, 362, 512, 724, 1024, 1448]
SHARE = [0, 64, 32, 21, 16]


class Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def u8(self) -> int:
        self.at += 1
        return self.data[self.at - 1]

    def i8(self) -> int:
        return (self.u8() + 128) % 256 - 128

    def u16(self) -> int:
        return self.u8() + 256 * self.u8()

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.u8()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value


def digits(cursor: Cursor, count: int, base: int, per_byte: int, zero: int) -> list[int]:
    values: list[int] = []
    while len(values) < count:
        byte = cursor.u8()
        for _ in range(per_byte):
            values.append(byte % base - zero)
            byte //= base
    return values[:count]


def gaps(cursor: Cursor, count: int, length: int, kind: int) -> list[int]:
    bits: list[int] = []
    for _ in range(length):
        byte = cursor.u8()
        bits += [1 - kind] * byte
        if byte < 255:
            bits.append(kind)
    return bits + [1 - kind] * (count - len(bits))


class Streams:
    """Values by class; the cursor stands at the stream table."""

    def __init__(self, cursor: Cursor, bits: bool) -> None:
        rows = []
        for _ in range(cursor.u8()):
            last, packing, count = cursor.u8(), cursor.u8(), cursor.varint()
            extra = (cursor.varint() if packing >= GAPS_OF_ONES else 0) if bits else cursor.u8()
            rows.append((last, packing, count, extra))
        self.streams: list[tuple[int, list[int]]] = []
        for last, packing, count, extra in rows:
            if bits and packing >= GAPS_OF_ONES:
                self.streams.append((last, gaps(cursor, count, extra, int(packing == GAPS_OF_ONES))))
            else:
                base, per_byte = BITS[packing] if bits else SIGNED[packing]
                self.streams.append((last, digits(cursor, count, base, per_byte, 0 if bits else (base - 1) // 2)))
        if not bits:
            self._large(cursor, rows)
        assert cursor.at == len(cursor.data)

    def _large(self, cursor: Cursor, rows: list[tuple[int, int, int, int]]) -> None:
        lefts = []
        for (_, values), (_, packing, _, second) in zip(self.streams, rows, strict=True):
            top = (SIGNED[packing][0] - 1) // 2
            places = [place for place, value in enumerate(values) if abs(value) == top]
            lefts.append((places, digits(cursor, len(places), *LEFT[second], 0), LEFT[second][0] - 1))
        for (_, values), (places, left, top) in zip(self.streams, lefts, strict=True):
            for place, more in zip(places, left, strict=True):
                size = more + (cursor.u16() if more == top else 0)
                values[place] += size if values[place] > 0 else -size

    def take(self, of_class: int) -> int:
        return next(values for last, values in self.streams if of_class <= last).pop(0)


def passes(rows: int, columns: int) -> list[list[tuple[int, int]]]:
    """Positions of the five passes."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(5)]
    for y in range(rows):
        for x in range(columns):
            if y % 4 == 0 and x % 4 == 0:
                found[0].append((y, x))
            elif y % 4 == 2 and x % 4 == 2:
                found[1].append((y, x))
            elif y % 2 == 0 and x % 2 == 0:
                found[2].append((y, x))
            elif y % 2 == 1 and x % 2 == 1:
                found[3].append((y, x))
            else:
                found[4].append((y, x))
    return found


def neighbours(number: int, y: int, x: int, rows: int, columns: int) -> list[tuple[int, int]]:
    if number == 0:
        return []
    reach = 2 if number < 3 else 1
    offsets = DIAGONAL if number in (1, 3) else DIRECT
    beside = [(y + reach * down, x + reach * right) for down, right in offsets]
    return [(b, a) for b, a in beside if 0 <= b < rows and 0 <= a < columns]


def decode_mask(data: bytes, steps: int, rows: int, columns: int, key: bool, history: list[Any]) -> list[list[list[int]]]:
    """Mask coding 3; `history`: the two latent frames before (latest first), moved on."""
    streams = Streams(Cursor(zstandard.decompress(data)), bits=True)
    empty = [[0] * columns for _ in range(rows)]
    if key:
        history[:] = [empty, empty]
    found = [[[1] * columns for _ in range(rows)]] if key else []

    def beside(grid: list[list[int]], y: int, x: int, offsets: list[tuple[int, int]]) -> int:
        return sum(grid[y + b][x + a] for b, a in offsets if 0 <= y + b < rows and 0 <= x + a < columns)

    for _ in range(steps - key):
        last, earlier = history
        now = [[0] * columns for _ in range(rows)]
        for number, places in enumerate(passes(rows, columns)):
            for y, x in places:
                direct, diagonal = beside(last, y, x, DIRECT), beside(last, y, x, DIAGONAL)
                score = 6 * last[y][x] + earlier[y][x]
                if number == 0:
                    score += 8 + 3 * direct + diagonal
                else:
                    near = neighbours(number, y, x, rows, columns)
                    score += 4 + direct - diagonal + (24 * SHARE[len(near)] * sum(now[b][a] for b, a in near) >> 6)
                now[y][x] = streams.take(min(max(score >> 1, 0), 21))
        history[:] = [now, last]
        found.append(now)
    return found


def decode_tokens(
    data: bytes, mask: list[list[list[int]]], channels: int, key: bool, last: dict[tuple[int, int], list[int]], model: dict[str, Any]
) -> list[list[int]]:
    """Token layout 1; `last`: last kept values by position, moved on; `model`: the weights of the group before, moved on."""
    rows, columns = len(mask[0]), len(mask[0][0])
    cursor = Cursor(zstandard.decompress(data))
    if cursor.u8() == 1:
        bands = (channels - 1).bit_length() + 1
        model["sets"] = {}
        for number in ([0, 1] if key else []) + ([2, 3] if len(mask) > key else []):
            value = [[cursor.i8() for _ in range(3)] for _ in range(bands)]
            model["sets"][number] = value, [cursor.i8() for _ in range(6)]
        low, high = ([cursor.u8() for _ in range(channels)] for _ in range(2))
        model["usual"] = [a + 256 * b for a, b in zip(low, high, strict=True)]
    streams = Streams(cursor, bits=False)

    def size(value: int) -> int:
        return min(abs(value), 2047)

    tokens: dict[tuple[int, int, int], list[int]] = {}
    for t, frame in enumerate(mask):
        before = {place: list(values) for place, values in last.items()}
        for number, places in enumerate(passes(rows, columns)):
            value_weights, u = model["sets"][2 * (not (key and t == 0)) + (number > 0)] if any(map(any, frame)) else ([], [])
            for y, x in places:
                if not frame[y][x]:
                    continue
                near = neighbours(number, y, x, rows, columns)
                share = SHARE[len(near)]
                token = []
                for c in range(channels):
                    own = before[y, x][c]
                    now = [last[place][c] for place in near]
                    old = [before[place][c] for place in near]
                    a, b, w = value_weights[c.bit_length()]
                    m = a * 64 * own + b * share * sum(now) + w * share * sum(old)
                    v = min(max((m + 512) >> 10, -32768), 32767)
                    d = min(max(m - 1024 * v, -512), 511)
                    change = share * sum(size(i - j) for i, j in zip(now, old, strict=True))
                    e = u[0] * model["usual"][c] + u[1] * 64 * size(own) + u[2] * change + u[3] * share * sum(map(size, now))
                    e += u[4] * share * sum(map(size, old)) + u[5] * (abs(d) >> 4)
                    r = streams.take(sum(bound <= e >> 4 for bound in BOUNDS))
                    token.append(v + r if d >= 0 else v - r)
                tokens[t, y, x] = token
                last[y, x] = token
    return [tokens[place] for place in sorted(tokens)]


def decode_repeats(
    data: bytes, mask: list[list[list[int]]], channels: int, key: bool, last: dict[tuple[int, int], list[int]], model: dict[str, Any]
) -> list[list[int]]:
    """Token layout 2."""
    coding, length = struct.unpack_from("<BI", data)
    steps, rows, columns = len(mask), len(mask[0]), len(mask[0][0])
    packed, rest = data[5 : 5 + length], data[5 + length :]
    if coding == 3:
        empty = [[0] * columns for _ in range(rows)]
        changed = decode_mask(packed, steps, rows, columns, False, [empty, empty])
    else:
        content = zstandard.decompress(packed)
        bits = [content[place // 8] >> (7 - place % 8) & 1 for place in range(steps * rows * columns)]
        changed = [[bits[(t * rows + y) * columns :][:columns] for y in range(rows)] for t in range(steps)]
        if coding == 2:
            for t in range(1, steps):
                changed[t] = [[a ^ b for a, b in zip(*pair, strict=True)] for pair in zip(changed[t], changed[t - 1], strict=True)]
    values = {place: list(token) for place, token in last.items()}
    new = iter(decode_tokens(rest, changed, channels, key, last, model) if rest else [])
    tokens = []
    for t in range(steps):
        for y in range(rows):
            for x in range(columns):
                if changed[t][y][x]:
                    values[y, x] = next(new)
                if mask[t][y][x]:
                    tokens.append(values[y, x])
    return tokens


def groups(data: bytes) -> list[tuple[dict[str, int], bytes, bytes]]:
    """(head, mask bytes, token bytes) of every group chunk of an intact file."""
    names = (
        "index", "first_frame", "first_pts", "frames", "latent_frames", "flags", "mask_coding", "token_layout", "tokens_kept",
        "times_bytes", "mask_bytes", "step_adjust",
    )  # fmt: skip
    place = 14 + struct.unpack_from("<I", data, 10)[0] + 4
    found = []
    while place < len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind == b"GRUP":
            payload = data[place + 8 : place + 8 + length]
            head = dict(zip(names, struct.unpack_from("<IIqHBBBBIHIb", payload), strict=True))
            at = 33 + head["times_bytes"]
            found.append((head, payload[at : at + head["mask_bytes"]], payload[at + head["mask_bytes"] :]))
        place += length + 12
    return found
