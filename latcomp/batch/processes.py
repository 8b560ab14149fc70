"""Workers as processes of this machine: each loads the models once, gets one file after the other, and is stopped
without a trace.

A worker sends what it does through its pipe as one of the messages below and gets tasks through it; None ends it.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from latcomp.batch.events import FAILED, Outcome, Step, Watch
from latcomp.batch.plan import Task
from latcomp.batch.settings import BatchSettings
from latcomp.errors import DeviceError, LatcompError
from latcomp.imports import kept_imports

_STOP_SECONDS = 20  # a worker notices a signal between two groups at the latest; then it is killed
_STEP_SECONDS = 0.2  # between two messages about frames


@dataclass(frozen=True)
class _Ready:
    """The models are loaded, or why they could not be."""

    error: LatcompError | None = None


@dataclass(frozen=True)
class _Writing:
    """The temporary file that is being written."""

    path: Path


@dataclass(frozen=True)
class _Frames:
    """How far the current file is."""

    frames: int
    total: int | None


def run_in_processes(tasks: Sequence[Task], settings: BatchSettings, jobs: int, watch: Watch) -> None:
    """Encode tasks in up to `jobs` processes; see `run_batch`. The threads of this machine are divided among them."""
    waiting = deque(tasks)
    count = min(jobs, len(tasks))
    threads = max(1, _threads() // count)
    pool = _WorkerPool(settings, threads)
    try:
        for _ in range(count):
            pool.spawn()
        while waiting or any(worker.task for worker in pool.workers):
            for worker, message in pool.messages():
                match message:
                    case _Ready(error):
                        if error is not None:
                            raise error
                        worker.ready = True
                    case _Frames(frames, total):
                        if worker.task is not None:
                            watch(Step(worker.task, frames, total))
                        continue
                    case _Writing(path):
                        worker.temporary = path
                        continue
                    case Outcome():
                        worker.task = worker.temporary = None
                        watch(message)
                    case None:  # its end of the pipe is closed: the process is gone
                        outcome = pool.reap(worker)
                        if outcome is not None:
                            watch(outcome)
                            if waiting:
                                pool.spawn()
                        continue
                    case _:
                        continue
                if waiting:
                    worker.give(waiting.popleft(), watch)
        pool.shutdown()
    finally:
        pool.stop()


class _WorkerHandle:
    """One worker process as its employer sees it."""

    def __init__(self, process: BaseProcess, pipe: Connection) -> None:
        self.process, self.pipe = process, pipe
        self.task: Task | None = None
        self.temporary: Path | None = None
        self.ready = False

    def give(self, task: Task, watch: Watch) -> None:
        """Send it a task; if it died meanwhile, that shows on its pipe."""
        self.task = task
        watch(Step(task))
        with contextlib.suppress(OSError):
            self.pipe.send(task)

    def clean(self) -> None:
        """Remove what a killed process left."""
        if self.temporary is not None:
            with contextlib.suppress(OSError):
                self.temporary.unlink(missing_ok=True)


class _WorkerPool:
    """The processes of a batch."""

    def __init__(self, settings: BatchSettings, threads: int) -> None:
        self.workers: list[_WorkerHandle] = []
        self._settings, self._threads = settings, threads
        self._spawned = 0
        self._context = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads may hang

    def spawn(self) -> None:
        """Start one more process."""
        ours, theirs = self._context.Pipe()
        arguments = (theirs, self._settings, self._spawned, self._threads)
        process = self._context.Process(target=_work, args=arguments, daemon=True)
        with _ignoring_interrupts():
            process.start()
        theirs.close()
        self.workers.append(_WorkerHandle(process, ours))
        self._spawned += 1

    def messages(self) -> Iterator[tuple[_WorkerHandle, Any]]:
        """What came in, waiting for the first; None from a process that is gone."""
        ready = wait([worker.pipe for worker in self.workers])
        for worker in [worker for worker in self.workers if worker.pipe in ready]:
            try:
                message = worker.pipe.recv()
            except (EOFError, OSError):
                message = None
            yield worker, message

    def reap(self, worker: _WorkerHandle) -> Outcome | None:
        """The outcome of the file that a process died over, None when it had none.

        One that died while it loaded the models leaves the work to the others; raises when it was the last.
        """
        self.workers.remove(worker)
        worker.process.join()
        worker.pipe.close()
        worker.clean()
        code = worker.process.exitcode or 0
        died = f"a worker was ended by signal {-code}" if code < 0 else f"a worker ended with exit code {code}"
        lack = code == -signal.SIGKILL
        advice = ", most likely for lack of memory: lower jobs" if lack else ""
        kind: type[LatcompError] = DeviceError if lack else LatcompError
        if not worker.ready and not self.workers:
            raise kind(f"{died} while it loaded the models{advice}", settings=("jobs",))
        if worker.task is None:
            return None
        return Outcome(worker.task, FAILED, kind(f"{worker.task.source}: {died}{advice}", settings=("jobs",)))

    def shutdown(self) -> None:
        """Let idle processes end by themselves; those that still load the models have nothing to leave behind."""
        for worker in self.workers:
            if not worker.ready:
                worker.process.kill()
            with contextlib.suppress(OSError):
                worker.pipe.send(None)
        for worker in self.workers:
            worker.process.join(_STOP_SECONDS)

    def stop(self) -> None:
        """End every process, first by asking, and remove what those left that would not hear; at once on a second
        interrupt.
        """
        for worker in self.workers:
            if worker.process.is_alive():
                (worker.process.terminate if worker.ready else worker.process.kill)()
        until = time.monotonic() + _STOP_SECONDS
        try:
            for worker in self.workers:
                worker.process.join(max(0.0, until - time.monotonic()))
        finally:
            for worker in self.workers:
                if worker.process.is_alive():
                    worker.process.kill()
                    worker.process.join()
                _drain(worker)
                worker.pipe.close()
                worker.clean()
            self.workers.clear()


def _drain(worker: _WorkerHandle) -> None:
    """Read what a dead process had still to say: it may be the name of its temporary file."""
    with contextlib.suppress(EOFError, OSError):
        while worker.pipe.poll():
            message = worker.pipe.recv()
            if isinstance(message, _Writing):
                worker.temporary = message.path


@contextlib.contextmanager
def _ignoring_interrupts() -> Iterator[None]:
    """Processes started inside never get a Ctrl-C: a terminal sends it to all of them, and only the first is to act on
    it.
    """
    # started with the first process otherwise, and then it lets the signal through again
    resource_tracker.ensure_running()
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _threads() -> int:
    """Threads that are ours: the processors this process may run on, or fewer where OMP_NUM_THREADS says so."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return min(cores, int(wished)) if wished.isdecimal() and int(wished) > 0 else cores


# -- inside a worker process
# ----------------------------------------------------------------------------------------------


def _work(pipe: Connection, settings: BatchSettings, number: int, threads: int) -> None:
    """Load the models, then encode what comes through the pipe until None does, or the other end is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)  # read when numpy and torch are first imported, below
    with kept_imports():
        from latcomp.batch.worker import Worker

    with contextlib.suppress(EOFError, OSError):
        try:
            import torch

            torch.set_num_threads(threads)
            worker = Worker(settings, number)
        except LatcompError as error:
            pipe.send(_Ready(error))
            return
        pipe.send(_Ready())
        shown = 0.0

        def on_frames(frames: int, total: int | None) -> None:
            nonlocal shown
            if time.monotonic() - shown >= _STEP_SECONDS:
                shown = time.monotonic()
                pipe.send(_Frames(frames, total))

        while (task := pipe.recv()) is not None:
            pipe.send(worker.run(task, on_frames, lambda path: pipe.send(_Writing(path))))


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """End by an exception, so that the temporary file is removed on the way out."""
    raise SystemExit(128 + number)
