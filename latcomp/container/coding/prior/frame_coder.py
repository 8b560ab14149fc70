"""Goes through one latent frame's kept tokens in the prior's passes: where each value probably lies, in steps.

What the passes find is enough to write the tokens and to read them; see `frame_code` for both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.prior.neighbourhood import PASSES, PHASES, Neighbourhood, group_of, known_before
from latcomp.container.coding.prior.network import FRACTIONS, REACH, Facts, Prior, on_grid, parameters_of, squash
from latcomp.errors import DamagedFileError
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, TokenMemory

SHARE = np.array([0, 256, 128, 85, 64, 51, 43, 37, 32], np.int32)  # 256 over the number of neighbours


@dataclass(frozen=True)
class PhaseValues:
    """The values of one pass at positions of one phase."""

    rows: np.ndarray
    """(n,) of the latent frame's kept tokens."""
    channels: slice
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
    nearest: np.ndarray
    """int32 (m,): the step nearest to the expected value."""
    fraction: np.ndarray
    """int32 (m,): how far the expected value is from it, in eighths, with its sign."""
    scale: np.ndarray
    """int32 (m,): scale class, how far off the value will probably be."""

    @property
    def contexts(self) -> np.ndarray:
        """uint8 (m,): numbers of the coding tables."""
        found: np.ndarray = (self.scale * FRACTIONS + np.abs(self.fraction)).astype(np.uint8)
        return found

    def steps_of(self, symbols: np.ndarray) -> np.ndarray:
        """int32 (m,): whole steps of the pass's values, out of symbols (n, C) of the latent frame's kept tokens."""
        coder = self.coder
        found = [
            (symbols[p.rows, p.channels] - coder.anchor[p.rows, p.channels])
            >> (coder.units_log2 - coder.halvings[p.rows])
            for p in self.parts
        ]
        return np.concatenate([part.reshape(-1) for part in found])

    def exact_steps_of(self, wanted: np.ndarray) -> np.ndarray:
        """(m,): steps, not whole, of latents (n, C) in units."""
        coder = self.coder
        found = [
            (wanted[p.rows, p.channels] - coder.anchor[p.rows, p.channels])
            * (np.float32(1) / ((1 << coder.units_log2) >> coder.halvings[p.rows]))
            for p in self.parts
        ]
        return np.concatenate([part.reshape(-1) for part in found])

    def squared_steps(self, weights: np.ndarray) -> np.ndarray:
        """float32 (m,): weights (n, 1) of a squared error of a whole step, for one of each value's own steps."""
        own = weights * np.float32(4.0) ** -self.coder.halvings.astype(np.float32)
        return np.concatenate([np.broadcast_to(own[p.rows], p.shape).reshape(-1) for p in self.parts])

    def fits(self, steps: np.ndarray) -> np.ndarray:
        """bool (m,): which whole steps give symbols that a file can hold."""
        values = np.concatenate([self._symbols(part, some).reshape(-1) for part, some in self._by_part(steps)])
        return (values >= SYMBOL_MIN) & (values <= SYMBOL_MAX)

    def bits(self, steps: np.ndarray, at: np.ndarray) -> np.ndarray:
        """float32 (k,): bits of some of the values, `at` (k,), if they are these whole steps (m,)."""
        some = FramePass(self.coder, [], self.nearest[at], self.fraction[at], self.scale[at])
        found: np.ndarray = self.coder.prior.value_bits[some.contexts, some.table_symbols(steps[at])[0]]
        return found

    def table_symbols(self, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(symbol in the table of each value's context, signed distance to the nearest step, whether it is an escape),
        each (m,), of whole steps (m,).

        The distance is mirrored where the mean lies below the nearest step, so that tables need no sign.
        """
        off = steps - self.nearest
        np.negative(off, out=off, where=self.fraction < 0)
        most = REACH[self.scale]
        far = np.abs(off) > most
        return np.where(far, 2 * most + 1, off + most), off, far

    def put(self, steps: np.ndarray) -> None:
        """Take the pass's whole steps (m,), before the next pass is asked for. Raises `DamagedFileError` for a value
        beyond 16 bits.
        """
        for part, some in self._by_part(steps):
            self.coder.know(part, self._symbols(part, some))

    def _by_part(self, steps: np.ndarray) -> Iterator[tuple[PhaseValues, np.ndarray]]:
        """Each part with its steps (n, c) out of those of all (m,)."""
        start = 0
        for part in self.parts:
            yield part, steps[start : start + part.size].reshape(part.shape)
            start += part.size

    def _symbols(self, part: PhaseValues, steps: np.ndarray) -> np.ndarray:
        """(n, c) symbols that whole steps (n, c) of a part stand for."""
        coder = self.coder
        found: np.ndarray = coder.anchor[part.rows, part.channels] + (
            steps << (coder.units_log2 - coder.halvings[part.rows])
        )
        return found


class FrameCoder:
    """One latent frame's kept tokens, from the first pass to the last."""

    def __init__(
        self,
        prior: Prior,
        memory: TokenMemory,
        past: np.ndarray,
        mask: np.ndarray,
        modes: np.ndarray,
        log_step: int,
        units: int,
    ) -> None:
        """memory: as it stands before the latent frame, past: (P + 1, E) what the prior makes of it; mask: (P,) bool;
        modes: (n,) uint8 of the kept positions in rising place; log_step: sixteenths of an octave."""
        self.prior, self.units_log2 = prior, units.bit_length() - 1
        self.hood = Neighbourhood.of(memory.view)
        self.places = np.flatnonzero(mask)
        self.around = self.hood.around[self.places]
        predicted = memory.predicted()
        self.own = predicted[self.places]
        self.halvings = np.maximum(modes.astype(np.int32) - 1, 0)[:, None]
        """int32 (n, 1): of the grid each token is coded on, 0 for deltas."""
        self.anchor = np.where(modes[:, None] == 0, self.own, 0)
        facts = Facts(
            modes,
            memory.halvings[self.places],
            memory.age[self.places],
            memory.just_kept[self.places],
            np.append(mask, False)[self.around],
            ~memory.seen[self.places],
            log_step,
        )
        self.trunk = prior.trunk(past, self.around, self.own, facts.activations())
        self.known = np.zeros_like(predicted)
        self.squashed = np.zeros((len(self.places), prior.channels), np.float32)  # of `known`, at the kept places
        phase = self.hood.phase[self.places]
        self.rows = [np.flatnonzero(phase == number) for number in range(PHASES)]

    def passes(self) -> Iterator[FramePass]:
        """The passes in coding order. The caller gives each one's steps to `FramePass.put` before it asks for the
        next.
        """
        for number in range(PASSES):
            hidden = self.prior.head(number, self.trunk, self._neighbour_sums(number))
            parts, found = [], []
            for phase, rows in enumerate(self.rows):
                if not len(rows):
                    continue
                channels = slice(group_of(phase, number), None, PASSES)
                sums = self.prior.outputs(number, phase, hidden[rows])
                near = self._neighbours_differ(number, phase, rows, channels)
                mean, scale = parameters_of(sums, self.own[rows, channels], near)
                on = on_grid(mean, scale, self.anchor[rows, channels], self.halvings[rows], self.units_log2)
                parts.append(PhaseValues(rows, channels, (mean.shape[0], mean.shape[1])))
                found.append([values.reshape(-1) for values in on])
            yield FramePass(self, parts, *(np.concatenate(values) for values in zip(*found, strict=True)))

    def _neighbour_sums(self, number: int) -> np.ndarray:
        """(n, W) sums of the neighbours' messages before pass `number`."""
        count = len(self.known) - 1
        if number == 0:
            return self.prior.first_sums(self.around, count)
        messages = self.prior.messages(number, self.places, self.squashed, count)
        return self.prior.neighbour_sums(number, messages, self.around)

    def _neighbours_differ(self, number: int, phase: int, rows: np.ndarray, channels: slice) -> np.ndarray:
        """(n, c) int32 mean difference to the prediction of the neighbours that have these channels already, in 1/8
        units.
        """
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

    def know(self, part: PhaseValues, symbols: np.ndarray) -> None:
        """Take symbols (n, c) that became known. Raises `DamagedFileError` for one beyond 16 bits."""
        if symbols.size and (symbols.min() < SYMBOL_MIN or symbols.max() > SYMBOL_MAX):
            raise DamagedFileError("a symbol passes 16 bits")
        difference = symbols - self.own[part.rows, part.channels]
        self.known[self.places[part.rows], part.channels] = difference
        self.squashed[part.rows, part.channels] = squash(difference)

    def symbols(self) -> np.ndarray:
        """(n, C) symbols of all kept tokens, once every pass was put."""
        found: np.ndarray = self.own + self.known[self.places]
        return found
