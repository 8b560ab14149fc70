"""Convolutions whose fp32 results on a CPU do not depend on how many threads there are, nor on what else is in the
batch.

Libraries for convolutions choose the order of their sums by the number of threads, which moves latents by a few 1e-5
and flips a token now and then. Here every sample and every half of the output channels is a call of one thread; several
of them run at once."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PARTS = 2  # of the output channels: work for two threads even where pictures are so large that they come one by one


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    """Threads that each compute on their own; as many as PyTorch uses when first asked."""
    count = torch.get_num_threads()
    started = threading.Barrier(count + 1)

    def begin() -> None:
        # a thread takes the common number over when it is first asked; only then does its own one last
        torch.get_num_threads()
        torch.set_num_threads(1)
        started.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="latcomp-convolution")
    try:
        for _ in range(count):
            pool.submit(begin)
        started.wait()
    except BaseException:  # Ctrl-C: threads that went on waiting would keep the process from ending
        started.abort()
        raise
    torch.set_num_threads(count)  # what `begin` said was also for threads that start later
    return pool


def _forget_threads() -> None:
    """In a child that was forked off: it has the pool, and OpenMP's, but none of their threads, and would wait for them
    for ever.
    """
    if _pool.cache_info().currsize:
        _pool.cache_clear()
        torch.set_num_threads(1)


os.register_at_fork(after_in_child=_forget_threads)


Finish = Callable[[Tensor, int, slice], None]
"""Called with what a convolution made of a sample, (1, some channels, h, w), the sample's number and the channels."""


def applies(x: Tensor) -> bool:
    """Whether convolutions of `x` are exact in the module's sense here: fp32 on a CPU, without gradients."""
    if x.device.type != "cpu" or x.dtype != torch.float32:
        return False
    return not (torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"))


def empty(x: Tensor, channels: int, dtype: torch.dtype | None = None) -> Tensor:
    """(N, channels, h, w) without values in channels-last memory, for `x` (N, C, h, w)."""
    shape = (x.shape[0], channels, *x.shape[2:])
    return torch.empty(shape, dtype=dtype or x.dtype, device=x.device, memory_format=torch.channels_last)


class Conv2d(nn.Conv2d):
    """A convolution that is exact in the module's sense where that applies, and PyTorch's own elsewhere."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, out, h, w) of (N, in, h, w)."""
        if not applies(x):
            return super().forward(x)
        found = empty(x, self.out_channels)
        self.into(found, x)
        return found

    def into(self, out: Tensor, x: Tensor) -> None:
        """Write the result for `x` (N, in, h, w), for which `applies` must hold, into `out` (N, out, h, w)."""

        def copy(made: Tensor, sample: int, channels: slice) -> None:
            out[sample : sample + 1, channels] = made

        self.each(x, copy)

    def each(self, x: Tensor, finish: Finish) -> None:
        """Hand out the results for `x` (N, in, h, w), for which `applies` must hold, in parts: each to `finish` in the
        thread that made it, while it is in the processor's cache. All are finished at the end."""
        pool, inference = _pool(), torch.is_inference_mode_enabled()
        size = -(-self.out_channels // PARTS)

        def part(sample: int, start: int) -> None:
            channels = slice(start, start + size)
            with torch.inference_mode(inference), torch.no_grad():
                bias = None if self.bias is None else self.bias[channels]
                one, weight = x[sample : sample + 1], self.weight[channels]
                made = F.conv2d(one, weight, bias, self.stride, self.padding, self.dilation, self.groups)
                finish(made, sample, channels)

        places = [(sample, start) for sample in range(x.shape[0]) for start in range(0, self.out_channels, size)]
        for task in [pool.submit(part, *place) for place in places]:
            task.result()
