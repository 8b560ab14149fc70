"""Goes through one latent frame's kept tokens in the prior's passes: where each value probably lies, in steps.

What the passes find is enough to write the tokens and to read them; see `frame_code` for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from latcomp.container.coding.prior.estimates import on_grid, parameters_of
from latcomp.container.coding.prior.neighbourhood import PASSES, PHASES, Neighbourhood, group_of, known_before
from latcomp.container.coding.prior.network import FRACTIONS, REACH, Facts, Past, Prior, squash
from latcomp.errors import DamagedFileError
from latcomp.kernels import gather, neighbours
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, TokenMemory

SHARE = np.array([0, 256, 128, 85, 64, 51, 43, 37, 32], np.int32)  # 256 over the number of neighbours


@dataclass(frozen=True)
class PhaseValues:
    """The values of one pass at positions of one phase."""

    phase: int
    rows: np.ndarray
    """(n,) of the latent frame's kept tokens."""
    span: slice
    """Where these tokens stand when tokens are ordered by phase."""
    channels: slice
    here: slice
    """Where these values stand among those of the pass."""
    shape: tuple[int, int]
    """(n, c) tokens and channels."""

    @property
    def size(self) -> int:
        """Values, n * c."""
        return self.shape[0] * self.shape[1]


@dataclass(frozen=True)
class FramePass:
    """One pass: m values of a latent frame's kept tokens, phase after phase, each in whole steps of its own grid."""

    coder: FrameCoder
    parts: list[PhaseValues]
    own: np.ndarray
    """int32 (m,): what each value was last kept as."""
    anchor: np.ndarray
    """int32 (m,): where its grid stands."""
    shift: np.ndarray
    """int32 (m,): log2 of the units in a step of its own."""
    nearest: np.ndarray
    """int32 (m,): the step nearest to the expected value."""
    fraction: np.ndarray
    """int32 (m,): how far the expected value is from it, in eighths, with its sign."""
    scale: np.ndarray
    """int32 (m,): scale class, how far off the value will probably be."""

    @cached_property
    def contexts(self) -> np.ndarray:
        """uint8 (m,): numbers of the coding tables."""
        return _contexts(self.scale, self.fraction)

    def steps_of(self, symbols: np.ndarray) -> np.ndarray:
        """int32 (m,): whole steps of the pass's values, out of symbols (n, C) of the latent frame's kept tokens."""
        found = self.values_of(symbols)
        found -= self.anchor
        found >>= self.shift
        return found

    def exact_steps_of(self, wanted: np.ndarray) -> np.ndarray:
        """(m,): steps, not whole, of latents (n, C) in units."""
        found: np.ndarray = (self.values_of(wanted) - self.anchor) * (np.float32(1) / (np.int32(1) << self.shift))
        return found

    def squared_steps(self, weights: np.ndarray) -> np.ndarray:
        """float32 (m,): weights (n, 1) of a squared error of a whole step, for one of each value's own steps."""
        coder = self.coder
        own = weights[coder.order, 0] * np.float32(4.0) ** -coder.halvings.astype(np.float32)
        return coder.spread(self.parts, own)

    def fits(self, steps: np.ndarray) -> np.ndarray:
        """bool (m,): which whole steps give symbols that a file can hold."""
        values = self._symbols(steps)
        return (values >= SYMBOL_MIN) & (values <= SYMBOL_MAX)

    def bits(self, steps: np.ndarray, at: np.ndarray) -> np.ndarray:
        """float32 (k,): bits of some of the values, `at` (k,), if they are these whole steps (m,)."""
        nearest, fraction, scale = self.nearest[at], self.fraction[at], self.scale[at]
        table = self.coder.prior.value_bits
        number = _contexts(scale, fraction).astype(np.intp)
        number *= table.shape[1]
        number += _table_symbols(steps[at], nearest, fraction, scale)[0]
        found: np.ndarray = table.reshape(-1).take(number)
        return found

    def table_symbols(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(symbol in the table of each value's context, signed distance to the nearest step, whether it is an escape),
        each (m,), of whole steps (m,).

        The distance is mirrored where the mean lies below the nearest step, so that tables need no sign.
        """
        return _table_symbols(steps, self.nearest, self.fraction, self.scale)

    def put(self, steps: np.ndarray) -> None:
        """Take the pass's whole steps (m,), before the next pass is asked for. Raises `DamagedFileError` for a value
        beyond 16 bits.
        """
        self.coder.know(self.parts, self._symbols(steps), self.own)

    def values_of(self, tokens: np.ndarray) -> np.ndarray:
        """(m,): the pass's values out of those of the latent frame's kept tokens (n, C)."""
        found = np.empty(len(self.own), tokens.dtype)
        for part in self.parts:
            found[part.here].reshape(part.shape)[...] = tokens[part.rows, part.channels]
        return found

    def _symbols(self, steps: np.ndarray) -> np.ndarray:
        """int32 (m,): symbols that whole steps (m,) stand for."""
        found: np.ndarray = steps << self.shift
        found += self.anchor
        return found


def _contexts(scale: np.ndarray, fraction: np.ndarray) -> np.ndarray:
    found = np.abs(fraction)
    found += scale * FRACTIONS
    numbers: np.ndarray = found.astype(np.uint8)
    return numbers


def _table_symbols(
    steps: np.ndarray, nearest: np.ndarray, fraction: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    off = steps - nearest
    np.negative(off, out=off, where=fraction < 0)
    most = REACH.take(scale)
    far = np.abs(off) > most
    found = off + most
    if far.any():
        found[far] = 2 * most[far] + 1
    return found, off, far


class FrameCoder:
    """One latent frame's kept tokens, from the first pass to the last.

    Inside, tokens are ordered by phase, so that those of one phase stand together."""

    def __init__(
        self,
        prior: Prior,
        memory: TokenMemory,
        past: Past,
        mask: np.ndarray,
        modes: np.ndarray,
        log_step: int,
        units: int,
    ) -> None:
        """memory: as it stands before the latent frame, past: what the prior makes of it; mask: (P,) bool; modes: (n,)
        uint8 of the kept positions in rising place; log_step: sixteenths of an octave."""
        hood = Neighbourhood.of(memory.view)
        places = np.flatnonzero(mask)
        phase = hood.phase[places]
        self.prior, self.units_log2 = prior, units.bit_length() - 1
        self.order = np.argsort(phase, kind="stable")
        """(n,): the kept tokens by phase, as rows in rising place."""
        self._ends = np.cumsum(np.bincount(phase, minlength=PHASES)).tolist()
        self.places = places[self.order]
        """(n,): where they are."""
        modes = modes[self.order]
        self.halvings = np.maximum(modes.astype(np.int32) - 1, 0)
        """int32 (n,): of the grid each of them is coded on, 0 for deltas."""
        self._positions = memory.positions
        self._around = hood.around[self.places]
        self._beside = np.ascontiguousarray(self._around.T)
        self._visible = self._beside < memory.positions
        self._own = memory.predicted()[self.places]
        self._delta = (modes == 0).astype(np.int32)
        facts = Facts(
            modes,
            memory.halvings[self.places],
            memory.age[self.places],
            memory.just_kept[self.places],
            np.append(mask, False)[self._around],
            ~memory.seen[self.places],
            log_step,
        )
        self._trunk = prior.trunk(past, self._around, self.places, facts.activations())
        channels = prior.channels
        self._values = np.empty_like(self._own)
        self._known = [
            np.zeros((memory.positions + 1, len(range(group, channels, PASSES))), np.int32) for group in range(PASSES)
        ]
        """By group of channels, the differences to the last kept values; place P, and what is not known, has none."""
        self._squashed = np.zeros((len(places), channels), np.uint16)  # of what is known, at the kept places

    def passes(self) -> Iterator[FramePass]:
        """The passes in coding order. The caller gives each one's steps to `FramePass.put` before it asks for the
        next.
        """
        inputs: np.ndarray | None = None
        for number in range(PASSES):
            if number == 0:
                hidden = self._first_hidden()
            else:
                messages = self.prior.messages(number, self.places, self._squashed.view(np.uint8), self._positions)
                if inputs is None:
                    inputs = neighbours(messages, self._around, self._trunk)
                else:
                    gather(messages, self._around, inputs)  # the trunk stays behind them
                hidden = self.prior.head(number, inputs)
            parts = self._parts(number)
            count = parts[-1].here.stop
            sums, near, own = (np.empty(shape, np.int32) for shape in ((4, count), count, count))
            for part in parts:
                found = self.prior.outputs(number, part.phase, hidden[part.span])
                sums[:, part.here].reshape(4, *part.shape)[...] = found.transpose(1, 0, 2)
                near[part.here].reshape(part.shape)[...] = self._neighbours_differ(number, part)
                own[part.here].reshape(part.shape)[...] = self._own[part.span, part.channels]
            anchor = own * self.spread(parts, self._delta)
            halvings = self.spread(parts, self.halvings)
            mean, scale = parameters_of(sums, own, near)
            on = on_grid(mean, scale, anchor, halvings, self.units_log2)
            yield FramePass(self, parts, own, anchor, self.units_log2 - halvings, *on)

    def _parts(self, number: int) -> list[PhaseValues]:
        """The phases of pass `number` that have tokens."""
        found, first, start = [], 0, 0
        for phase, end in enumerate(self._ends):
            span = slice(first, end)
            first = end
            if span.start == span.stop:
                continue
            group = group_of(phase, number)
            shape = (span.stop - span.start, self._known[group].shape[1])
            here = slice(start, start + shape[0] * shape[1])
            start = here.stop
            found.append(PhaseValues(phase, self.order[span], span, slice(group, None, PASSES), here, shape))
        return found

    def spread(self, parts: list[PhaseValues], of_tokens: np.ndarray) -> np.ndarray:
        """(m,): for each value of a pass what is so of its token, (n,) ordered by phase."""
        return np.concatenate([np.repeat(of_tokens[part.span], part.shape[1]) for part in parts])

    def _first_hidden(self) -> np.ndarray:
        """uint8 (n, W): the activations of pass 0, where nothing is known."""
        found = self.prior.first_head(self._trunk)
        edge = np.flatnonzero(~self._visible.all(0))
        if len(edge):
            nothing = np.zeros((0, 2 * self.prior.channels), np.uint8)
            silence = self.prior.messages(0, self.places[:0], nothing, self._positions)
            found[edge] = self.prior.head(0, neighbours(silence, self._around[edge], self._trunk[edge]))
        return found

    def _neighbours_differ(self, number: int, part: PhaseValues) -> np.ndarray:
        """(n, c) int32 mean difference to the prediction of the neighbours that have these channels already, in 1/8
        units.
        """
        group = group_of(part.phase, number)
        known = self._known[group]
        total, count = np.zeros(part.shape, np.int32), np.zeros(part.shape[0], np.intp)
        for index in range(9):
            other = part.phase ^ (2 * (index // 3 != 1)) ^ (index % 3 != 1)
            if index == 4 or not known_before(other, number, group):
                continue
            total += known.take(self._beside[index, part.span], axis=0)
            count += self._visible[index, part.span]
        total *= SHARE.take(count)[:, None]
        total >>= 5
        return total

    def know(self, parts: list[PhaseValues], symbols: np.ndarray, own: np.ndarray) -> None:
        """Take a pass's symbols (m,) that became known, last kept as own (m,). Raises `DamagedFileError` for one beyond
        16 bits."""
        if symbols.size and (symbols.min() < SYMBOL_MIN or symbols.max() > SYMBOL_MAX):
            raise DamagedFileError("a symbol passes 16 bits")
        differences = symbols - own
        squashed = squash(differences)
        for part in parts:
            self._values[part.span, part.channels] = symbols[part.here].reshape(part.shape)
            known = self._known[part.channels.start]
            known[self.places[part.span]] = differences[part.here].reshape(part.shape)
            self._squashed[part.span, part.channels] = squashed[part.here].reshape(part.shape)

    def symbols(self) -> np.ndarray:
        """(n, C) symbols of all kept tokens in rising place, once every pass was put."""
        found = np.empty_like(self._values)
        found[self.order] = self._values
        return found
