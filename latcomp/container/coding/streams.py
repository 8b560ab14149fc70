"""Values sorted by how large they are expected to be, as bytes on which zstd's Huffman tables do well; and back.

Neighbouring classes share a stream. A stream's values are packed several to a byte (`digits`); what large values have
beyond their digit follows in a second list, packed likewise, and what is beyond that in a last list of 16-bit numbers.
Bits need neither of these."""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.digits import (
    BIT_PACKINGS,
    LONG_GAP,
    SIGNED_PACKINGS,
    UNSIGNED_PACKINGS,
    Gaps,
    Packing,
    beyond,
    pack_digits,
    pack_gaps,
    unpack_digits,
    unpack_gaps,
)
from latcomp.container.varint import VarintReader, put_unsigned
from latcomp.errors import DamagedFileError

REST = np.dtype("<u2")
HISTOGRAM_TOP = 127  # sizes above count as this when choosing
PIECE = 1 << 20
BLOCK_BITS = 110  # what a zstd block costs besides its Huffman table and codes


@dataclass(frozen=True)
class Stream:
    """One row of the stream table."""

    last_class: int
    """It holds the classes above the stream before up to this one."""
    packing: int
    """Place in `SIGNED_PACKINGS`, or in `BIT_PACKINGS` for bits."""
    rest_packing: int
    """Place in `UNSIGNED_PACKINGS`; not stored for bits."""
    count: int
    """Its values."""
    gap_bytes: int = 0
    """Bytes of the gaps, where they are its packing."""


def huffman_bits(counts: np.ndarray) -> float:
    """Bits that a Huffman code takes for symbols that occur so often (at least one bit each), with its table and a
    block's overhead.
    """
    used = counts[counts > 0]
    if len(used) < 2:
        return float(BLOCK_BITS)
    heap = used.tolist()
    heapq.heapify(heap)
    bits = 0.0
    while len(heap) > 1:
        pair = heapq.heappop(heap) + heapq.heappop(heap)
        bits += pair
        heapq.heappush(heap, pair)
    symbols = int(np.flatnonzero(counts)[-1]) + 1
    table = min(4 * symbols, 2.3 * symbols + 50)
    return min(bits + table, 8.0 * float(used.sum())) + BLOCK_BITS


def _range_bits(histogram: np.ndarray, packing: Packing | Gaps) -> float:
    """Bits of values with this histogram (from -127 to 127) in a packing, as if they were independent of each other."""
    if isinstance(packing, Gaps):
        return _gap_bits(int(histogram.sum()), int(histogram[HISTOGRAM_TOP + packing.kind]))
    low, high = HISTOGRAM_TOP - packing.zero, HISTOGRAM_TOP + packing.top
    digits = histogram[low : high + 1].astype(np.float64)
    digits[0] += histogram[:low].sum()
    digits[-1] += histogram[high + 1 :].sum()
    total = digits.sum()
    joint = share = digits / total
    for _ in range(packing.digits - 1):
        joint = np.multiply.outer(joint, share).reshape(-1)
    bits = huffman_bits(np.where(joint > 1e-9, joint * (total / packing.digits), 0.0))
    if packing.signed:
        left = histogram[high:] + histogram[low::-1]
        bits += huffman_bits(left) if left.any() else 0.0
    return bits


def _gap_bits(count: int, ones: int) -> float:
    """Bits of the gaps between the ones in `count` bits, as if they were evenly likely everywhere."""
    zero = 1 - ones / count
    expected = ones * (1 - zero) * zero ** np.arange(LONG_GAP + 1)
    expected[LONG_GAP] = ones * zero**LONG_GAP / max(1 - zero**LONG_GAP, 1e-9)
    return huffman_bits(np.where(expected > 1e-3, expected, 0.0)) + 8


def _choose(histogram: np.ndarray, packings: tuple[Packing | Gaps, ...]) -> tuple[float, int]:
    """(bits, place in `packings`) of the best packing for values with this histogram."""
    return min((_range_bits(histogram, packing), place) for place, packing in enumerate(packings))


