"""Coding tables that follow what was coded: how often each symbol came under each context."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from latcomp.container.coding.prior.tables import PRECISION, TOTAL

CLASS_BOUNDS = (1, 2, 3, 4, 5, 6, 8, 10, 13, *(base << octave for octave in range(11) for base in (16, 20, 25)))
"""Expected sizes in 1/256 of a symbol, from 16 on three an octave."""
CLASSES = len(CLASS_BOUNDS) + 1
FIRST_SHIFTED = 30
"""The first class whose values lose low bits before they are looked up."""
FRACTIONS = 4
REACH_MAX = 40
SYMBOLS = 2 * REACH_MAX + 2
STEP = 64  # that a symbol's count rises by
START = 512  # sum of the counts before anything was seen, as far as they are not one each
MOST = 96_000  # sum of counts above which they are halved
LEAST_BITS = 13e-5
"""A value takes no less: its table has nine other symbols, each of a count of one or more."""


def _class_rules() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(shift, reach, counts at the start (classes, SYMBOLS)) of the classes."""
    shifts, reaches = np.zeros(CLASSES, np.int64), np.zeros(CLASSES, np.int64)
    counts = np.zeros((CLASSES, SYMBOLS), np.int64)
    for number in range(CLASSES):
        bound = CLASS_BOUNDS[min(number, CLASSES - 2)]
        shift = max(0, (number - FIRST_SHIFTED) // 3 + 1)
        bound >>= shift
        reach = min(REACH_MAX, 4 + (bound >> 5))
        # of a two-sided geometric distribution with the mean size bound / 256
        ratio = ((math.isqrt(bound * bound + 65536) - 256) << 12) // bound
        sizes = [4096]
        for _ in range(reach):
            sizes.append(sizes[-1] * ratio >> 12)
        table = [*sizes[:0:-1], *sizes]
        total = sum(table)
        counts[number, : 2 * reach + 1] = [1 + START * one // total for one in table]
        counts[number, 2 * reach + 1] = 1
        shifts[number], reaches[number] = shift, reach
    return shifts, reaches, counts


SHIFT, REACH, _START_COUNTS = _class_rules()
"""(classes,) int64 each: low bits that are stored as they are, and the largest magnitude that is no escape."""


class CountTables:
    """The tables of a segment; context = class * FRACTIONS + fraction."""

    def __init__(self) -> None:
        self.counts = np.repeat(_START_COUNTS, FRACTIONS, axis=0)
        self._frequencies: np.ndarray | None = None
        self._least: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.counts)

    @property
    def least_bits(self) -> np.ndarray:
        """float64 (contexts,): bits that the likeliest symbol of each table takes."""
        if self._least is None:
            self._least = PRECISION - np.log2(self.frequencies.max(axis=1).astype(np.float64))
        return self._least

    @property
    def frequencies(self) -> np.ndarray:
        """int64 (contexts, SYMBOLS): whole frequencies that add up to 2**24; of a context, the first 2 * reach + 2."""
        if self._frequencies is None:
            sizes = (2 * np.repeat(REACH, FRACTIONS) + 2)[:, None]
            found = 1 + self.counts * (TOTAL - sizes) // self.counts.sum(axis=1, keepdims=True)
            found[np.arange(SYMBOLS) >= sizes] = 0
            found[np.arange(len(found)), self.counts.argmax(axis=1)] += TOTAL - found.sum(axis=1)
            self._frequencies = found
        return self._frequencies

    def model(self, context: int) -> Any:
        """The range coder's model of one context, as the counts are now."""
        import constriction

        wanted = self.frequencies[context, : 2 * int(REACH[context // FRACTIONS]) + 2]
        return constriction.stream.model.Categorical(wanted.astype(np.float64) - 1, perfect=False)

    def bits(self) -> np.ndarray:
        """float32 (contexts, SYMBOLS): what each symbol would take."""
        counts = np.maximum(self.counts, 1)
        found: np.ndarray = (np.log2(self.counts.sum(axis=1))[:, None] - np.log2(counts)).astype(np.float32)
        return found

    def learn(self, symbols: np.ndarray, contexts: np.ndarray) -> None:
        """Count symbols (n,) that were coded under contexts (n,)."""
        places = contexts.astype(np.int64) * SYMBOLS + symbols
        self.counts += STEP * np.bincount(places, minlength=self.counts.size).reshape(self.counts.shape)
        while (over := self.counts.sum(axis=1) > MOST).any():
            self.counts[over] -= self.counts[over] >> 1
        self._frequencies, self._least = None, None
