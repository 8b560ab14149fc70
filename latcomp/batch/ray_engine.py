"""Workers as actors of a Ray cluster: the one that RAY_ADDRESS names or that runs here, else one started for this
batch.

All machines of the cluster must have latcomp installed and see the folders under the same paths. Needs the package ray.
"""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import math
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from latcomp.batch.events import FAILED, Outcome, Step, Watch
from latcomp.batch.plan import Task
from latcomp.batch.settings import BatchSettings
from latcomp.errors import DeviceError, LatcompError, UsageError

_LOOK_SECONDS = 0.5  # between two looks at how far the files are
_STOP_SECONDS = 20  # an actor notices that it is to stop between two groups at the latest; then it is killed


class _Stopped(BaseException):
    """The batch is over: leave the current file, so that its temporary file is removed."""


class Actor:
    """A worker inside a Ray process. `run` takes long; `look` and `stop` are called beside it, in another thread."""

    def __init__(self) -> None:
        self._frames: tuple[int, int | None] = (0, None)
        self._temporary: Path | None = None
        self._stop = threading.Event()

    def load(self, settings: BatchSettings, threads: int) -> LatcompError | None:
        """Load the models; gives why that failed."""
        import torch

        from latcomp.batch.worker import Worker

        torch.set_num_threads(threads)
        try:
            self._worker = Worker(settings)
        except LatcompError as error:
            return error
        return None

    def run(self, task: Task) -> Outcome | None:
        """Encode one file; None when it was stopped."""
        self._frames, self._temporary = (0, None), None
        try:
            return self._worker.run(task, self._on_frames, self._on_temporary)
        except _Stopped:
            return None

    def look(self) -> tuple[tuple[int, int | None], Path | None]:
        """((frames so far, frames in all), the temporary file) of the file in hand."""
        return self._frames, self._temporary

    def stop(self) -> None:
        """Have `run` end soon."""
        self._stop.set()

    def _on_frames(self, frames: int, total: int | None) -> None:
        self._frames = (frames, total)
        if self._stop.is_set():
            raise _Stopped

    def _on_temporary(self, path: Path) -> None:
        self._temporary = path
        if self._stop.is_set():
            raise _Stopped


@dataclass
class _WorkerHandle:
    """One actor as the batch sees it."""

    actor: Any
    task: Task | None = None
    """None while it loads the models."""
    temporary: Path | None = None


def require_ray() -> None:
    """Raise `UsageError` with the command that installs ray when it is missing."""
    if importlib.util.find_spec("ray") is None:
        raise UsageError(
            "engine='ray' needs the package ray, which is not installed: pip install 'latcomp[ray]'",
            settings=("engine",),
        )


def run_on_ray(tasks: Sequence[Task], settings: BatchSettings, jobs: int, watch: Watch) -> None:
    """Encode tasks on up to `jobs` actors, each with its share of the cluster's processors and GPUs; see
    `run_batch`.
    """
    require_ray()
    if settings.device.startswith("cuda:"):
        raise UsageError(
            f"device={settings.device!r}: ray gives each worker its GPU; choose auto, cpu or cuda", settings=("device",)
        )
    import ray

    elsewhere = replace(settings, tokenizer=_absolute_folder(settings.tokenizer))
    waiting = deque(tasks)
    with _cluster(ray):
        workers: dict[Any, _WorkerHandle] = {}  # by the reference of what each is doing
        threads, options = _shares(ray, settings.device, min(jobs, len(tasks)))
        kind = ray.remote(Actor).options(max_concurrency=2, **options)
        try:
            for _ in range(min(jobs, len(tasks))):
                actor = kind.remote()
                workers[actor.load.remote(elsewhere, threads)] = _WorkerHandle(actor)
            # an actor that the cluster has no room for stays in its loading, and the others do all of the work
            while waiting or any(worker.task for worker in workers.values()):
                ready, _ = ray.wait(list(workers), num_returns=1, timeout=_LOOK_SECONDS)
                if not ready:
                    _look(ray, workers, watch)
                for reference in ready:
                    worker = workers.pop(reference)
                    if _finished(ray, reference, worker, watch) and waiting:
                        _give(workers, worker, waiting.popleft(), watch)
                if waiting and not workers:
                    raise LatcompError("all workers of the ray cluster have ended")
        finally:
            _end(ray, workers)


