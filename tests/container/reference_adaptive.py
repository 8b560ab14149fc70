"""Token layout 6, written from section 8.1 of FORMAT.md alone: one value at a time, plain Python, nothing shared with
the product.
"""

from __future__ import annotations

import math
from itertools import accumulate

from tests.container.reference_decoder import SHARE, Kept, Last, Position, RangeDecoder, neighbours, passes

BOUNDS = [1, 2, 3, 4, 5, 6, 8, 10, 13, *(base * 2**octave for octave in range(11) for base in (16, 20, 25))]
ESCAPES = [64 * symbol for symbol in range(262145)]
Sums = list[list[int]]
"""Of one channel: products of each two terms and the target."""


def cut(value: int, low: int, high: int) -> int:
    return min(max(value, low), high)


def cap(value: int) -> int:
    return cut(value, -8191, 8191)


def shift_of(number: int) -> int:
    return max((number - 30) // 3 + 1, 0)


def first_counts(number: int) -> list[int]:
    b = BOUNDS[min(number, 41)] >> shift_of(number)
    reach = min(4 + (b >> 5), 40)
    q = 4096 * (math.isqrt(b * b + 65536) - 256) // b
    g = [4096]
    for _ in range(reach):
        g.append(g[-1] * q >> 12)
    total = sum(g[abs(s - reach)] for s in range(2 * reach + 1))
    return [1 + 512 * g[abs(s - reach)] // total for s in range(2 * reach + 1)] + [1]


def sums_before(counts: list[int]) -> list[int]:
    """Of the frequencies before each symbol, and 2^24."""
    total = sum(counts)
    frequencies = [1 + count * (2**24 - len(counts)) // total for count in counts]
    frequencies[counts.index(max(counts))] += 2**24 - sum(frequencies)
    return [0, *accumulate(frequencies)]


def weights_of(sums: Sums, terms: int, ridge: int) -> list[int]:
    used = [*range(terms), len(sums) - 1]
    a = [[sums[i][j] for j in used] for i in used]
    for i in range(terms):
        a[i][i] += (a[i][i] >> 10) + ridge
    right = max(max(a[i][i] for i in range(terms + 1)).bit_length() - 30, 0)
    a = [[number >> right for number in row] for row in a]
    least = [max(a[i][i] >> 10, 1) for i in range(terms)]
    f = [[0] * terms for _ in range(terms + 1)]
    for j in range(terms):
        below = range(j + 1, terms + 1)
        column = {i: a[i][j] for i in below}
        for i in below:
            f[i][j] = cut(65536 * column[i] // max(a[j][j], least[j]), -(2**31), 2**31)
        for i in below:
            for m in below:
                a[i][m] -= f[i][j] * column[m] >> 16
                assert abs(a[i][m]) < 2**32
    w = [0] * terms
    for i in range(terms - 1, -1, -1):
        w[i] = cut(f[terms][i] - sum(f[m][i] * w[m] >> 16 for m in range(i + 1, terms)), -(2**19), 2**19)
    return w


class Adaptive:
    """One segment."""

    def __init__(self, channels: int) -> None:
        self.channels = range(channels)
        self.values: list[Sums] = [[[0] * 7 for _ in range(7)] for _ in self.channels]
        self.sizes: list[Sums] = [[[0] * 7 for _ in range(7)] for _ in self.channels]
        for sums in self.sizes:
            sums[0][0], sums[0][6], sums[6][0], sums[6][6] = 256, 2048, 2048, 16384
        self.rows = [0 for _ in self.channels], [1 for _ in self.channels]
        self.counts = [first_counts(number // 4) for number in range(172)]
        self.past: dict[Position, list[list[int]]] = {}
        """C1, C2, E1, E2 of each position that the latent frame before showed."""

    def decode(self, data: bytes, mask: Kept, last: Last) -> list[list[int]]:
        """The tokens of a group; `last` moves on."""
        coder, found = RangeDecoder(data), []
        for frame in mask:
            tokens = self._frame(coder, frame, last)
            last.update(tokens)
            found += [tokens[place] for place in sorted(tokens)]
        coder.end()
        return found

    def _frame(self, coder: RangeDecoder, frame: dict[Position, int], last: Last) -> dict[Position, list[int]]:
        zeros, visible = [0 for _ in self.channels], set(frame)
        self.past = {place: self.past.get(place, [zeros] * 4) for place in frame}
        self.last = {place: last.get(place, zeros) for place in frame}
        self.new, self.error = dict.fromkeys(frame, zeros), dict.fromkeys(frame, zeros)
        tokens: dict[Position, list[int]] = {}
        for number, places in enumerate(passes(list(frame))):
            kept = [place for place in places if frame[place]]
            if kept:
                near = {place: neighbours(number, *place, visible) for place in kept}
                tokens |= self._pass(coder, near, number)
        for place, (change, _, error, _) in self.past.items():
            new = self.new[place] if place in last else zeros
            self.past[place] = [new, change, self.error[place], error]
        for counts, sums_of in zip(self.rows, (self.values, self.sizes), strict=True):
            for c in self.channels:
                if counts[c] > 256:
                    sums_of[c] = [[256 * number // counts[c] for number in row] for row in sums_of[c]]
                    counts[c] = 256
        return tokens

    def _terms(self, place: Position, near: list[Position], c: int) -> tuple[list[int], list[int]]:
        def mean(field: dict[Position, list[int]], of: int) -> int:
            return SHARE[len(near)] * sum(field[one][of] for one in near) >> 3

        change, before, error, error_before = (one[c] for one in self.past[place])
        own, changes = 8 * self.last[place][c], {one: self.past[one][0] for one in near}
        value = [own, 8 * change, 8 * before]
        value += [mean(self.last, c) - own if near else 0, mean(changes, c), mean(self.new, c)]
        beside = [mean(self.error, of) >> 3 for of in self.channels]
        half = self.error[place][::2]
        size = [16, error, error_before, sum(half) // len(half) if c % 2 else 0, beside[c], sum(beside) // len(beside)]
        return [cap(term) for term in value], [cap(term) for term in size]

    def _pass(
        self, coder: RangeDecoder, near: dict[Position, list[Position]], number: int
    ) -> dict[Position, list[int]]:
        used = (6, 6) if number else (3, 4)
        w = [weights_of(sums, used[0], 256) for sums in self.values]
        u = [weights_of(sums, used[1], 64) for sums in self.sizes]
        tokens = {place: [0 for _ in self.channels] for place in near}
        for place in near:
            self.new[place], self.error[place] = [0 for _ in self.channels], [0 for _ in self.channels]
        for half in (self.channels[::2], self.channels[1::2]):
            if half:
                self._half(coder, near, half, w, u, tokens)
        return tokens

    def _half(
        self,
        coder: RangeDecoder,
        near: dict[Position, list[Position]],
        half: range,
        w: list[list[int]],
        u: list[list[int]],
        tokens: dict[Position, list[int]],
    ) -> None:
        listed, tables = [], []
        for place in near:
            for c in half:
                value, size = self._terms(place, near[place], c)
                m = 1024 * self.last[place][c] + (sum(a * b for a, b in zip(w[c], value, strict=False)) >> 9)
                v = cut(m + 512 >> 10, -32768, 32767)
                d = cut(m - 1024 * v, -512, 511)
                e = sum(a * b for a, b in zip(u[c], size, strict=False)) >> 12
                k = sum(bound <= e for bound in BOUNDS)
                tables.append(4 * k if shift_of(k) else 4 * k + min(abs(d) >> 7, 3))
                listed.append((place, c, m, v, d, value, size))
        symbols = coder.call(tables, {one: sums_before(self.counts[one]) for one in set(tables)})
        reach = [len(self.counts[one]) // 2 - 1 for one in tables]
        escapes = [at for at, symbol in enumerate(symbols) if symbol > 2 * reach[at]]
        far = [symbol - r for symbol, r in zip(symbols, reach, strict=True)]
        for at, escape in zip(escapes, coder.call([0] * len(escapes), [ESCAPES]), strict=True):
            far[at] = escape - 131072
        shifts = [shift_of(one // 4) for one in tables]
        for z in range(1, shift_of(42) + 1):
            here = [at for at, shift in enumerate(shifts) if shift == z]
            equal = [2 ** (24 - z) * symbol for symbol in range(2**z + 1)]
            for at, low in zip(here, coder.call([0] * len(here), [equal]), strict=True):
                far[at] = far[at] * 2**z + low
        for (place, c, _, v, d, _, _), r in zip(listed, far, strict=True):
            tokens[place][c] = v + r if d >= 0 else v - r
            assert -32768 <= tokens[place][c] <= 32767
        self._learn(listed, tokens)
        for one, symbol in zip(tables, symbols, strict=True):
            self.counts[one][symbol] += 64
        for one in set(tables):
            while sum(self.counts[one]) > 96000:
                self.counts[one] = [count - (count >> 1) for count in self.counts[one]]

    def _learn(
        self, listed: list[tuple[Position, int, int, int, int, list[int], list[int]]], tokens: dict[Position, list[int]]
    ) -> None:
        for place, c, m, _, _, value, size in listed:
            found = tokens[place][c]
            self.new[place][c] = found - self.last[place][c]
            self.error[place][c] = min(abs(1024 * found - m) >> 6, 8191)
            pairs = (self.values, value, cap(8 * self.new[place][c])), (self.sizes, size, self.error[place][c])
            for which, (sums, terms, target) in enumerate(pairs):
                row = [*terms, target]
                for i, a in enumerate(row):
                    for j, b in enumerate(row):
                        sums[c][i][j] += a * b
                self.rows[which][c] += 1