def _merge(histograms: np.ndarray, packings: tuple[Packing | Gaps, ...]) -> list[tuple[int, int, int]]:
    """(first class, last class, packing) of each stream: neighbours are joined as long as that saves bits."""
    runs = [(place, place, *_choose(found, packings)) for place, found in enumerate(histograms) if found.any()]
    joined: dict[tuple[int, int], tuple[float, int]] = {}
    while len(runs) > 1:
        best, at = 0.0, -1
        for place, (left, right) in enumerate(zip(runs, runs[1:], strict=False)):
            span = (left[0], right[1])
            if span not in joined:
                joined[span] = _choose(histograms[span[0] : span[1] + 1].sum(axis=0), packings)
            saved = left[2] + right[2] - joined[span][0]
            if saved > best:
                best, at = saved, place
        if at < 0:
            break
        span = (runs[at][0], runs[at + 1][1])
        runs[at : at + 2] = [(*span, *joined[span])]
    return [(first, last, packing) for first, last, _, packing in runs]


def _best_unsigned(values: np.ndarray) -> tuple[int, np.ndarray]:
    """(place in `UNSIGNED_PACKINGS`, bytes) of the packing that takes the fewest bits, what is beyond it counted at 16
    bits.
    """
    tried = []
    for place, packing in enumerate(UNSIGNED_PACKINGS):
        packed = pack_digits(values, packing)
        bits = huffman_bits(np.bincount(packed)) + 16 * int(np.count_nonzero(values >= packing.top))
        tried.append((bits, place, packed))
    bits, place, packed = min(tried, key=lambda found: found[:2])
    return place, packed


def encode_streams(
    values: np.ndarray, classes: np.ndarray, class_count: int, bits: bool = False
) -> tuple[bytes, list[bytes]]:
    """(stream table, parts) of values (n,) int32 with their classes (n,) uint8, both in coding order.

    parts: pieces of bytes whose statistics differ, to be put one behind the other. bits: the values are 0 or 1.
    """
    packings = BIT_PACKINGS if bits else SIGNED_PACKINGS
    bins = 2 * HISTOGRAM_TOP + 1
    histograms = np.zeros((class_count, bins), np.int64)
    for start in range(0, len(values), PIECE):  # in pieces: bincount turns its input into 64-bit numbers
        small = np.clip(values[start : start + PIECE], -HISTOGRAM_TOP, HISTOGRAM_TOP) + HISTOGRAM_TOP
        small += bins * classes[start : start + PIECE].astype(np.int32)
        histograms += np.bincount(small, minlength=class_count * bins).reshape(class_count, bins)
    table = bytearray()
    digits, rests, last = [], [], []
    runs = _merge(histograms, packings)
    stream_of = np.zeros(class_count, np.uint8)
    for number, (first, last_class, _) in enumerate(runs):
        stream_of[first : last_class + 1] = number
    of_stream = stream_of[classes]
    table.append(len(runs))
    for number, (_, last_class, place) in enumerate(runs):
        packing = packings[place]
        members = values[of_stream == number]
        packed = pack_gaps(members, packing) if isinstance(packing, Gaps) else pack_digits(members, packing)
        digits.append(packed.tobytes())
        table += bytes((last_class, place))
        put_unsigned(table, len(members))
        if isinstance(packing, Gaps):
            put_unsigned(table, len(packed))
            continue
        if bits:
            continue
        left = beyond(members, packing)
        rest_place = 0
        if len(left):
            rest_place, packed = _best_unsigned(left)
            rests.append(packed.tobytes())
            last.append(beyond(left, UNSIGNED_PACKINGS[rest_place]).astype(REST).tobytes())
        table.append(rest_place)
    return bytes(table), [*digits, *rests, b"".join(last)]


