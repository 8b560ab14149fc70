"""Stages of a codec that overlap: what one stage makes next is made in a thread of its own while the stage behind it
works on what came before.

Every stage stays one thread that takes its items in order, so what comes out does not depend on how they overlap. The
work is in libraries that let go of Python's lock, so threads are enough. How far a stage may be ahead is bounded, and
with it the memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Item = TypeVar("Item")
_END = object()


def overlaps() -> bool:
    """Whether stages may overlap here: who asked PyTorch for one thread, as workers of a batch or of a data loader do,
    gets no more."""
    return torch.get_num_threads() > 1


@contextmanager
def ahead(items: Iterable[Item], most: int) -> Iterator[Iterator[Item]]:
    """The items in order, at most `most` of them made in advance by a thread that goes through `items` alone; in the
    caller's own thread where stages do not overlap.

    An error of `items` is raised where its item would have come. At the end of `with` nothing of `items` runs any more,
    and it is closed if it is a generator: whatever it reads from may be closed then."""
    source = iter(items)
    if not overlaps():
        try:
            yield source
        finally:
            _close(source)
        return
    with ThreadPoolExecutor(1, thread_name_prefix="latcomp-stage") as pool:
        try:
            yield _made(source, pool, most)
        finally:
            pool.shutdown(cancel_futures=True)
            _close(source)


def _made(source: Iterator[Item], pool: ThreadPoolExecutor, most: int) -> Iterator[Item]:
    def make() -> Item | object:
        return next(source, _END)

    waiting: deque[Future[Item | object]] = deque(pool.submit(make) for _ in range(most))
    while True:
        item = waiting.popleft().result()
        if item is _END:
            return
        waiting.append(pool.submit(make))
        yield item  # type: ignore[misc]


def _close(source: Iterator[object]) -> None:
    if isinstance(source, Generator):
        source.close()
