"""How the keep masks and tokens of a segment's groups become bytes, and back: one door, whatever codes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from latcomp.errors import DamagedFileError, LimitError
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN, GroupView, StepScale


@dataclass(frozen=True)
class GroupContent:
    """What a group holds besides its times."""

    mask: np.ndarray
    """bool (T, h, w): the keep mask."""
    tokens: np.ndarray
    """(N, C) kept tokens in the order t, y, x: int32 symbols, or float32 latents in a lossless file."""
    halvings: np.ndarray | None
    """uint8 (N,): how many times the step behind each kept token was halved; None in files without a prior."""
    key: bool
    """Whether it starts a segment."""
    scale: StepScale
    """Of its tokens."""
    view: GroupView
    """What it shows."""
    coded: tuple[Any, ...] | None = None
    """Of each latent frame what the coder found out about it while it was selected; None where it did not look. A coder
    uses it for the tokens and the segment that it was found for alone."""

    @property
    def keeps_all(self) -> bool:
        """Whether every visible position is kept."""
        return len(self.tokens) == self.view.count


@dataclass(frozen=True)
class GroupBytes:
    """The same as bytes."""

    mask_coding: int
    """Number of the mask's coding, see FORMAT.md."""
    mask: bytes | memoryview
    token_layout: int
    """Number of the tokens' layout."""
    tokens: bytes | memoryview


@dataclass(frozen=True)
class GroupShape:
    """What is known of a group before its bytes are read."""

    view: GroupView
    """What it shows."""
    kept: int
    """N, as it is claimed."""
    key: bool
    scale: StepScale


class GroupCoder(Protocol):
    """Codes the groups of one segment in order; writer and reader have one each that remember the same."""

    def encode(self, group: GroupContent) -> GroupBytes:
        """The bytes of the next group.

        Raises `LimitError` when a symbol does not fit 16 bits, `UsageError` when a token is no whole number of its
        steps.
        """
        ...

    def decode(self, data: GroupBytes, shape: GroupShape) -> GroupContent:
        """The next group. Raises `DamagedFileError` when the bytes do not give exactly what is claimed,
        `UnsupportedFileError` for a coding or layout that is not known.
        """
        ...


def check_symbols(tokens: np.ndarray) -> None:
    """Raise `LimitError` when a symbol does not fit 16 bits."""
    if tokens.size and (tokens.min() < SYMBOL_MIN or tokens.max() > SYMBOL_MAX):
        raise LimitError(f"symbols from {tokens.min()} to {tokens.max()} pass 16 bits: choose a lower quality")


def check_count(mask: np.ndarray, kept: int) -> None:
    """Raise `DamagedFileError` when a keep mask does not have as many positions as are claimed."""
    found = int(np.count_nonzero(mask))
    if found != kept:
        raise DamagedFileError(f"the keep mask has {found} positions, {kept} tokens are claimed")
