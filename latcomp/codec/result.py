"""What an encoding made. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latcomp.video import Damage


@dataclass(frozen=True)
class EncodeResult:
    """What an encoding made."""

    stats: dict[str, Any]
    """The object of `latcomp stats --json`."""
    encode_seconds: float
    frames_per_second: float
    device: str
    notes: tuple[str, ...]
    """What was converted or left out, one line each."""
    damage: tuple[Damage, ...] = ()
    """What was damaged in the source and passed over; empty for an intact one."""
    relative_rmse: float | None = None
    """Of latents that were given: the root mean square error of what the file gives back, over their standard deviation
    (the root of the mean variance of their channels); None for a video."""
