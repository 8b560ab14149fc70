"""Many files at a time, in processes, with the outcomes in the order of the files and never more of them in memory than
are at work. Nothing heavy is imported here: a worker sets its threads first."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from itertools import chain
from typing import TypeVar

from latcomp.errors import DeviceError

Task = TypeVar("Task")
Result = TypeVar("Result")
_AHEAD = 4  # tasks a process that are handed out before the first of them is back
_BREAKS_MOST = 3  # in a row, with nothing done between: then the fault is not a file's
_KILLED = "a process was killed, most likely for lack of memory: lower jobs, and run this again"


@contextmanager
def in_order(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, lost: Callable[[Task, DeviceError], Result]
) -> Iterator[Iterator[Result]]:
    """The result of `work` for each task, in the order of the tasks, which are taken as they are needed.

    jobs: processes; with one all is done in this one. lost: the result of a task whose process was killed. `work` must
    be a function of a module. Raises `DeviceError` when processes die before they do anything. When the block ends or
    an exception passes, the files at work are finished first."""
    with closing(_results(work, tasks, jobs, lost)) as results:
        yield results


def _results(
    work: Callable[[Task], Result], tasks: Iterable[Task], jobs: int, lost: Callable[[Task, DeviceError], Result]
) -> Generator[Result, None, None]:
    if jobs <= 1:
        yield from map(work, tasks)
        return
    pending: deque[tuple[Task, Future[Result]]] = deque()
    waiting, breaks = iter(tasks), 0
    pool = _pool(jobs)
    try:
        while True:
            broken = False
            while len(pending) < jobs * _AHEAD:
                try:
                    task = next(waiting)
                except StopIteration:
                    break
                try:
                    with _interrupts_held():
                        pending.append((task, pool.submit(work, task)))
                except BrokenProcessPool:
                    waiting, broken = chain((task,), waiting), True
                    break
            if pending:
                try:
                    result = pending[0][1].result()
                except BrokenProcessPool:
                    broken = True
                else:
                    breaks = 0
                    pending.popleft()
                    yield result
                    continue
            if not broken:
                return
            breaks += 1
            error = DeviceError(_KILLED, settings=("jobs",))
            if breaks > _BREAKS_MOST:
                raise error
            pool.shutdown(wait=True, cancel_futures=True)
            pool = _pool(jobs)
            for one, future in pending:
                survived = future.done() and not future.cancelled() and future.exception() is None
                yield future.result() if survived else lost(one, error)
            pending.clear()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _pool(jobs: int) -> ProcessPoolExecutor:
    threads = max(1, (os.cpu_count() or 1) // jobs)
    context = multiprocessing.get_context("spawn")  # a fork of a process with torch's threads may hang
    return ProcessPoolExecutor(jobs, mp_context=context, initializer=_begin, initargs=(threads,))


def _begin(threads: int) -> None:
    """In a worker: leave interrupts to the first process, and use so many threads."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(threads)


class _interrupts_held:
    """Processes started inside never get a Ctrl-C, which a terminal sends to all of them."""

    def __enter__(self) -> None:
        from multiprocessing import resource_tracker

        resource_tracker.ensure_running()
        self._before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})

    def __exit__(self, *_: object) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._before)
