"""Coding by tables of whole frequencies: values sorted by table, each table's values in one call of a range coder.

The range coder is that of the `constriction` library (32-bit words, 64-bit state, probabilities in 1/2**24). Its tables
are given as probabilities; with f - 1 for every frequency f, summing up to 2**24 minus the number of symbols, its own
rounding gives exactly f."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, Protocol

import numpy as np

from latcomp.errors import DamagedFileError

PRECISION = 24
TOTAL = 1 << PRECISION
WORD = np.dtype("<u4")


def whole_frequencies(weights: np.ndarray) -> np.ndarray:
    """uint32 (..., n) frequencies of at least 1 that add up to 2**24, in proportion to weights (..., n)."""
    weights = np.asarray(weights, np.float64)
    share = weights / weights.sum(-1, keepdims=True)
    found = 1 + np.floor(share * (TOTAL - weights.shape[-1])).astype(np.int64)
    rest = TOTAL - found.sum(-1)
    likeliest = weights.argmax(-1)[..., None]
    np.put_along_axis(found, likeliest, np.take_along_axis(found, likeliest, -1) + rest[..., None], -1)
    frequencies: np.ndarray = found.astype(np.uint32)
    return frequencies


class CodingTables(Protocol):
    """Tables of frequencies under contexts, as the range coder asks for them."""

    def __len__(self) -> int:
        """Contexts."""
        ...

    @property
    def least_bits(self) -> np.ndarray:
        """float64 (contexts,): bits that the likeliest symbol of each table takes."""
        ...

    def model(self, context: int) -> Any:
        """The coder's model of one context."""
        ...


class Tables:
    """Frequencies of n symbols under each of many contexts."""

    def __init__(self, frequencies: list[np.ndarray]) -> None:
        """frequencies: one uint32 array a context, each adding up to 2**24. Raises `DamagedFileError` when one does
        not.
        """
        for one in frequencies:
            if len(one) < 2 or int(one.sum(dtype=np.int64)) != TOTAL or int(one.min()) < 1:
                raise DamagedFileError("a coding table does not add up")
        self.frequencies = frequencies
        self._least = np.array([PRECISION - np.log2(float(one.max())) for one in frequencies])

    @property
    def least_bits(self) -> np.ndarray:
        """float64 (contexts,): bits that the likeliest symbol of each table takes."""
        return self._least

    def __len__(self) -> int:
        return len(self.frequencies)

    @lru_cache(maxsize=4096)  # noqa: B019  a prior lives as long as the process
    def model(self, context: int) -> Any:
        """The coder's model of one context."""
        import constriction

        return constriction.stream.model.Categorical((self.frequencies[context].astype(np.float64) - 1), perfect=False)


class TableEncoder:
    """Encodes arrays of symbols under contexts into bytes."""

    def __init__(self) -> None:
        import constriction

        self._coder = constriction.stream.queue.RangeEncoder()

    def put(self, symbols: np.ndarray, contexts: np.ndarray, tables: CodingTables) -> None:
        """Append symbols (n,) int32, each in the table of its context (n,) uint8; values of one table stand
        together.
        """
        order, runs = _by_context(contexts, len(tables))
        ordered, encode, start = symbols.take(order).astype(np.int32, copy=False), self._coder.encode, 0
        for context, size in runs:
            encode(ordered[start : start + size], tables.model(context))
            start += size

    def put_wide(self, values: np.ndarray, size: int) -> None:
        """Append values (n,) from 0 to `size` - 1 that are all equally likely; size is at most 2**24."""
        import constriction

        if len(values):
            self._coder.encode(values.astype(np.int32), constriction.stream.model.Uniform(size))

    def finish(self) -> bytes:
        """The bytes of everything that was put in."""
        return bytes(self._coder.get_compressed().astype(WORD).tobytes())


class TableDecoder:
    """Decodes what a `TableEncoder` wrote, in the same calls."""

    def __init__(self, data: bytes | memoryview) -> None:
        """Raises `DamagedFileError` when the data are not whole words."""
        import constriction

        if len(data) % WORD.itemsize:
            raise DamagedFileError("coded values are not whole words")
        self._coder = constriction.stream.queue.RangeDecoder(np.frombuffer(data, WORD).astype(np.uint32))
        self._untouched = len(data) > 0
        # what is coded takes at most 32 bits a word; one more as sums of logarithms are rounded
        self._bits_left = 8.0 * len(data) + 1

    def require(self, bits: float) -> None:
        """Raise `DamagedFileError` unless the data can hold what takes at least `bits` more: missing words would
        read as zeros, without end."""
        if bits > self._bits_left:
            raise DamagedFileError("coded values are cut off")

    def _spend(self, bits: float) -> None:
        self.require(bits)
        self._bits_left -= bits

    def take(self, contexts: np.ndarray, tables: CodingTables) -> np.ndarray:
        """(n,) int32 symbols under contexts (n,) uint8. Raises `DamagedFileError` when the data cannot hold them."""
        order, runs = _by_context(contexts, len(tables))
        if not runs:
            return np.empty(0, np.int32)
        least = tables.least_bits
        self._spend(sum(size * least[context] for context, size in runs))
        found = np.empty(len(contexts), np.int32)
        found[order] = self._decode([(tables.model(context), size) for context, size in runs])
        return found

    def take_wide(self, count: int, size: int) -> np.ndarray:
        """(count,) int32 values from 0 to `size` - 1."""
        import constriction

        self._spend(count * math.log2(size))
        return self._decode([(constriction.stream.model.Uniform(size), count)]) if count else np.empty(0, np.int32)

    def _decode(self, runs: list[tuple[Any, int]]) -> np.ndarray:
        """int32 (n,): so many values under each model, one behind the other."""
        self._untouched = False
        decode = self._coder.decode
        try:
            return np.concatenate([decode(model, size) for model, size in runs], dtype=np.int32)
        except (AssertionError, ValueError, RuntimeError) as error:
            raise DamagedFileError(f"coded values cannot be read: {error}") from None

    def check_end(self) -> None:
        """Raise `DamagedFileError` when data are left over."""
        if self._untouched or not self._coder.maybe_exhausted():
            raise DamagedFileError("coded values are left over")


def _by_context(contexts: np.ndarray, count: int) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """(stable order by context, (context, how many values) of each context that occurs)."""
    sizes = np.bincount(contexts, minlength=count)
    present = np.flatnonzero(sizes)
    order = np.argsort(contexts, kind="stable")
    return order, list(zip(present.tolist(), sizes[present].tolist(), strict=True))