def _give(workers: dict[Any, _WorkerHandle], worker: _WorkerHandle, task: Task, watch: Watch) -> None:
    """Let an actor begin a file."""
    worker.task, worker.temporary = task, None
    watch(Step(task))
    absolute = replace(task, source=task.source.absolute(), target=task.target.absolute())
    workers[worker.actor.run.remote(absolute)] = worker


def _finished(ray: Any, reference: Any, worker: _WorkerHandle, watch: Watch) -> bool:
    """Take what an actor made; gives whether it can go on. Raises why the models could not be loaded."""
    task = worker.task
    try:
        result = ray.get(reference)
    except ray.exceptions.RayActorError as error:
        why = str(error).strip().splitlines()[0] if str(error).strip() else "no reason given"
        if task is None:
            raise LatcompError(f"a worker of the ray cluster ended while it loaded the models: {why}") from None
        _clean(worker)
        lost = DeviceError(f"{task.source}: its worker on the ray cluster ended, perhaps for lack of memory: {why}")
        watch(Outcome(task, FAILED, lost))
        return False
    if task is None:
        if result is not None:
            raise result
        return True
    worker.task = None
    if result is not None:
        watch(replace(result, task=task))
    return True


def _look(ray: Any, workers: dict[Any, _WorkerHandle], watch: Watch) -> None:
    """Ask the busy actors how far they are; one that does not answer is asked again later."""
    asked = {worker.actor.look.remote(): worker for worker in workers.values() if worker.task is not None}
    if not asked:
        return
    answered, _ = ray.wait(list(asked), num_returns=len(asked), timeout=_LOOK_SECONDS)
    for reference in answered:
        worker = asked[reference]
        with contextlib.suppress(ray.exceptions.RayActorError):
            (frames, total), worker.temporary = ray.get(reference)
            if worker.task is not None and frames:
                watch(Step(worker.task, frames, total))


def _end(ray: Any, workers: dict[Any, _WorkerHandle]) -> None:
    """Stop actors that are still at work, and remove what those left that would not hear."""
    busy = {reference: worker for reference, worker in workers.items() if worker.task is not None}
    try:
        for worker in busy.values():
            worker.actor.stop.remote()
        until = time.monotonic() + _STOP_SECONDS
        while busy and time.monotonic() < until:
            ready, _ = ray.wait(list(busy), num_returns=1, timeout=_LOOK_SECONDS)
            _look(ray, busy, lambda event: None)
            for reference in ready:
                busy.pop(reference).temporary = None
    finally:
        for worker in workers.values():
            with contextlib.suppress(Exception):
                ray.kill(worker.actor)
        for worker in busy.values():
            _clean(worker)


def _clean(worker: _WorkerHandle) -> None:
    if worker.temporary is not None:
        with contextlib.suppress(OSError):
            worker.temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def _cluster(ray: Any) -> Iterator[None]:
    """A connection to the cluster; one that was open before stays open."""
    if ray.is_initialized():
        yield
        return
    handler = signal.getsignal(signal.SIGTERM)  # ray.init puts its own in its place
    try:
        ray.init(include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"engine='ray': the cluster cannot be reached: {str(error).strip().splitlines()[0]}", settings=("engine",)
        ) from None
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, handler)
        yield
    finally:
        ray.shutdown()


def _shares(ray: Any, device: str, jobs: int) -> tuple[int, dict[str, float]]:
    """(threads, resources to ask for) of each of `jobs` actors: an equal part of the cluster, no more than its largest
    machine has.
    """
    total = ray.cluster_resources()
    largest = max((node["Resources"].get("CPU", 1) for node in ray.nodes() if node["Alive"]), default=1)
    threads = max(1, int(min(total.get("CPU", 1) // jobs, largest)))
    options: dict[str, float] = {"num_cpus": threads}
    gpus = total.get("GPU", 0)
    if device != "cpu" and gpus >= 1:
        options["num_gpus"] = 1 / max(1, math.ceil(jobs / gpus))
    return threads, options


def _absolute_folder(tokenizer: str | None) -> str | None:
    """The tokenizer as actors, which run in other folders, can find it."""
    return str(Path(tokenizer).absolute()) if tokenizer is not None and Path(tokenizer).is_dir() else tokenizer
