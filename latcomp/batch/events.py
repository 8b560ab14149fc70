"""What a batch tells whoever watches it: how far a file is, and how it ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from latcomp.batch.plan import Task
from latcomp.errors import LatcompError

if TYPE_CHECKING:
    from latcomp.video import Damage

DONE, SKIPPED, FAILED = "done", "skipped", "failed"


@dataclass(frozen=True)
class Step:
    """A file that is being encoded; the first one, with no frames, says that it was begun."""

    task: Task
    frames: int = 0
    frames_total: int | None = None
    """None where the source does not say."""


@dataclass(frozen=True)
class Outcome:
    """How one file ended."""

    task: Task
    status: str
    """`DONE`, `SKIPPED` (an intact .lat of these settings was there) or `FAILED`."""
    error: LatcompError | None = None
    """Why it failed; the base class itself stands for an unexpected failure."""
    figures: dict[str, Any] | None = None
    """The object of `latcomp stats --json` without its groups; None for a failed one."""
    seconds: float = 0.0
    """From opening the source to the file under its name."""
    notes: tuple[str, ...] = ()
    """What was converted, left out or replaced, one line each."""
    damage: tuple[Damage, ...] = ()
    """What was damaged in the video and passed over."""


Event = Step | Outcome
Watch = Callable[[Event], None]
"""Called in the process and thread that runs the batch; what it raises ends the batch."""
