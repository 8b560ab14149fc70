"""What a segment remembers between groups, for the coding of masks and tokens."""

from __future__ import annotations

import numpy as np

from latcomp.container.header import Header
from latcomp.container.lattice import PassPositions, passes_of
from latcomp.container.layout_context import Model
from latcomp.container.layout_prior import PriorState
from latcomp.container.masks import MaskState
from latcomp.container.prior import Prior
from latcomp.container.steps import log_step_of
from latcomp.errors import UnsupportedFileError, UsageError

BITS = np.dtype("<u4")
CODINGS = ("context", "zstd")


class SegmentState:
    """The last kept value of every position, zero before the first, and the masks before."""

    def __init__(self, header: Header, prior: Prior | None = None, coding: str = "context") -> None:
        """prior: the one that the header names; coding: what a writer may use, 'context' for all or 'zstd' for zstd
        alone.

        Raises `UnsupportedFileError` when the header's prior is not given, `UsageError` for an unknown coding.
        """
        if coding not in CODINGS:
            raise UsageError(f"coding {coding!r} is unknown: choose {' or '.join(CODINGS)}")
        if header.prior is not None and (prior is None or prior.sha256 != header.prior["sha256"]):
            raise UnsupportedFileError(f"the prior {header.prior['name']!r} is needed to read masks and tokens")
        if (
            header.prior is not None
            and prior is not None
            and prior.fingerprint != header.prior.get("fingerprint", prior.fingerprint)
        ):
            raise UnsupportedFileError(
                f"the prior {header.prior['name']!r} is at hand with another configuration than the file's"
            )
        rows, columns = header.grid
        self.channels = header.channels
        self.lossless = header.coding == "lossless"
        self.units, self.coding = header.units, coding
        self.passes: list[PassPositions] = passes_of(rows, columns)
        self.masks = MaskState(rows, columns)
        self.model: Model | None = None  # of the last group in the context layout
        self.prior = prior if header.prior is not None else None
        if self.prior is not None and self.prior.channels != self.channels:
            raise UnsupportedFileError(
                f"the prior {self.prior.name!r} is for {self.prior.channels} channels, not {self.channels}"
            )
        self.by_prior = PriorState.start(rows, columns, self.channels) if self.prior is not None else None
        self._log_step = log_step_of(header.step_scale)
        # one row more, always zero, stands for everything outside of the grid
        self.last = np.zeros((rows * columns + 1, self.channels), BITS if self.lossless else np.int32)

    def log_step(self, step_adjust: int) -> int:
        """Sixteenths of an octave of a group's step scale."""
        return self._log_step + (step_adjust >> 1)
