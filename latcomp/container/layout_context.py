"""Layout `context`: each token against its prediction from last kept values and neighbours, sorted by how large the error should be."""

from __future__ import annotations

import numpy as np

from latcomp.container.context import (
    CLASSES,
    SIZE_TERMS,
    VALUE_TERMS,
    Field,
    Weights,
    band_of,
    expected_class,
    predict,
    steps_of_frame,
)
from latcomp.container.fit import SAMPLE_SYMBOLS, Sample, fit
from latcomp.container.format import SYMBOL_MAX, SYMBOL_MIN
from latcomp.container.lattice import PassPositions
from latcomp.container.streams import WHAT, decode_streams, encode_streams, read_table
from latcomp.container.varint import VarintReader
from latcomp.container.zstd import compress_parts, decompress
from latcomp.errors import DamagedFileError

USUAL = np.dtype("<u2")


def weight_sets(mask: np.ndarray, key: bool) -> list[int]:
    """Numbers of the weight sets in the bytes: 0 and 1 in a key group, 2 and 3 where it has later latent frames or is no key group."""
    return [*([0, 1] if key else []), *([2, 3] if len(mask) > key else [])]


def encode_context(symbols: np.ndarray, mask: np.ndarray, key: bool, last: np.ndarray, passes: list[PassPositions]) -> bytes:
    """A zstd frame of symbols (N, C) int32 at the kept positions of mask (T, P); `last` (P + 1, C) int32 moves on."""
    channels = symbols.shape[1]
    starts = np.concatenate([[0], np.cumsum(mask.sum(axis=1))])
    before = [last]
    for t, frame in enumerate(mask):
        after = before[-1].copy()
        after[:-1][frame] = symbols[starts[t] : starts[t + 1]]
        before.append(after)
    weights, usual = fit(_samples(symbols, mask, key, starts, before, passes), channels)

    errors, classes = [], []
    for t, frame in enumerate(mask):
        # neighbours come from earlier passes only, so the field may be complete from the start
        field = Field.start(before[t])
        field.put(np.flatnonzero(frame), symbols[starts[t] : starts[t + 1]])
        for step in steps_of_frame(passes, frame, int(starts[t]), key and t == 0):
            chosen = weights[step.weight_set]
            known = field.look(step.positions, step.kept)
            value, doubt = predict(known, chosen.by_channel(channels))
            classes.append(expected_class(known, doubt, usual, chosen.size).reshape(-1))
            errors.append(np.where(doubt < 0, value - symbols[step.rows], symbols[step.rows] - value).reshape(-1))
    last[:] = before[-1]
    table, parts = encode_streams(np.concatenate(errors), np.concatenate(classes), CLASSES)
    front = bytearray(table)
    bands = band_of(channels - 1) + 1
    for number in weight_sets(mask, key):
        chosen = weights.get(number, Weights(np.zeros((bands, VALUE_TERMS), np.int8), np.zeros(SIZE_TERMS, np.int8)))
        front += chosen.value.tobytes() + chosen.size.tobytes()
    front += usual.astype(USUAL).view(np.uint8).reshape(-1, 2).T.tobytes()
    return compress_parts([bytes(front), *parts])


def _samples(
    symbols: np.ndarray, mask: np.ndarray, key: bool, starts: np.ndarray, before: list[np.ndarray], passes: list[PassPositions]
) -> dict[int, list[Sample]]:
    """Evenly spread tokens by weight set; rarer sets are sampled more densely."""
    stride = max(1, symbols.size // SAMPLE_SYMBOLS)
    found: dict[int, list[Sample]] = {}
    for t, frame in enumerate(mask):
        field = Field.start(before[t])
        field.put(np.flatnonzero(frame), symbols[starts[t] : starts[t + 1]])
        for step in steps_of_frame(passes, frame, int(starts[t]), key and t == 0):
            every = stride if step.positions.number else max(1, stride // 4)
            known = field.look(step.positions, step.kept[::every])
            found.setdefault(step.weight_set, []).append((known, symbols[step.rows[::every]]))
    return found


def decode_context(data: bytes | memoryview, mask: np.ndarray, key: bool, last: np.ndarray, passes: list[PassPositions]) -> np.ndarray:
    """(N, C) int32 symbols; `last` moves on. Raises `DamagedFileError` when the bytes do not give exactly so many symbols of 16 bits."""
    kept, channels = int(np.count_nonzero(mask)), last.shape[1]
    bands = band_of(channels - 1) + 1
    most = 4 * kept * channels + 2 * channels + 4 * (bands * VALUE_TERMS + SIZE_TERMS) + 16 * CLASSES + 16
    content = decompress(data, most, WHAT)
    numbers = VarintReader(content, WHAT)
    streams = read_table(numbers, kept * channels, CLASSES)
    weights = {}
    for number in weight_sets(mask, key):
        value = np.frombuffer(numbers.take(bands * VALUE_TERMS), np.int8).reshape(bands, VALUE_TERMS)
        weights[number] = Weights(value, np.frombuffer(numbers.take(SIZE_TERMS), np.int8))
    bytes_of_usual = np.frombuffer(numbers.take(2 * channels), np.uint8).reshape(2, channels)
    usual = np.ascontiguousarray(bytes_of_usual.T).view(USUAL).reshape(-1)
    values = decode_streams(streams, np.frombuffer(content, np.uint8, offset=numbers.offset))

    stream_of = np.full(CLASSES, len(streams), np.uint8)
    for place, stream in reversed(list(enumerate(streams))):
        stream_of[: stream.last_class + 1] = place
    taken = [0] * len(streams)
    symbols = np.empty((kept, channels), np.int32)
    row = 0
    for t, frame in enumerate(mask):
        field = Field.start(last)
        for step in steps_of_frame(passes, frame, row, key and t == 0):
            chosen = weights[step.weight_set]
            known = field.look(step.positions, step.kept)
            value, doubt = predict(known, chosen.by_channel(channels))
            of_stream = stream_of[expected_class(known, doubt, usual, chosen.size).reshape(-1)]
            errors = _take(values, taken, of_stream).reshape(value.shape)
            np.negative(errors, out=errors, where=doubt < 0)
            value += errors
            field.put(step.positions.places[step.kept], value)
            symbols[step.rows] = value
        row += int(np.count_nonzero(frame))
        last[:] = field.now
    if taken != [len(found) for found in values]:
        raise DamagedFileError(f"{WHAT}: symbols are left over in a stream")
    if kept and (symbols.min() < SYMBOL_MIN or symbols.max() > SYMBOL_MAX):
        raise DamagedFileError(f"{WHAT}: a symbol passes 16 bits")
    return symbols


def _take(values: list[np.ndarray], taken: list[int], of_stream: np.ndarray) -> np.ndarray:
    """The next values of the streams that are asked for, in order; `taken` counts on."""
    found = np.empty(len(of_stream), np.int32)
    counts = np.bincount(of_stream, minlength=len(values) + 1)
    if counts[len(values)]:
        raise DamagedFileError(f"{WHAT}: a symbol of a class that no stream holds")
    for number in np.flatnonzero(counts).tolist():
        count = int(counts[number])
        piece = values[number][taken[number] : taken[number] + count]
        if len(piece) < count:
            raise DamagedFileError(f"{WHAT}: a stream has too few symbols")
        found[of_stream == number] = piece
        taken[number] += count
    return found
