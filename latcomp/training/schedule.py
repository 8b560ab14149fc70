"""How far a training is, in minutes or in steps, and the learning rate that belongs there."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from latcomp.errors import UsageError


@dataclass
class Schedule:
    """Warm-up, a constant learning rate, then a linear decay to zero over the last part.

    With `steps` the schedule depends on the step alone, so a run repeats exactly for its seed; with `minutes` it
    follows the clock. The constant middle is what a later run can resume from."""

    minutes: float | None
    steps: int | None
    warmup_steps: int = 100
    decay_share: float = 0.35
    started: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if (self.minutes is None) == (self.steps is None):
            raise UsageError("give a training budget: either minutes or steps")
        if (self.minutes is not None and not self.minutes > 0) or (self.steps is not None and self.steps < 1):
            raise UsageError("the training budget must be more than zero")

    def elapsed_seconds(self) -> float:
        """Seconds since this run began."""
        return time.monotonic() - self.started

    def progress(self, step: int) -> float:
        """Share of the budget that is used before this run's `step`, 0 to 1."""
        if self.steps is not None:
            return min(step / self.steps, 1.0)
        return min(self.elapsed_seconds() / (60 * (self.minutes or 1.0)), 1.0)

    def factor(self, step: int) -> float:
        """Learning-rate factor at this run's `step`, 0 to 1."""
        warm = min(1.0, (step + 1) / self.warmup_steps)
        return warm * min(1.0, (1 - self.progress(step)) / self.decay_share)

    def decaying(self, step: int) -> bool:
        """True in the last part, where the learning rate falls."""
        return self.progress(step) > 1 - self.decay_share
