"""Layout `prior`: each value of a token under the learned prior, by tables and a range coder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from latcomp.container.format import SYMBOL_MAX, SYMBOL_MIN
from latcomp.container.kinds import KindField
from latcomp.container.prior import (
    FRACTIONS,
    PASSES,
    PHASES,
    REACH,
    Facts,
    Neighbourhood,
    Prior,
    group_of,
    known_before,
    on_grid,
    parameters_of,
    squash,
)
from latcomp.container.tables import TableDecoder, TableEncoder, Tables
from latcomp.errors import DamagedFileError, UsageError

SHARE = np.array([0, 256, 128, 85, 64, 51, 43, 37, 32], np.int32)  # 256 over the number of neighbours
ESCAPES = 1 << 18
AGE_MAX = 255


@dataclass
class PriorState:
    """What a segment remembers for the prior. Place P, behind the last position, stands for outside and stays zero.

    kept, change: (P + 1, C) int32 last kept values and their last change (zero where the latent frame before dropped
    the token); octaves, age, before: (P,) halvings of the held value's step, latent frames since it was kept, and
    whether the last one kept it; first: nothing was coded yet."""

    hood: Neighbourhood
    kept: np.ndarray
    change: np.ndarray
    octaves: np.ndarray
    age: np.ndarray
    before: np.ndarray
    first: bool = True
    _past: np.ndarray | None = field(default=None, repr=False)

    @classmethod
    def start(cls, rows: int, columns: int, channels: int) -> PriorState:
        """The state at the start of a segment."""
        count = rows * columns
        return cls(
            Neighbourhood.of(rows, columns),
            np.zeros((count + 1, channels), np.int32),
            np.zeros((count + 1, channels), np.int32),
            np.zeros(count, np.uint8),
            np.zeros(count, np.uint8),
            np.zeros(count, bool),
        )

    def copy(self) -> PriorState:
        """A copy that later latent frames do not change."""
        return PriorState(
            self.hood,
            self.kept.copy(),
            self.change.copy(),
            self.octaves.copy(),
            self.age.copy(),
            self.before.copy(),
            self.first,
        )

    def past(self, prior: Prior) -> np.ndarray:
        """(P + 1, E) the prior's activations of the past, found once for each latent frame."""
        if self._past is None:
            self._past = prior.past(self.kept, self.change, self.hood.around)
        return self._past

    def reset(self) -> None:
        """Forget everything: a segment starts."""
        self._past = None
        for array in (self.kept, self.change, self.octaves, self.age, self.before):
            array[:] = 0
        self.first = True

    def move_on(self, places: np.ndarray, values: np.ndarray, octaves: np.ndarray) -> None:
        """Take over the kept tokens of a latent frame: values (n, C) and octaves (n,) at places (n,)."""
        self._past = None
        self.change[:] = 0
        self.change[places] = values - self.kept[places]
        self.kept[places] = values
        self.octaves[places] = octaves
        np.minimum(self.age, AGE_MAX - 1, out=self.age)
        self.age += 1
        self.age[places] = 0
        self.before[:] = False
        self.before[places] = True
        self.first = False


@dataclass(frozen=True)
class Part:
    """The values of one pass at positions of one phase: rows (n,) of the latent frame's kept tokens, and a slice of
    channels.
    """

    rows: np.ndarray
    channels: slice
    shape: tuple[int, int]


def _by_part(parts: list[Part], multiples: np.ndarray) -> Iterator[tuple[Part, np.ndarray]]:
    """Each part of a pass with its multiples (n, c) out of those of all (m,)."""
    start = 0
    for part in parts:
        size = part.shape[0] * part.shape[1]
        yield part, multiples[start : start + size].reshape(part.shape)
        start += size


