"""What a segment remembers between groups, for the coding of masks and tokens."""

from __future__ import annotations

import numpy as np

from latcomp.container.format import MASK_PRIOR
from latcomp.container.header import Header
from latcomp.container.lattice import PassPositions, passes_of
from latcomp.container.layout_context import Model
from latcomp.container.layout_prior import PriorState
from latcomp.container.mask_prior import decode_mask_bits, encode_mask_bits
from latcomp.container.masks import MaskState, decode_mask, encode_mask
from latcomp.container.prior import Prior
from latcomp.container.steps import log_step_of
from latcomp.errors import DamagedFileError, UnsupportedFileError, UsageError

BITS = np.dtype("<u4")
CODINGS = ("context", "zstd")


class SegmentState:
    """The last kept value of every position, zero before the first, and the masks before."""

    def __init__(self, header: Header, prior: Prior | None = None, coding: str = "context") -> None:
        """prior: the one that the header names; coding: what a writer may use, 'context' for all or 'zstd' for zstd alone.

        Raises `UnsupportedFileError` when the header's prior is not given, `UsageError` for an unknown coding.
        """
        if coding not in CODINGS:
            raise UsageError(f"coding {coding!r} is unknown: choose {' or '.join(CODINGS)}")
        if header.prior is not None and (prior is None or prior.sha256 != header.prior["sha256"]):
            raise UnsupportedFileError(f"the prior {header.prior['name']!r} is needed to read masks and tokens")
        rows, columns = header.grid
        self.channels = header.channels
        self.lossless = header.coding == "lossless"
        self.units, self.coding = header.units, coding
        self.passes: list[PassPositions] = passes_of(rows, columns)
        self.masks = MaskState(rows, columns)
        self.model: Model | None = None  # of the last group in the context layout
        self.prior = prior if header.prior is not None else None
        if self.prior is not None and self.prior.channels != self.channels:
            raise UnsupportedFileError(f"the prior {self.prior.name!r} is for {self.prior.channels} channels, not {self.channels}")
        self.by_prior = PriorState.start(rows, columns, self.channels) if self.prior is not None else None
        self._log_step = log_step_of(header.step_scale)
        # one row more, always zero, stands for everything outside of the grid
        self.last = np.zeros((rows * columns + 1, self.channels), BITS if self.lossless else np.int32)

    def encode_mask(self, mask: np.ndarray, key: bool) -> tuple[int, bytes]:
        """(coding id, bytes) of a keep mask (T, h, w) bool. A key group's first latent frame is all kept and not stored."""
        if self.prior is None or self.by_prior is None or self.coding != "context" or mask.all():
            return encode_mask(mask, key, self.passes, self.masks)
        stored = mask[int(key) :].reshape(len(mask) - key, -1)
        return MASK_PRIOR, encode_mask_bits(stored, self.by_prior.hood, *self._past(key, self.by_prior), self.prior.mask_tables)

    def decode_mask(self, coding: int, data: bytes | memoryview, shape: tuple[int, int, int], key: bool) -> np.ndarray:
        """bool (T, h, w). Raises `DamagedFileError` when the bytes do not give exactly that many bits, `UnsupportedFileError` for a
        coding that is not known."""
        if coding != MASK_PRIOR or self.prior is None or self.by_prior is None:
            return decode_mask(coding, data, shape, key, self.passes, self.masks)
        mask = np.ones(shape, bool)
        past, tables = self._past(key, self.by_prior), self.prior.mask_tables
        try:
            bits = decode_mask_bits(data, shape[0] - key, self.by_prior.hood, *past, tables)
        except DamagedFileError as error:
            raise DamagedFileError(f"keep mask: {error}") from None
        mask[int(key) :] = bits.reshape(-1, *shape[1:])
        return mask

    @staticmethod
    def _past(key: bool, past: PriorState) -> tuple[np.ndarray, np.ndarray]:
        """(age, kept before), each (P,), at the first stored latent frame: behind a key group's first one, where everything was kept."""
        return (np.zeros_like(past.age), np.ones_like(past.before)) if key else (past.age, past.before)

    def log_step(self, step_adjust: int) -> int:
        """Sixteenths of an octave of a group's step scale."""
        return self._log_step + (step_adjust >> 1)
