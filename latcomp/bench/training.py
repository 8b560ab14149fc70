"""What a training does in a second: steps, examples, and how much of the time it stands still for data."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from latcomp.errors import UsageError
from latcomp.training.feed import Feed, Supply
from latcomp.training.finish import machine
from latcomp.training.loop import Task, TrainOptions, start, supply_for

KINDS = ("tokenizer", "decoder", "lit", "prior")
DATA_SECONDS = 10.0  # that the data path is watched alone
WARM_UP = 2  # steps that do not count


def measure(kind: str, options: TrainOptions, steps: int, watch: Callable[[str], None] | None = None) -> dict[str, Any]:
    """Figures of one kind of training: `{kind, preset, device, batch, workers, steps, step_seconds, steps_per_second,
    examples_per_second, waiting_share, data_examples_per_second, peak_device_bytes}`.

    options: `out` is not written to. data_examples_per_second: what the data path delivers with nothing else to do;
    waiting_share: of the steps' time, spent standing still for batches; peak_device_bytes is None on a CPU.
    Raises `UsageError` for an unknown kind, and what `latcomp.training.loop.start` raises.
    """
    if kind not in KINDS:
        raise UsageError(f"unknown kind {kind!r}: choose from {', '.join(KINDS)}")
    task_class: type[Task[Any]] = getattr(import_module(f"latcomp.training.{kind}"), f"{kind.title()}Task")
    with tempfile.TemporaryDirectory(prefix="latcomp-bench-") as folder:
        if watch:
            watch(f"{kind}: clips and latents")
        task = start(task_class, replace(options, out=Path(folder), minutes=None, steps=WARM_UP + steps))
    run, recipe = task.setting.run, task.setting.recipe
    supply = supply_for(task)
    if watch:
        watch(f"{kind}: data alone")
    alone = _data_alone(task, supply, recipe.batch)
    if watch:
        watch(f"{kind}: {steps} steps")
    cuda = run.device.type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(run.device)
    with Feed(task.make_batch(), run.device, supply, options.seed, run.step, lambda here: False) as feed:
        began = waited = 0.0
        for here in range(WARM_UP + steps):
            if here == WARM_UP:
                _finish_queued(run.device)
                began, waited = time.perf_counter(), feed.waited_seconds
            batch = feed.take(here)
            with run.autocast():
                loss, _ = task.loss(batch, run.step)
            run.update(loss, 1e-3)
        _finish_queued(run.device)
        seconds, waited = time.perf_counter() - began, feed.waited_seconds - waited
    return {
        "kind": kind,
        "preset": options.preset,
        "device": machine(run.device),
        "batch": recipe.batch,
        "workers": supply.workers,
        "compiled": options.compile,
        "steps": steps,
        "step_seconds": seconds / steps,
        "steps_per_second": steps / seconds,
        "examples_per_second": steps * recipe.batch / seconds,
        "waiting_share": waited / seconds,
        "data_examples_per_second": alone,
        "peak_device_bytes": torch.cuda.max_memory_allocated(run.device) if cuda else None,
    }


def _data_alone(task: Task[Any], supply: Supply, batch: int) -> float:
    """Examples per second that batches are made of and brought to the device."""
    device = task.setting.run.device
    with Feed(
        task.make_batch(),
        device,
        replace(supply, waits=True, reuse=1),
        task.setting.options.seed,
        0,
        lambda here: False,
    ) as feed:
        feed.take(0)  # workers have started now
        began, count = time.perf_counter(), 0
        while count < 2 or time.perf_counter() - began < DATA_SECONDS:
            count += 1
            feed.take(count)
        _finish_queued(device)
        return count * batch / (time.perf_counter() - began)


def _finish_queued(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
