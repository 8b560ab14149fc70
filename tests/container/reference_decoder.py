"""A second decoder of masks and tokens, written from FORMAT.md alone: one value at a time, plain Python, nothing shared
with the product.

Only zstd itself is taken from elsewhere.
"""

from __future__ import annotations

import json
import math
import struct
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from itertools import accumulate
from operator import mul
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


Position = tuple[int, int]
Shown = list[Position]
"""The visible positions of a latent frame, in order: their numbers are their places."""


class Frames:
    """Sections 1, 4.1 and 4.2: what each latent frame of each group shows, and what of it is new in its segment."""

    def __init__(self, header: dict[str, Any]) -> None:
        self.header, self.seen = header, set[Position]()

    def of_group(self, head: dict[str, int], offsets: list[Position]) -> tuple[list[Shown], list[set[Position]]]:
        """What the latent frames show, and which of it is open."""
        key, temporal = head["flags"] & 1, self.header["tokenizer"]["temporal"]
        count = self.header["tokenizer"].get("first_frames", temporal) if key else temporal
        if key:
            self.seen = set()
        shown, known, at = [], [], 0
        for _ in range(head["latent_frames"]):
            places = {place for offset in offsets[at : at + count] for place in self._frame(*offset)}
            at, count = at + count, temporal
            shown.append(sorted(places))
            known.append(places & self.seen)
            self.seen |= places
        return shown, known

    def _frame(self, dy: int, dx: int) -> list[Position]:
        spatial = self.header["tokenizer"]["spatial"]
        rows = range(dy // spatial, (dy + self.header["height"] - 1) // spatial + 1)
        columns = range(dx // spatial, (dx + self.header["width"] - 1) // spatial + 1)
        return [(y, x) for y in rows for x in columns]


def passes(shown: Shown) -> list[Shown]:
    """Positions of the five passes."""
    found: list[Shown] = [[] for _ in range(5)]
    for y, x in shown:
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


def neighbours(number: int, y: int, x: int, shown: set[Position]) -> Shown:
    if number == 0:
        return []
    reach = 2 if number < 3 else 1
    offsets = DIAGONAL if number in (1, 3) else DIRECT
    beside = [(y + reach * down, x + reach * right) for down, right in offsets]
    return [place for place in beside if place in shown]


Kept = list[dict[Position, int]]
"""For each latent frame of a group the bit of each visible position, in order."""


class History:
    """What the two latent frames before left of their positions (section 6): the latest first, with what it showed."""

    def __init__(self) -> None:
        self.last: dict[Position, int] = {}
        self.earlier: dict[Position, int] = {}

    def move_on(self, bits: dict[Position, int], known: set[Position]) -> None:
        self.earlier = {place: self.last.get(place, 0) for place in bits}
        self.last = {place: bit if place in known else 0 for place, bit in bits.items()}


def decode_mask(coding: int, data: bytes, shown: list[Shown], known: list[set[Position]], history: History) -> Kept:
    """Mask codings 0 to 3; `history` moves on. known: the open positions of each latent frame."""
    if coding == 3:
        return _by_context(data, shown, known, history)
    content, at, found = zstandard.decompress(data) if coding else b"", 0, []
    for t, places in enumerate(shown):
        now = dict.fromkeys(places, 1)
        for place in places if coding else []:
            if place in known[t]:
                now[place] = content[at // 8] >> (7 - at % 8) & 1
                now[place] ^= history.last.get(place, 0) if coding == 2 and t else 0
                at += 1
        history.move_on(now, known[t])
        found.append(now)
    assert len(content) == -(-at // 8)
    return found


def _by_context(data: bytes, shown: list[Shown], known: list[set[Position]], history: History) -> Kept:
    streams = Streams(Cursor(zstandard.decompress(data)), bits=True)
    found = []
    for places, stored in zip(shown, known, strict=True):
        visible, last, earlier = set(places), history.last, history.earlier
        now = {place: int(place not in stored) for place in places}

        def beside(y: int, x: int, offsets: list[Position], last: Any = last, visible: Any = visible) -> int:
            around = [(y + b, x + a) for b, a in offsets]
            return sum(last.get(place, 0) for place in around if place in visible)

        for number, some in enumerate(passes(places)):
            for y, x in some:
                if (y, x) not in stored:
                    continue
                direct, diagonal = beside(y, x, DIRECT), beside(y, x, DIAGONAL)
                score = 6 * last.get((y, x), 0) + earlier.get((y, x), 0)
                if number == 0:
                    score += 8 + 3 * direct + diagonal
                else:
                    near = neighbours(number, y, x, visible)
                    score += 4 + direct - diagonal + (24 * SHARE[len(near)] * sum(now[place] for place in near) >> 6)
                now[y, x] = streams.take(min(max(score >> 1, 0), 21))
        history.move_on(now, stored)
        found.append(now)
    return found


Last = dict[Position, list[int]]
"""Last kept values of the positions that were seen in the segment."""


def decode_tokens(
    data: bytes, mask: Kept, channels: int, key: bool, last: Last, model: dict[str, Any]
) -> list[list[int]]:
    """Token layout 1; `last` moves on; `model`: the weights of the group before, moved on."""
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

    found = []
    for t, frame in enumerate(mask):
        visible, tokens = set(frame), {}
        before = {place: list(last.get(place, [0] * channels)) for place in frame}
        values = dict(before)
        for number, places in enumerate(passes(list(frame))):
            value_weights, u = (
                model["sets"][2 * (not (key and t == 0)) + (number > 0)] if any(frame.values()) else ([], [])
            )
            for y, x in places:
                if not frame[y, x]:
                    continue
                near = neighbours(number, y, x, visible)
                share = SHARE[len(near)]
                token = []
                for c in range(channels):
                    own = before[y, x][c]
                    now = [values[place][c] for place in near]
                    old = [before[place][c] for place in near]
                    a, b, w = value_weights[c.bit_length()]
                    m = a * 64 * own + b * share * sum(now) + w * share * sum(old)
                    v = min(max((m + 512) >> 10, -32768), 32767)
                    d = min(max(m - 1024 * v, -512), 511)
                    change = share * sum(size(i - j) for i, j in zip(now, old, strict=True))
                    e = (
                        u[0] * model["usual"][c]
                        + u[1] * 64 * size(own)
                        + u[2] * change
                        + u[3] * share * sum(map(size, now))
                    )
                    e += u[4] * share * sum(map(size, old)) + u[5] * (abs(d) >> 4)
                    r = streams.take(sum(bound <= e >> 4 for bound in BOUNDS))
                    token.append(v + r if d >= 0 else v - r)
                tokens[y, x] = values[y, x] = token
        last.update(tokens)
        found += [tokens[place] for place in sorted(tokens)]
    return found


def decode_repeats(
    data: bytes, mask: Kept, channels: int, key: bool, last: Last, model: dict[str, Any]
) -> list[list[int]]:
    """Token layout 2."""
    coding, length = struct.unpack_from("<BI", data)
    packed, rest = data[5 : 5 + length], data[5 + length :]
    changed = decode_mask(coding, packed, [list(frame) for frame in mask], [set(frame) for frame in mask], History())
    values = dict(last)
    new = iter(decode_tokens(rest, changed, channels, key, last, model) if rest else [])
    tokens = []
    for frame, changes in zip(mask, changed, strict=True):
        for place, kept in frame.items():
            if changes[place]:
                values[place] = next(new)
            if kept:
                values.setdefault(place, [0] * channels)
                tokens.append(values[place])
    last.update(values)
    return tokens


class RangeDecoder:
    """Section 9.3."""

    def __init__(self, data: bytes) -> None:
        self.words = list(struct.unpack(f"<{len(data) // 4}I", data))
        self.low, self.range, self.at = 0, 2**64 - 1, 2
        first, second, *_ = *self.words, 0, 0
        self.point = first << 32 | second

    def symbol(self, sums: list[int]) -> int:
        """`sums`: of the frequencies before each symbol, and 2^24."""
        scale = self.range >> 24
        q = (self.point - self.low) % 2**64 // scale
        assert q < 2**24
        found = bisect_right(sums, q) - 1
        self.low = (self.low + scale * sums[found]) % 2**64
        self.range = scale * (sums[found + 1] - sums[found])
        if self.range < 2**32:
            self.low, self.range = self.low << 32 & 2**64 - 1, self.range << 32
            word = self.words[self.at] if self.at < len(self.words) else 0
            self.point, self.at = (self.point << 32 | word) & 2**64 - 1, self.at + 1
        return found

    def call(self, numbers: list[int], tables: list[list[int]] | dict[int, list[int]]) -> list[int]:
        found = [0] * len(numbers)
        for place in sorted(range(len(numbers)), key=lambda place: numbers[place]):
            found[place] = self.symbol(tables[numbers[place]])
        return found

    def end(self) -> None:
        if self.range == 2**64 - 1:
            assert not self.words
        else:
            assert self.at >= len(self.words) and (self.point - self.low) % 2**64 < 2**33 - 1


def encode_range(intervals: Iterable[tuple[int, int]]) -> bytes:
    """The words of symbols, each given by the sum of frequencies before its own, and its own: the writer of section
    9.3.
    """
    low, width, shifts, empty = 0, 2**64 - 1, 0, True
    for before, frequency in intervals:
        scale = width >> 24
        low, width, empty = low + scale * before, scale * frequency, False
        if width < 2**32:
            low, width, shifts = low << 32, width << 32, shifts + 1
    if empty:
        return b""
    top = low + 2**32 - 1 >> 32
    words = [top >> 32 * place & 2**32 - 1 for place in range(shifts, -1, -1)]
    return struct.pack(f"<{len(words)}I", *words) + (bytes(4) if low + width >> 32 == top else b"")


def squash(value: int) -> int:
    size = min(math.floor(16 * math.log2(1 + min(abs(value), 4095) / 4) + 1 / 2), 127)
    return size if value >= 0 else -size


def act(total: int) -> int:
    return min(max(total + 128 >> 8, 0), 127)


LEAD = [0, 2, 3, 1]
IN_PARTS = (
    "table",
    "leave",
    "mask_besi",
    "mask_down",
    "mask_leav",
)  # how the names of other tensors than plain matrices begin
CALLS = [0, 3, 1, 2]
PARTS = [0, 256, 128, 85, 64, 51, 43, 37, 32]
LOG_BOUNDS = [0.5 * 2 ** ((k - 0.5) / 16) for k in range(1, 17)]  # the page gives nine digits; tests compare them


class PriorFile:
    """Section 9.1."""

    def __init__(self, data: bytes) -> None:
        (length,) = struct.unpack_from("<Q", data)
        codes = {"I8": "b", "I32": "i", "U32": "I"}
        self.numbers, self.shapes = {}, {}
        for name, entry in json.loads(data[8 : 8 + length]).items():
            if name != "__metadata__":
                begin, end = entry["data_offsets"]
                code = codes[entry["dtype"]]
                raw = data[8 + length + begin : 8 + length + end]
                self.numbers[name] = list(struct.unpack(f"<{len(raw) // struct.calcsize(code)}{code}", raw))
                self.shapes[name] = entry["shape"]
        self.channels = self.shapes["own"][0]
        self.columns = {
            name: self._columns(name) for name in self.numbers if name[:5] not in IN_PARTS and name[:9] not in IN_PARTS
        }
        self.reach = [min(max(math.ceil(12 * 2 ** ((size - 18) / 4)) + 2, 3), 127) for size in range(44)]
        self.kinds, self.mask = self._tables("table_kinds", 56 * [4]), self._tables("table_mask", 64 * [2])
        self.values = self._tables("table_values", [2 * reach + 2 for reach in self.reach for _ in range(5)])
        self.escapes = [64 * symbol for symbol in range(262145)]

    def _columns(self, name: str) -> list[list[int]]:
        values, wide = self.numbers[name], self.shapes[name][-1]
        return [values[column::wide] for column in range(wide)]

    def _tables(self, name: str, sizes: list[int]) -> list[list[int]]:
        frequencies = iter(self.numbers[name])
        found = [[0, *accumulate(next(frequencies) for _ in range(size))] for size in sizes]
        assert all(sums[-1] == 2**24 for sums in found) and not list(frequencies)
        return found

    def layer(self, *inputs: tuple[str, list[int]], bias: str) -> list[int]:
        """`act` of the sum of vectors times matrices, and a bias."""
        return self._act_of(list(self.numbers[bias]), *inputs)

    def mask_odds(self, o: int, beside: list[int], trunk: list[int]) -> int:
        """`s` of call `o`."""
        (_, many), sums = self.shapes["mask_leave"], []
        for h in range(many):
            total = self.numbers["mask_down_bias"][o * many + h]
            for name, vector in (("mask_beside", beside), ("mask_down", trunk)):
                start = o * len(vector) * many + h
                total += sum(map(mul, vector, self.numbers[name][start : (o + 1) * len(vector) * many : many]))
            sums.append(act(total))
        return sum(map(mul, sums, self.numbers["mask_leave"][o * many :])) + self.numbers["mask_leave_bias"][o]

    def _act_of(self, sums: list[int], *inputs: tuple[str, list[int]]) -> list[int]:
        for name, vector in inputs:
            sums = [
                total + sum(map(mul, vector, column)) for total, column in zip(sums, self.columns[name], strict=True)
            ]
        return [act(total) for total in sums]

    def leave(self, n: int, c: int, hidden: list[int]) -> list[int]:
        """The four sums of a channel."""
        weights, bias, wide = self.numbers[f"leave{n}"], self.numbers[f"leave{n}_bias"], self.channels
        return [sum(map(mul, hidden, weights[i * wide + c :: 4 * wide])) + bias[i * wide + c] for i in range(4)]


class UnderPrior:
    """What a segment remembers (section 9.2), by position, and how a group is read with it. Within a latent frame
    positions are places."""

    def __init__(self, prior: PriorFile, units: int) -> None:
        self.prior, self.units = prior, units
        self.log_units = units.bit_length() - 1
        self.start()

    def start(self) -> None:
        self.memory: dict[Position, tuple[list[int], list[int], int, int, int]] = {}
        """Last kept values, change, octaves, age, and whether the latent frame before kept it."""
        self.first = True

    def look(self, shown: Shown) -> None:
        """What the next latent frame shows."""
        self.shown, self.all = shown, range(len(shown))
        place_of = {position: place for place, position in enumerate(shown)}
        self.phase = [2 * (y % 2) + x % 2 for y, x in shown]
        self.around = [[place_of.get((y - 1 + j // 3, x - 1 + j % 3)) for j in range(9)] for y, x in shown]
        self.wide = [[place_of.get((y - 2 + j // 5, x - 2 + j % 5)) for j in range(25)] for y, x in shown]
        self.near = [[q for j, q in enumerate(places) if j != 4 and q is not None] for places in self.around]
        self.new = [position not in self.memory for position in shown]
        zeros = [0] * self.prior.channels
        known = [self.memory.get(position, (zeros, zeros, 0, 0, 0)) for position in shown]
        self.kept, self.change = [list(one[0]) for one in known], [one[1] for one in known]
        self.octaves, self.age, self.before = ([one[part] for one in known] for part in (2, 3, 4))

    def move_on(self, tokens: dict[int, tuple[list[int], int]]) -> None:
        """`tokens`: values and octaves by place."""
        zeros = [0] * self.prior.channels
        for position, (values, _, octaves, age, _) in self.memory.items():
            self.memory[position] = values, zeros, octaves, min(age + 1, 255), 0
        for p, (values, octaves) in tokens.items():
            change = [now - last for now, last in zip(values, self.kept[p], strict=True)]
            self.memory[self.shown[p]] = values, change, octaves, 0, 1
        self.first = False

    def past(self) -> list[list[int]]:
        """Section 9.4."""
        inputs = [[*map(squash, self.kept[p]), *map(squash, self.change[p])] for p in self.all]
        embedded = [self.prior.layer(("embed", vector), bias="embed_bias") for vector in inputs]
        return [self.prior.layer(("spread", self._joined(embedded, p)), bias="spread_bias") for p in self.all]

    def mask(self, coder: RangeDecoder, past: list[list[int]], log_step: int) -> list[int]:
        """Mask coding 4: one latent frame."""
        share = 127 * sum(self.before) // len(self.all)
        bits = {p: 1 for p in self.all if self.new[p]}
        for o, phase in enumerate(CALLS):
            places, numbers = [p for p in self.all if self.phase[p] == phase and not self.new[p]], []
            for p in places:
                nine, age = self.around[p], self.age[p]
                facts = [
                    32 * self.octaves[p],
                    min(max(64 + log_step, 0), 127),
                    share,
                    64 * (age >= 1),
                    64 * (age >= 2),
                    64 * (age >= 4),
                    *(0 if q is None else 64 * self.before[q] for q in nine),
                    *(0 if q is None else min(16 * self.age[q], 127) for q in nine),
                    *(0 if q is None else 32 for q in nine),
                ]
                inputs = (
                    ("mask_near", self._joined(past, p)),
                    ("mask_own", [squash(v) for v in self.kept[p]]),
                    ("mask_facts", facts),
                )
                beside = []
                for q in self.wide[p]:
                    beside += [64 * bits[q], 64 - 64 * bits[q]] if q in bits else [0, 0]
                odds = self.prior.mask_odds(o, beside, self.prior.layer(*inputs, bias="mask_trunk_bias"))
                numbers.append(min(max((odds + 256 >> 9) + 32, 0), 63))
            bits.update(zip(places, coder.call(numbers, self.prior.mask), strict=True))
        return [bits[p] for p in self.all]

    def by_prior(
        self, data: bytes, mask: list[list[int]] | None, log_step: int, mask_data: bytes, shown: list[Shown]
    ) -> tuple[list[list[int]], list[tuple[list[int], int]]]:
        """Layout 3: the masks, read along in mask coding 4 where none are given, and values and octaves of each
        token.
        """
        coder, found, along, masks = RangeDecoder(data), [], RangeDecoder(mask_data if mask is None else b""), []
        for t, places_shown in enumerate(shown):
            self.look(places_shown)
            past = self.past()
            if mask is not None:
                frame = mask[t]
            else:
                frame = [1 for _ in self.all] if self.first else self.mask(along, past, log_step)
            places = [p for p in self.all if frame[p]]
            tokens = self._frame(coder, places, frame, past, log_step) if places else {}
            self.move_on(tokens)
            found += [tokens[p] for p in places]
            masks.append(frame)
        coder.end()
        along.end()
        return masks, found

    def _kinds(self, coder: RangeDecoder, places: list[int]) -> dict[int, int]:
        kinds: dict[int, int] = {}
        for phase in CALLS:
            now = [p for p in places if self.phase[p] == phase]
            numbers = []
            for p in now:
                near = [kinds[q] for q in self.near[p] if q in kinds]
                i = (2 * sum(near) + (len(near) >> 1)) // len(near) if near else 7
                numbers.append(8 * (0 if self.new[p] else 1 + 2 * self.octaves[p] + self.before[p]) + i)
            kinds.update(zip(now, coder.call(numbers, self.prior.kinds), strict=True))
        assert all(kind <= 1 + self.log_units for kind in kinds.values())
        return kinds

    def _joined(self, vectors: list[list[int]], p: int) -> list[int]:
        outside = [0] * len(vectors[0])
        return [number for q in self.around[p] for number in (outside if q is None else vectors[q])]

    def _frame(
        self, coder: RangeDecoder, places: list[int], frame: list[int], past: list[list[int]], log_step: int
    ) -> dict[int, tuple[list[int], int]]:
        prior, channels = self.prior, range(self.prior.channels)
        kinds = self._kinds(coder, places)
        trunk = {}
        for p in places:
            facts = [0] * 24
            facts[kinds[p]] = 64
            facts[4:9] = [
                32 * self.octaves[p],
                min(16 * self.age[p], 127),
                64 * self.before[p],
                64 * self.new[p],
                min(max(64 + log_step, 0), 127),
            ]
            facts[9:18] = [0 if q is None else 32 * frame[q] for q in self.around[p]]
            inputs = ("near", self._joined(past, p)), ("own", [squash(v) for v in self.kept[p]]), ("facts", facts)
            trunk[p] = prior.layer(*inputs, bias="trunk_bias")
        finer = {p: max(kinds[p] - 1, 0) for p in places}
        anchor = {p: [0] * len(channels) if kinds[p] else self.kept[p] for p in places}
        values = {p: list(self.kept[p]) for p in places}
        known = [[0] * len(channels) for _ in self.all]
        for n in range(4):
            told = [prior.layer((f"known{n}", [squash(v) for v in known[p]]), bias=f"known{n}_bias") for p in self.all]
            listed = []
            for p in sorted(places, key=lambda place: self.phase[place]):
                hidden = prior.layer(
                    (f"beside{n}", self._joined(told, p)), (f"down{n}", trunk[p]), bias=f"down{n}_bias"
                )
                for c in channels:
                    if c % 4 == (n + LEAD[self.phase[p]]) % 4:
                        have = [known[q][c] for q in self.near[p] if (c - LEAD[self.phase[q]]) % 4 < n]
                        beside = PARTS[len(have)] * sum(have) >> 5
                        listed.append((p, c, *self._parameters(prior.leave(n, c, hidden), self.kept[p][c], beside)))
            self._values(coder, listed, finer, anchor, values)
            for p, c, _, _ in listed:
                known[p][c] = values[p][c] - self.kept[p][c]
        return {p: (values[p], self.octaves[p] if kinds[p] == 0 else finer[p]) for p in places}

    @staticmethod
    def _parameters(sums: list[int], last: int, beside: int) -> tuple[int, int]:
        """(mean, scale)."""
        gate, share = min(max(sums[1] + 4 >> 3, 0), 1536), min(max(sums[2] + 4 >> 3, -512), 1536)
        mean = (sums[0] + 64 >> 7) + (gate * last >> 6) + (share * beside >> 9)
        return min(max(mean, -524288), 524272), min(max((sums[3] + 1024 >> 11) + 18, 0), 43)

    def _values(
        self,
        coder: RangeDecoder,
        listed: list[tuple[int, int, int, int]],
        finer: dict[int, int],
        anchor: dict[int, list[int]],
        values: dict[int, list[int]],
    ) -> None:
        numbers, grid = [], []
        for p, c, mean, scale in listed:
            z = 4 + self.log_units - finer[p]
            d = mean - 16 * anchor[p][c]
            nearest = d + 2 ** (z - 1) >> z
            e = 8 * (d - (nearest << z)) + 2 ** (z - 1) >> z
            size = min(scale + 4 * finer[p], 43)
            numbers.append(5 * size + abs(e))
            grid.append((nearest, e, self.prior.reach[size]))
        far = []
        for symbol, (_, _, reach) in zip(coder.call(numbers, self.prior.values), grid, strict=True):
            far.append(symbol - reach if symbol <= 2 * reach else None)
        escapes = iter(coder.call([0] * far.count(None), [self.prior.escapes]))
        for (p, c, _, _), distance, (nearest, e, _) in zip(listed, far, grid, strict=True):
            off = next(escapes) - 131072 if distance is None else distance
            value = anchor[p][c] + (nearest + (-off if e < 0 else off)) * (self.units >> finer[p])
            assert -32768 <= value <= 32767
            values[p][c] = value

    def by_kinds(
        self, data: bytes, mask: list[list[int]], changed: bool, shown: list[Shown]
    ) -> Iterator[tuple[list[int], int]]:
        """Layouts 4 and 5."""
        content, count, channels = zstandard.decompress(data), sum(map(sum, mask)), self.prior.channels
        wide = len(content) > count * (1 + channels)
        row = 0
        for frame, places in zip(mask, shown, strict=True):
            self.look(places)
            tokens = {}
            for p in self.all:
                if frame[p]:
                    kind = content[row]
                    numbers = []
                    for c in range(channels):
                        at = count + (2 * c * count + row if wide else c * count + row)
                        number = content[at] + (256 * content[at + count] if wide else 0)
                        numbers.append(number - (65536 if wide else 256) * (number >= (32768 if wide else 128)))
                    last = self.kept[p] if kind == 0 else [0] * channels
                    step = self.units if kind == 0 else self.units >> kind - 1
                    values = [(a if changed else a % self.units) + step * i for a, i in zip(last, numbers, strict=True)]
                    tokens[p] = values, self.octaves[p] if kind == 0 else kind - 1
                    row += 1
            self.move_on(tokens)
            yield from (tokens[p] for p in self.all if frame[p])


def log_step(step_scale: float, step_adjust: int) -> int:
    f, e = math.frexp(step_scale)
    return 16 * (e - 1) + sum(bound <= f for bound in LOG_BOUNDS) + step_adjust // 2


def read_under_prior(data: bytes, prior: bytes) -> list[tuple[int, int, list[list[int]], list[list[int]], list[int]]]:
    """(mask coding, token layout, mask, tokens, octaves) of every group of an intact file with a prior; the mask has a
    bit for each visible position."""
    length = struct.unpack_from("<I", data, 10)[0]
    header = json.loads(zstandard.decompress(data[14 : 14 + length]))
    state, world, history = UnderPrior(PriorFile(prior), header["units"]), Frames(header), History()
    found = []
    for head, offsets, mask_bytes, token_bytes in groups(data):
        coding, layout = head["mask_coding"], head["token_layout"]
        shown, known = world.of_group(head, offsets)
        if head["flags"] & 1:
            state.start()
            history = History()
        masks = None
        if coding != 4:
            kept = decode_mask(coding, mask_bytes, shown, known, history)
            masks = [list(frame.values()) for frame in kept]
        if layout == 3:
            step = log_step(header["step_scale"], head["step_adjust"])
            flat, tokens = state.by_prior(token_bytes, masks, step, mask_bytes, shown)
        else:
            assert masks is not None
            flat, tokens = masks, []
            if token_bytes:
                tokens = list(state.by_kinds(token_bytes, flat, layout == 5, shown))
            else:
                for places in shown:
                    state.look(places)
                    state.move_on({})
        if coding == 4:
            for places, bits, stored in zip(shown, flat, known, strict=True):
                history.move_on(dict(zip(places, bits, strict=True)), stored)
        assert len(tokens) == head["tokens_kept"]
        found.append((coding, layout, flat, [values for values, _ in tokens], [octaves for _, octaves in tokens]))
    return found


def signed(cursor: Cursor) -> int:
    """A signed varint."""
    number = cursor.varint()
    return -(number + 1) // 2 if number % 2 else number // 2


def camera_offsets(head: dict[str, int], cursor: Cursor) -> list[Position]:
    """Section 4.2: of every frame of a group; the cursor stands behind the group's head."""
    if not head["flags"] & 4:
        return [(0, 0)] * head["frames"]
    found = [(signed(cursor), signed(cursor))]
    while len(found) < head["frames"]:
        run, down, right = cursor.varint(), signed(cursor), signed(cursor)
        assert run >= 1
        for _ in range(run):
            found.append((found[-1][0] + down, found[-1][1] + right))
    assert len(found) == head["frames"] and all(abs(number) < 2**31 for offset in found for number in offset)
    return found


def groups(data: bytes) -> list[tuple[dict[str, int], list[Position], bytes, bytes]]:
    """(head, camera offsets, mask bytes, token bytes) of every group chunk of an intact file."""
    names = (
        "index",
        "first_frame",
        "first_pts",
        "frames",
        "latent_frames",
        "flags",
        "mask_coding",
        "token_layout",
        "tokens_kept",
        "times_bytes",
        "mask_bytes",
        "step_adjust",
    )
    place = 14 + struct.unpack_from("<I", data, 10)[0] + 4
    found = []
    while place < len(data):
        kind, length = struct.unpack_from("<4sI", data, place)
        if kind == b"GRUP":
            payload = data[place + 8 : place + 8 + length]
            head = dict(zip(names, struct.unpack_from("<IIqHBBBBIHIb", payload), strict=True))
            at = 33 + head["times_bytes"]
            offsets = camera_offsets(head, Cursor(payload[33:at]))
            found.append((head, offsets, payload[at : at + head["mask_bytes"]], payload[at + head["mask_bytes"] :]))
        place += length + 12
    return found
