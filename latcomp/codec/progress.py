"""How far an encoding, decoding or comparison is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """How far an encoding, decoding or comparison is."""

    frames: int
    frames_total: int | None
    """None where the source does not say."""
    tokens_total: int
    tokens_kept: int


ProgressCallback = Callable[[Progress], None]
