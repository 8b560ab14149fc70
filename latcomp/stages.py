"""Where the time of an encoding or decoding goes: named stages in the code, and a clock that adds up their seconds
while it runs.

`with stage("tokenizer"):` stands where the work is done. Nobody measures in the usual run, and then it costs less than
a microsecond."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

if TYPE_CHECKING:
    import torch

Stage = Literal["reading", "camera", "tokenizer", "selection", "lit", "token_coding", "writing"]
"""reading: demuxing and decoding video, or the bytes of a .lat file; camera: motion from pixels; tokenizer: its encoder
or decoder, with the way of the pixels to the device and back; selection: scene cuts, steps, keep masks, symbols; lit:
filling dropped positions, by the LIT or by hold; token_coding: keep masks and tokens to bytes and back, and rounding by
cost; writing: the bytes of a .lat file, or conversion and encoder of the output video."""
STAGES: tuple[Stage, ...] = get_args(Stage)
_ON_DEVICE = ("tokenizer", "lit")  # what these start on a GPU may still run when they end

Item = TypeVar("Item")
_nothing = nullcontext()
_clock: StageClock | None = None


def stage(name: Stage) -> AbstractContextManager[None]:
    """What counts the seconds inside `with` as this stage's, when a clock runs; those of a stage inside are the inner
    one's alone.

    Not to be held over a `yield`: what the consumer does until it asks for more is not the stage's, see `staged`.
    """
    return _nothing if _clock is None else _Timed(_clock, name)


def staged(name: Stage, items: Iterable[Item]) -> Iterator[Item]:
    """The items, their making counted as a stage."""
    source = iter(items)
    while True:
        with stage(name):
            try:
                item = next(source)
            except StopIteration:
                return
        yield item


class StageClock:
    """Adds up the seconds of each stage, those of all threads, while it is entered; a context manager.

    Where stages overlap in several threads, their sum is more than the time that went by.
    """

    def __init__(self, device: torch.device | None = None) -> None:
        """device: a GPU, which is waited for where a stage that works on it begins and ends, so that its time falls to
        the right one.
        """
        self.seconds: dict[Stage, float] = {}
        """By stage, in the order of `STAGES`; those that took no time are not there."""
        self._device = device if device is not None and device.type == "cuda" else None
        self._lock = threading.Lock()
        self._local = threading.local()
        self._before: StageClock | None = None

    def __enter__(self) -> StageClock:
        global _clock
        self._before, _clock = _clock, self
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _clock
        _clock = self._before
        self.seconds = {name: self.seconds[name] for name in STAGES if name in self.seconds}

    def open_stages(self) -> list[_Timed]:
        """The stages that this thread is in, the outermost first."""
        found: list[_Timed] | None = getattr(self._local, "stages", None)
        if found is None:
            found = self._local.stages = []
        return found

    def add(self, name: Stage, seconds: float) -> None:
        """Count some more seconds as a stage's."""
        with self._lock:
            self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    def wait_for_device(self, name: Stage) -> None:
        """Wait until the GPU is done, where this stage works on it."""
        if self._device is not None and name in _ON_DEVICE:
            import torch

            torch.cuda.synchronize(self._device)


class _Timed:
    """One passage through a stage."""

    __slots__ = ("_began", "_clock", "_inner", "_name")

    def __init__(self, clock: StageClock, name: Stage) -> None:
        self._clock, self._name = clock, name
        self._began = self._inner = 0.0

    def __enter__(self) -> None:
        self._clock.wait_for_device(self._name)
        self._clock.open_stages().append(self)
        self._began = time.perf_counter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self._clock.wait_for_device(self._name)
        took = time.perf_counter() - self._began
        around = self._clock.open_stages()
        around.pop()
        if around:
            around[-1]._inner += took
        self._clock.add(self._name, took - self._inner)
