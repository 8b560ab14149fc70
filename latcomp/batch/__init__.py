"""Folders of videos to folders of .lat files: a plan of what becomes what, workers that encode, engines that feed
them, and the encoder as a step of a Ray Data pipeline.
"""

from __future__ import annotations

from latcomp.batch.engines import ENGINES, run_batch
from latcomp.batch.events import DONE, FAILED, SKIPPED, Event, Outcome, Step, Watch
from latcomp.batch.plan import Plan, Task, make_plan
from latcomp.batch.ray_data import LatcompEncoder, rows_of
from latcomp.batch.settings import BatchSettings

__all__ = [
    "DONE",
    "ENGINES",
    "FAILED",
    "SKIPPED",
    "BatchSettings",
    "Event",
    "LatcompEncoder",
    "Outcome",
    "Plan",
    "Step",
    "Task",
    "Watch",
    "make_plan",
    "rows_of",
    "run_batch",
]
