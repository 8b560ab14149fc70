"""Layout `context`: each token against its prediction from last kept values and neighbours, sorted by how large the
error should be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.context.fit import SAMPLE_SYMBOLS, Sample, fit
from latcomp.container.coding.context.predictor import (
    CLASSES,
    SIZE_TERMS,
    VALUE_TERMS,
    Field,
    Step,
    Weights,
    band_of,
    expected_class,
    predict,
    steps_of_frame,
)
from latcomp.container.coding.lattice import passes_of
from latcomp.container.coding.streams import decode_streams, encode_streams, read_table
from latcomp.container.varint import VarintReader
from latcomp.container.zstd import compress_parts, decompress
from latcomp.errors import DamagedFileError
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, GroupView, TokenMemory, frames_of_tokens

WHAT = "tokens"
MODEL_BEFORE, MODEL_OWN = 0, 1
USUAL = np.dtype("<u2")
REUSE_SYMBOLS = 600_000  # up to here the model's bytes may matter, and coding a second time is quick


@dataclass(frozen=True)
class Model:
    """What a group's predictions need: weights by set, and the usual size of an error of each channel, (C,) uint16 in
    1/64.
    """

    weights: dict[int, Weights]
    usual: np.ndarray

    def pack(self, sets: list[int]) -> bytes:
        """The bytes of some weight sets and the usual sizes."""
        packed = b"".join(self.weights[number].value.tobytes() + self.weights[number].size.tobytes() for number in sets)
        return packed + self.usual.astype(USUAL).view(np.uint8).reshape(-1, 2).T.tobytes()


def weight_sets(latent_frames: int, key: bool) -> list[int]:
    """Numbers of the weight sets a group needs: 0 and 1 in a key group, 2 and 3 where it has later latent frames or is
    no key group.
    """
    return [*([0, 1] if key else []), *([2, 3] if latent_frames > key else [])]


def encode_context(
    symbols: np.ndarray, mask: np.ndarray, view: GroupView, memory: TokenMemory, before: Model | None
) -> tuple[bytes, Model]:
    """(zstd frame, its model) of symbols (N, C) int32, N > 0, at the kept positions of mask (T, h, w).

    memory: of the segment, unchanged; before: the model of the group before in the segment, which a small group may
    take over."""
    group = _Group(symbols, mask, view, memory)
    channels = symbols.shape[1]
    sets = weight_sets(len(mask), memory.first)
    weights, usual = fit(_samples(group), channels)
    nothing = Weights(np.zeros((band_of(channels - 1) + 1, VALUE_TERMS), np.int8), np.zeros(SIZE_TERMS, np.int8))
    own = Model({number: weights.get(number, nothing) for number in sets}, usual)
    best = _coded(group, own, bytes([MODEL_OWN]) + own.pack(sets)), own
    if symbols.size <= REUSE_SYMBOLS and before is not None and before.weights.keys() >= set(sets):
        again = _coded(group, before, bytes([MODEL_BEFORE])), before
        best = min(best, again, key=lambda found: len(found[0]))
    return best


@dataclass(frozen=True)
class _Group:
    """A group as the writer has it."""

    symbols: np.ndarray
    mask: np.ndarray
    view: GroupView
    memory: TokenMemory

    def steps(self) -> Iterator[tuple[Field, Step]]:
        """All steps in coding order, each with what its latent frame holds."""
        memory = self.memory.copy()
        for frame in frames_of_tokens(self.mask, self.view):
            memory.look(frame.view)
            field, symbols = Field.start(memory.predicted()), self.symbols[frame.rows]
            # neighbours come from earlier passes only, so the field may be complete from the start
            field.put(frame.places, symbols)
            for step in steps_of_frame(passes_of(memory.view), frame, memory.first):
                yield field, step
            memory.advance(frame.places, symbols)


def _coded(group: _Group, model: Model, front: bytes) -> bytes:
    errors, classes = [], []
    by_channel = {number: found.by_channel(group.symbols.shape[1]) for number, found in model.weights.items()}
    for field, step in group.steps():
        known = field.look(step.positions, step.kept)
        value, doubt = predict(known, by_channel[step.weight_set])
        classes.append(expected_class(known, doubt, model.usual, model.weights[step.weight_set].size).reshape(-1))
        wanted = group.symbols[step.rows]
        errors.append(np.where(doubt < 0, value - wanted, wanted - value).reshape(-1))
    table, parts = encode_streams(np.concatenate(errors), np.concatenate(classes), CLASSES)
    return compress_parts([front + table, *parts])


def _samples(group: _Group) -> dict[int, list[Sample]]:
    """Evenly spread tokens by weight set; rarer sets are sampled more densely."""
    stride = max(1, group.symbols.size // SAMPLE_SYMBOLS)
    found: dict[int, list[Sample]] = {}
    for field, step in group.steps():
        every = stride if step.positions.number else max(1, stride // 4)
        known = field.look(step.positions, step.kept[::every])
        found.setdefault(step.weight_set, []).append((known, group.symbols[step.rows[::every]]))
    return found


def _read_model(numbers: VarintReader, sets: list[int], channels: int, before: Model | None) -> Model:
    """The model of a group. Raises `DamagedFileError` when it is said to be that of the group before and there is none
    that fits.
    """
    origin = numbers.byte()
    if origin == MODEL_BEFORE:
        if before is None or not before.weights.keys() >= set(sets):
            raise DamagedFileError("no group before has the weights")
        return before
    if origin != MODEL_OWN:
        raise DamagedFileError(f"weights of origin {origin}")
    bands = band_of(channels - 1) + 1
    weights = {}
    for number in sets:
        value = np.frombuffer(numbers.take(bands * VALUE_TERMS), np.int8).reshape(bands, VALUE_TERMS)
        weights[number] = Weights(value, np.frombuffer(numbers.take(SIZE_TERMS), np.int8))
    planes = np.frombuffer(numbers.take(2 * channels), np.uint8).reshape(2, channels)
    return Model(weights, np.ascontiguousarray(planes.T).view(USUAL).reshape(-1))


def decode_context(
    data: bytes | memoryview, mask: np.ndarray, view: GroupView, memory: TokenMemory, before: Model | None
) -> tuple[np.ndarray, Model]:
    """((N, C) int32 symbols, model) of the kept positions of mask (T, h, w); `memory` moves on.

    Raises `DamagedFileError` when the bytes do not give exactly the symbols that are claimed, of 16 bits.
    """
    kept, channels = int(np.count_nonzero(mask)), memory.kept.shape[1]
    most = (
        4 * kept * channels
        + 2 * channels
        + 4 * ((band_of(channels - 1) + 1) * VALUE_TERMS + SIZE_TERMS)
        + 16 * CLASSES
        + 16
    )
    content = decompress(data, most, WHAT)
    symbols = np.empty((kept, channels), np.int32)
    try:
        numbers = VarintReader(content, "stream table")
        model = _read_model(numbers, weight_sets(len(mask), memory.first), channels, before)
        by_channel = {number: found.by_channel(channels) for number, found in model.weights.items()}
        streams = read_table(numbers, kept * channels, CLASSES)
        values = decode_streams(streams, np.frombuffer(content, np.uint8, offset=numbers.offset))
        for frame in frames_of_tokens(mask, view):
            memory.look(frame.view)
            field = Field.start(memory.predicted())
            for step in steps_of_frame(passes_of(memory.view), frame, memory.first):
                known = field.look(step.positions, step.kept)
                value, doubt = predict(known, by_channel[step.weight_set])
                classes = expected_class(known, doubt, model.usual, model.weights[step.weight_set].size)
                errors = values.take(classes.reshape(-1)).reshape(value.shape)
                np.negative(errors, out=errors, where=doubt < 0)
                value += errors
                if value.min() < SYMBOL_MIN or value.max() > SYMBOL_MAX:
                    raise DamagedFileError("a symbol passes 16 bits")
                field.put(step.positions.places[step.kept], value)
                symbols[step.rows] = value
            memory.advance(frame.places, symbols[frame.rows])
        values.check_all_taken()
    except DamagedFileError as error:
        raise DamagedFileError(f"{WHAT}: {error}") from None
    return symbols, model
