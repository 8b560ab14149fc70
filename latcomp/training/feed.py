"""Batches for the training loop, made ahead of it: inline, in a thread, or in processes of their own, and moved to the
device.

On a CPU the loop takes the batches in order and waits where one is not ready, so a run repeats exactly for its seed. On
a GPU, which is often faster than the processors that make its examples, it never waits: it takes a new batch as soon as
there is one, and a recent one otherwise."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

Item = TypeVar("Item")
Result = TypeVar("Result")
Batch = dict[str, Any]
"""Tensors and plain values by name."""
MakeBatch = Callable[[int, bool], Batch]
"""A batch on the host for (step, whether the learning rate falls already). Handed to other processes, so it can be
pickled.
"""
RECENT = 16  # batches that are kept to be drawn from again
POOL = 64  # the same where the loop does not wait, and so draws from them most of the time
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@dataclass(frozen=True)
class Supply:
    """How batches are made."""

    workers: int = 0
    """Processes that make batches; 0: one thread of this process."""
    inline: bool = False
    """Made when they are asked for: right where making one is no more than asking the device."""
    reuse: int = 1
    """Steps that each batch serves: the first of them gets it, the others draw from recent ones."""
    waits: bool = True
    """False: where the next batch is not ready, a recent one serves instead."""


class Feed:
    """Batches in the order of steps, on the device. A context manager: it ends its workers."""

    def __init__(
        self, make: MakeBatch, device: torch.device, supply: Supply, seed: int, first: int, late: Callable[[int], bool]
    ) -> None:
        """first: the step of the run's first batch; late: whether the learning rate falls at the run's n-th step,
        counted from 0.
        """
        self._make, self._device, self._supply, self._seed, self._first, self._late = (
            make,
            device,
            supply,
            seed,
            first,
            late,
        )
        self._recent: deque[Batch] = deque(
            maxlen=1 if supply.waits and supply.reuse == 1 else RECENT if supply.waits else POOL
        )
        self._processes: Executor | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._coming: deque[Future[Batch]] = deque()
        self._next = 0  # the run's step whose batch is asked for next
        self.waited_seconds = 0.0
        """That the loop stood still for batches."""
        self.made = 0
        """Batches that were handed out for the first time."""

    def __enter__(self) -> Feed:
        if not self._supply.inline:
            workers = self._supply.workers
            if workers:
                self._processes = _processes(workers, self._make)
            ahead = 2 * workers or 1
            self._threads = ThreadPoolExecutor(ahead, thread_name_prefix="latcomp-batches")
            for _ in range(ahead):
                self._ask()
        return self

    def __exit__(self, *ended: object) -> None:
        for executor in (self._threads, self._processes):
            if executor is not None:
                executor.shutdown(wait=executor is self._processes, cancel_futures=True)

    def take(self, here: int) -> Batch:
        """The batch of the run's step `here`."""
        drawn = self._recent and (here % self._supply.reuse or not (self._supply.waits or self._ready()))
        if drawn:
            return self._recent[int(np.random.default_rng([self._seed, here]).integers(len(self._recent)))]
        began = time.perf_counter()
        if self._supply.inline:
            batch = self._make(self._first + here, self._late(here))
        else:
            batch = self._coming.popleft().result()
        placed = on_device(batch, self._device)
        self.waited_seconds += time.perf_counter() - began
        self.made += 1
        self._recent.append(placed)
        if not self._supply.inline:
            self._ask()
        return placed

    def _ready(self) -> bool:
        return self._supply.inline or self._coming[0].done()

    def _ask(self) -> None:
        """Have the next batch made."""
        if self._threads is None:
            raise RuntimeError("a feed hands out batches inside its `with` block")
        self._coming.append(self._threads.submit(self._made, self._first + self._next, self._late(self._next)))
        self._next += self._supply.reuse

    def _made(self, step: int, late: bool) -> Batch:
        batch = self._processes.submit(_do_there, step, late).result() if self._processes else self._make(step, late)
        if self._device.type != "cuda":
            return batch
        return {
            name: torch.as_tensor(v).pin_memory() if isinstance(v, np.ndarray | Tensor) else v
            for name, v in batch.items()
        }


_worker: list[Callable[..., Any]] = []  # in a worker process: what it does


def _begin_worker(work: Callable[..., Any]) -> None:
    torch.set_num_threads(1)
    _worker.append(work)


def _do_there(*arguments: Any) -> Any:
    return _worker[0](*arguments)


def _processes(count: int, work: Callable[..., Any]) -> ProcessPoolExecutor:
    """So many processes of one thread each, started now, which do `work` when `_do_there` is submitted."""
    context = multiprocessing.get_context("spawn")  # a fork would copy locks, and a GPU's state, as they happen to be
    pool = ProcessPoolExecutor(count, context, _begin_worker, (work,))
    with _one_thread_each():
        for _ in range(count):
            pool.submit(int)  # a process is started when something is asked of it
    return pool


def in_processes(work: Callable[[Item], Result], items: Sequence[Item], workers: int) -> list[Result]:
    """The results of `work` on each item, in order: by so many processes, or here where there are none."""
    if not workers or not items:
        return [work(item) for item in items]
    with _processes(min(workers, len(items)), work) as pool:
        return list(pool.map(_do_there, items))


def on_device(batch: Batch, device: torch.device) -> Batch:
    """The batch with its arrays and tensors on the device; from pinned memory a copy is queued, not waited for."""
    return {
        name: torch.as_tensor(value).to(device, non_blocking=True) if isinstance(value, np.ndarray | Tensor) else value
        for name, value in batch.items()
    }


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Processes that are started inside use one thread each for matrix products: there is one for every core."""
    before = {name: os.environ.get(name) for name in _THREADS}
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
