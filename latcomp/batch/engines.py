"""Where the workers of a batch run: in this process, in processes beside it, or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence

from latcomp.batch.events import Step, Watch
from latcomp.batch.plan import Task
from latcomp.batch.settings import BatchSettings
from latcomp.errors import UsageError

ENGINES = ("local", "ray")


def run_batch(tasks: Sequence[Task], settings: BatchSettings, jobs: int, engine: str, watch: Watch) -> None:
    """Encode all tasks, `jobs` at a time, and tell `watch` of every step and outcome.

    A file that fails is an outcome and ends nothing. Raises `UsageError` for an engine that is not known or not
    installed and for settings that no file can be encoded with, `DeviceError` for a device that is not there; whatever
    is raised in here, also KeyboardInterrupt and what `watch` raises, ends the workers first, and they leave no partial
    file."""
    if engine not in ENGINES:
        raise UsageError(f"engine {engine!r} is unknown: choose {' or '.join(ENGINES)}", settings=("engine",))
    if engine == "ray":
        from latcomp.batch.ray_engine import run_on_ray

        run_on_ray(tasks, settings, jobs, watch)
    elif min(jobs, len(tasks)) > 1:
        from latcomp.batch.processes import run_in_processes

        run_in_processes(tasks, settings, jobs, watch)
    elif tasks:
        _run_here(tasks, settings, watch)


def _run_here(tasks: Sequence[Task], settings: BatchSettings, watch: Watch) -> None:
    """One after the other in this process, with all of its threads."""
    from latcomp.batch.worker import Worker

    worker = Worker(settings)
    for task in tasks:
        watch(Step(task))

        def on_frames(frames: int, total: int | None, task: Task = task) -> None:
            watch(Step(task, frames, total))

        watch(worker.run(task, on_frames))