def read_table(numbers: VarintReader, total: int, class_count: int, bits: bool = False) -> list[Stream]:
    """The stream table. Raises `DamagedFileError` when it is not in order or its counts are not `total` together."""
    streams: list[Stream] = []
    count_left, above = total, -1
    for _ in range(numbers.byte()):
        last_class, packing, count = numbers.byte(), numbers.byte(), numbers.unsigned()
        rest_packing = 0 if bits else numbers.byte()
        known = packing < len(BIT_PACKINGS if bits else SIGNED_PACKINGS) and rest_packing < len(UNSIGNED_PACKINGS)
        if not above < last_class < class_count or not known:
            raise DamagedFileError(f"a stream of class {last_class}, packings {packing} and {rest_packing}")
        if count > count_left:
            raise DamagedFileError(f"the streams hold more than {total} values")
        above, count_left = last_class, count_left - count
        gap_bytes = numbers.unsigned() if bits and isinstance(BIT_PACKINGS[packing], Gaps) else 0
        streams.append(Stream(last_class, packing, rest_packing, count, gap_bytes))
    if count_left:
        raise DamagedFileError(f"the streams hold {total - count_left} values, {total} belong there")
    return streams


class _Bytes:
    """Hands out successive pieces."""

    def __init__(self, data: np.ndarray) -> None:
        self.data, self.place = data, 0

    def take(self, count: int) -> np.ndarray:
        if count > len(self.data) - self.place:
            raise DamagedFileError(f"{len(self.data)} bytes are too few")
        self.place += count
        return self.data[self.place - count : self.place]


def _digits(source: _Bytes, count: int, packing: Packing) -> np.ndarray:
    values = unpack_digits(source.take(packing.bytes_of(count)), count, packing)
    if values is None:
        raise DamagedFileError(f"a byte that no digits of base {packing.base} make")
    return values


def _stream(source: _Bytes, stream: Stream, packing: Packing | Gaps) -> np.ndarray:
    if isinstance(packing, Packing):
        return _digits(source, stream.count, packing)
    values = unpack_gaps(source.take(stream.gap_bytes), stream.count, packing)
    if values is None:
        raise DamagedFileError(f"gaps that do not end inside {stream.count} bits")
    return values


class StreamValues:
    """The values of all streams, handed out by class in coding order."""

    def __init__(self, streams: list[Stream], values: list[np.ndarray]) -> None:
        self._values = values
        self._taken = [0] * len(values)
        self._stream_of = np.full(256, len(values), np.uint8)
        for place, stream in reversed(list(enumerate(streams))):
            self._stream_of[: stream.last_class + 1] = place

    def take(self, classes: np.ndarray) -> np.ndarray:
        """int32 (n,): the next values of these classes (n,) uint8. Raises `DamagedFileError` when a stream has no
        more.
        """
        of_stream = self._stream_of[classes]
        found = np.empty(len(classes), np.int32)
        counts = np.bincount(of_stream, minlength=len(self._values) + 1)
        if counts[len(self._values)]:
            raise DamagedFileError("a value of a class that no stream holds")
        for number in np.flatnonzero(counts).tolist():
            start, end = self._taken[number], self._taken[number] + int(counts[number])
            if end > len(self._values[number]):
                raise DamagedFileError("a stream has too few values")
            found[of_stream == number] = self._values[number][start:end]
            self._taken[number] = end
        return found

    def check_all_taken(self) -> None:
        """Raise `DamagedFileError` when values are left."""
        if self._taken != [len(values) for values in self._values]:
            raise DamagedFileError("values are left over in a stream")


def decode_streams(streams: list[Stream], data: np.ndarray, bits: bool = False) -> StreamValues:
    """The values of all streams, from all bytes behind the table. Raises `DamagedFileError` when these do not fit
    exactly.
    """
    source = _Bytes(data)
    packings = BIT_PACKINGS if bits else SIGNED_PACKINGS
    values = [_stream(source, stream, packings[stream.packing]) for stream in streams]
    waiting: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    for stream, found in [] if bits else zip(streams, values, strict=True):
        large = np.flatnonzero(np.abs(found) == SIGNED_PACKINGS[stream.packing].top)
        if len(large):
            packing = UNSIGNED_PACKINGS[stream.rest_packing]
            left = _digits(source, len(large), packing)
            waiting.append((found, large, left, np.flatnonzero(left == packing.top)))
    for found, large, left, more in waiting:
        left[more] += source.take(2 * len(more)).view(REST)
        found[large] += np.where(found[large] < 0, -left, left)
    if source.place != len(data):
        raise DamagedFileError(f"{len(data) - source.place} bytes too many")
    return StreamValues(streams, values)