class FrameCoder:
    """Goes through one latent frame's kept tokens in four passes."""

    def __init__(
        self, prior: Prior, state: PriorState, mask: np.ndarray, kinds: np.ndarray, log_step: int, units_log2: int
    ) -> None:
        """mask: (P,) bool; kinds: (n,) uint8 of the kept positions in rising place; log_step: sixteenths of an
        octave.
        """
        self.prior, self.state, self.units_log2 = prior, state, units_log2
        self.places = np.flatnonzero(mask)
        around = state.hood.around[self.places]
        self.around = around
        self.own = state.kept[self.places]
        self.octaves = np.maximum(kinds.astype(np.int32) - 1, 0)[:, None]
        self.anchor = np.where(kinds[:, None] == 0, self.own, 0)
        masked = np.append(mask, False)
        facts = Facts(
            kinds,
            state.octaves[self.places],
            state.age[self.places].astype(np.int32),
            state.before[self.places],
            masked[around],
            state.first,
            log_step,
        )
        self.trunk = prior.trunk(state.past(prior), around, self.own, facts.activations())
        self.known = np.zeros_like(state.kept)
        self.squashed = np.zeros((len(self.places), prior.channels), np.float32)  # of `known`, at the kept places
        phase = state.hood.phase[self.places]
        self.rows = [np.flatnonzero(phase == number) for number in range(PHASES)]

    def passes(self) -> Iterator[tuple[list[Part], np.ndarray, np.ndarray, np.ndarray]]:
        """Of each pass: its parts, and (nearest, fraction, scale class), each (m,) over all parts' values in order.

        The caller gives the values to `put` before it asks for the next pass.
        """
        for number in range(PASSES):
            hidden = self.prior.head(number, self.trunk, self._beside_sums(number))
            parts, found = [], []
            for phase, rows in enumerate(self.rows):
                if not len(rows):
                    continue
                channels = slice(group_of(phase, number), None, PASSES)
                sums = self.prior.leave(number, phase, hidden[rows])
                beside = self._beside(number, phase, rows, channels)
                mean, scale = parameters_of(sums, self.own[rows, channels], beside)
                on = on_grid(mean, scale, self.anchor[rows, channels], self.octaves[rows], self.units_log2)
                parts.append(Part(rows, channels, mean.shape))
                found.append([values.reshape(-1) for values in on])
            nearest, fraction, scale = (np.concatenate(values) for values in zip(*found, strict=True))
            yield parts, nearest, fraction, scale

    def _beside_sums(self, number: int) -> np.ndarray:
        """(n, W) sums of what the neighbours tell before pass `number`."""
        count = len(self.known) - 1
        if number == 0:
            return self.prior.beside_untold(self.around, count)
        return self.prior.beside(number, self.prior.told(number, self.places, self.squashed, count), self.around)

    def _beside(self, number: int, phase: int, rows: np.ndarray, channels: slice) -> np.ndarray:
        """(n, c) int32 mean difference of the neighbours that have these channels already, in 1/8 units."""
        group = group_of(phase, number)
        total, count = None, np.zeros(len(rows), np.intp)
        for index in range(9):
            other = phase ^ (2 * (index // 3 != 1)) ^ (index % 3 != 1)
            if index == 4 or not known_before(other, number, group):
                continue
            places = self.around[rows, index]
            values = self.known[places, channels]
            total = values if total is None else total + values
            count += places < len(self.known) - 1
        if total is None:
            return np.zeros_like(self.known[: len(rows), channels])
        return (total * SHARE[count][:, None]) >> 5

    def put(self, parts: list[Part], multiples: np.ndarray) -> None:
        """Take the whole multiples (m,) of a pass, in the order it gave its parts. Raises `DamagedFileError` for a
        value beyond 16 bits.
        """
        for part, steps in _by_part(parts, multiples):
            values = self._values(part, steps)
            if values.size and (values.min() < SYMBOL_MIN or values.max() > SYMBOL_MAX):
                raise DamagedFileError("a symbol passes 16 bits")
            difference = values - self.own[part.rows, part.channels]
            self.known[self.places[part.rows], part.channels] = difference
            self.squashed[part.rows, part.channels] = squash(difference)

    def fit(self, parts: list[Part], multiples: np.ndarray) -> np.ndarray:
        """(m,) bool: which whole multiples of a pass give values of 16 bits."""
        values = np.concatenate([self._values(part, steps).reshape(-1) for part, steps in _by_part(parts, multiples)])
        return (values >= SYMBOL_MIN) & (values <= SYMBOL_MAX)

    def _values(self, part: Part, steps: np.ndarray) -> np.ndarray:
        """(n, c) values that whole multiples (n, c) of a part stand for."""
        values: np.ndarray = self.anchor[part.rows, part.channels] + (
            steps << (self.units_log2 - self.octaves[part.rows])
        )
        return values

    def multiples_of(self, parts: list[Part], values: np.ndarray) -> np.ndarray:
        """(m,) whole multiples of the pass's values; values: (n, C) all values of the latent frame's kept tokens."""
        found = []
        for part in parts:
            distance = values[part.rows, part.channels] - self.anchor[part.rows, part.channels]
            found.append((distance >> (self.units_log2 - self.octaves[part.rows])).reshape(-1))
        return np.concatenate(found)

    def values(self) -> np.ndarray:
        """(n, C) values of all kept tokens, once every pass was put."""
        found: np.ndarray = self.own + self.known[self.places]
        return found


def contexts_of(fraction: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """(m,) uint8 table numbers."""
    found: np.ndarray = (scale * FRACTIONS + np.abs(fraction)).astype(np.uint8)
    return found


def table_symbols(
    multiples: np.ndarray, nearest: np.ndarray, fraction: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(symbol in the table of each value's context, signed distance to the nearest multiple, whether it is an escape),
    each (m,).

    The distance is mirrored where the mean lies below the nearest multiple, so that tables need no sign.
    """
    off = multiples - nearest
    np.negative(off, out=off, where=fraction < 0)
    most = REACH[scale]
    far = np.abs(off) > most
    return np.where(far, 2 * most + 1, off + most), off, far


def encode_values(
    coder: TableEncoder,
    tables: Tables,
    multiples: np.ndarray,
    nearest: np.ndarray,
    fraction: np.ndarray,
    scale: np.ndarray,
) -> None:
    """Append one pass's whole multiples."""
    symbols, off, far = table_symbols(multiples, nearest, fraction, scale)
    coder.put(symbols, contexts_of(fraction, scale), tables)
    coder.put_wide(off[far] + ESCAPES // 2, ESCAPES)


def decode_values(
    coder: TableDecoder, tables: Tables, nearest: np.ndarray, fraction: np.ndarray, scale: np.ndarray
) -> np.ndarray:
    """(m,) whole multiples of one pass."""
    most = REACH[scale]
    off = coder.take(contexts_of(fraction, scale), tables)
    far = off == 2 * most + 1
    off -= most
    off[far] = coder.take_wide(int(np.count_nonzero(far)), ESCAPES) - ESCAPES // 2
    np.negative(off, out=off, where=fraction < 0)
    found: np.ndarray = off + nearest
    return found


def kinds_of(
    values: np.ndarray, octaves: np.ndarray, kept: np.ndarray, held: np.ndarray, first: bool, units: int
) -> np.ndarray:
    """(n,) uint8 kinds of tokens: 0 where all values (n, C) are whole steps from the last kept ones (n, C) and octaves
    (n,) are the held ones, else 1 + octaves.

    Raises `UsageError` when a token is on neither grid.
    """
    on = ((values - kept) % units == 0).all(1) & (octaves == held) & (not first)
    multiple = (units >> octaves.astype(np.int32))[:, None]
    if not (on | (values % multiple == 0).all(1)).all():
        raise UsageError("a token's values are not whole steps of its octaves")
    return np.where(on, 0, 1 + octaves).astype(np.uint8)


def encode_prior(
    tokens: np.ndarray,
    octaves: np.ndarray,
    mask: Iterable[np.ndarray],
    state: PriorState,
    prior: Prior,
    log_step: int,
    units: int,
) -> bytes:
    """Bytes of tokens (N, C) int32 with octaves (N,) uint8 at the kept positions of mask (T, P); `state` moves on.

    mask: an array, or what gives its latent frames one by one: each is asked for when all tokens before it are coded.
    """
    coder = TableEncoder()
    row = 0
    for frame in mask:
        places = np.flatnonzero(frame)
        values, finer = tokens[row : row + len(places)], octaves[row : row + len(places)]
        row += len(places)
        kinds = kinds_of(values, finer, state.kept[places], state.octaves[places], state.first, units)
        if len(places):
            KindField(state.hood, frame, state.octaves, state.before, state.first).encode(
                kinds, coder, prior.kind_tables
            )
            walk = FrameCoder(prior, state, frame, kinds, log_step, units.bit_length() - 1)
            for parts, nearest, fraction, scale in walk.passes():
                multiples = walk.multiples_of(parts, values)
                encode_values(coder, prior.value_tables, multiples, nearest, fraction, scale)
                walk.put(parts, multiples)
        state.move_on(places, values, finer)
    return coder.finish()


def decode_prior(
    data: bytes | memoryview, mask: Iterable[np.ndarray], state: PriorState, prior: Prior, log_step: int, units: int
) -> tuple[np.ndarray, np.ndarray]:
    """(tokens (N, C) int32, octaves (N,) uint8) at the kept positions of mask (T, P); `state` moves on.

    mask: an array, or what gives its latent frames one by one: each is asked for when all tokens before it are known.
    Raises `DamagedFileError` when the bytes do not give exactly these."""
    coder = TableDecoder(data)
    tokens, octaves = [], []
    for frame in mask:
        places = np.flatnonzero(frame)
        values, finer = np.zeros((0, prior.channels), np.int32), np.zeros(0, np.uint8)
        if len(places):
            coder.require(len(places) * prior.least_bits_of_token)  # before anything is made for them
            kinds = KindField(state.hood, frame, state.octaves, state.before, state.first).decode(
                coder, prior.kind_tables
            )
            finer = np.where(kinds == 0, state.octaves[places], kinds - 1).astype(np.uint8)
            if finer.max() > units.bit_length() - 1:
                raise DamagedFileError("a step is halved too often")
            walk = FrameCoder(prior, state, frame, kinds, log_step, units.bit_length() - 1)
            for parts, nearest, fraction, scale in walk.passes():
                walk.put(parts, decode_values(coder, prior.value_tables, nearest, fraction, scale))
            values = walk.values()
        tokens.append(values)
        octaves.append(finer)
        state.move_on(places, values, finer)
    coder.check_end()
    return np.concatenate(tokens), np.concatenate(octaves)
