"""The one training loop: what a kind of model adds to it is its task."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from latcomp.devices import memory_errors, pick_device
from latcomp.errors import UsageError
from latcomp.training.feed import Batch, Feed, MakeBatch, Supply
from latcomp.training.finish import Outcome, write_model
from latcomp.training.recipe import Recipe, find_recipe, save_recipe
from latcomp.training.run import TrainingRun
from latcomp.training.schedule import Schedule

PROCESSORS_A_FACTOR = 16  # multiprocessors of a GPU that a batch of a recipe's own size keeps busy
BYTES_A_FACTOR = 2**31  # of device memory that it takes, clips aside


@dataclass(frozen=True)
class TrainOptions:
    """How to run a training. Raises `UsageError` for values out of range."""

    data: Path
    """Folder of clips."""
    out: Path
    """Folder the model is written to; checkpoints and log go there as well."""
    minutes: float | None = None
    steps: int | None = None
    """Budget: minutes by the clock, or steps. One of the two."""
    resume: Path | None = None
    """Checkpoint, its folder, or a finished model to go on from."""
    device: str = "auto"
    preset: str = "default"
    """Name of a recipe, or a TOML file with one."""
    seed: int = 0
    batch_factor: int | None = None
    """Batches are so many times those of the recipe; None chooses by the device: 1 on a CPU."""
    workers: int | None = None
    """Processes that make examples; None is one for each core but one on a GPU, and on a CPU none: one thread does
    it.
    """
    compile: bool = False
    """Compile the networks by `torch.compile`."""
    checkpoint_piece_mib: float | None = None
    """Write checkpoints in pieces of at most so many MiB."""
    tokenizer: str | Path | None = None
    """The frozen tokenizer that a decoder, LIT or prior is trained for; None is the shipped one."""
    part: str = "all"
    """Of a prior: 'all', or 'mask' to train only what masks are coded by, on top of a checkpoint."""

    def __post_init__(self) -> None:
        if self.batch_factor is not None and self.batch_factor < 1:
            raise UsageError("batch_factor must be 1 or more")
        if self.workers is not None and self.workers < 0:
            raise UsageError("workers must be 0 or more")
        if self.checkpoint_piece_mib is not None and not self.checkpoint_piece_mib > 0:
            raise UsageError("checkpoint_piece_mib must be above 0")


R = TypeVar("R", bound=Recipe)


@dataclass(frozen=True)
class Setting(Generic[R]):
    """What a task is made for: the options, the recipe at the batch size of this run, and the run."""

    options: TrainOptions
    recipe: R
    own_recipe: R
    """The recipe at its own batch size, by which validation goes."""
    run: TrainingRun

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return self.run.device

    @property
    def workers(self) -> int:
        """Processes that make examples."""
        if self.options.workers is not None:
            return self.options.workers
        return max(1, (os.cpu_count() or 1) - 1) if self.device.type == "cuda" else 0


class Task(ABC, Generic[R]):
    """One kind of model to train. Made with a `Setting`, it has its data and networks ready and has called `run.track`;
    the loop does the rest."""

    kind: ClassVar[str]
    presets: ClassVar[Mapping[str, Any]]
    inline: bool = False
    """Whether batches are made by the device itself, for nothing."""
    reuse: int = 1
    """Steps that each batch serves."""

    def __init__(self, setting: Setting[R]) -> None:
        self.setting = setting

    @abstractmethod
    def make_batch(self) -> MakeBatch:
        """What makes a batch on the host; unless `inline`, it must bear being pickled."""

    def restore(self, source: Path) -> None:
        """Go on from a checkpoint or a finished model. Raises `UsageError` where there is none that fits."""
        self.setting.run.load(source)

    def networks(self) -> Iterable[nn.Module]:
        """The networks that a step calls, for `torch.compile`."""
        return self.setting.run.modules.values()

    @abstractmethod
    def loss(self, batch: Batch, step: int) -> tuple[Tensor, Mapping[str, Tensor | float]]:
        """(loss to go down on, figures for the log) of a batch on the device; step: of all runs together."""

    @abstractmethod
    def validate(self) -> dict[str, float]:
        """Figures of the averaged weights on clips that are never trained on."""

    @abstractmethod
    def outcome(self, figures: dict[str, float]) -> Outcome:
        """The finished model; may add to the figures of its last validation."""


def batch_factor_for(device: torch.device) -> int:
    """The batch factor that fills a device: 1 for a CPU."""
    if device.type != "cuda":
        return 1
    found = torch.cuda.get_device_properties(device)
    return int(max(1, min(found.multi_processor_count // PROCESSORS_A_FACTOR, found.total_memory // BYTES_A_FACTOR)))


def supply_for(task: Task[Any]) -> Supply:
    """How the batches of a training are made."""
    setting = task.setting
    return Supply(0 if task.inline else setting.workers, task.inline, task.reuse, waits=setting.device.type != "cuda")


def start(task_class: type[Task[R]], options: TrainOptions) -> Task[R]:
    """The task with its data, networks and checkpoint, ready to be trained.

    Raises `UsageError` for a folder without clips, an unknown preset, a checkpoint that does not fit or a budget of
    zero, `DeviceError` for a device that is not there."""
    Schedule(options.minutes, options.steps)  # a budget of zero is refused before clips are decoded
    own: R = find_recipe(task_class.presets, options.preset, task_class.kind)
    device = pick_device(options.device)
    factor = options.batch_factor or batch_factor_for(device)
    pieces = None if options.checkpoint_piece_mib is None else max(1, int(options.checkpoint_piece_mib * 2**20))
    run = TrainingRun.start(task_class.kind, options.out, device, pieces)
    task = task_class(Setting(options, own.grown(factor), own, run))
    save_recipe(
        options.out / "recipe.toml",
        own,
        kind=task.kind,
        preset=Path(options.preset).stem,
        seed=options.seed,
        batch_factor=factor,
    )
    if options.resume is not None:
        task.restore(options.resume)
    for module in task.networks() if options.compile else ():
        module.compile()
    return task


def train(task_class: type[Task[R]], options: TrainOptions) -> Path:
    """Train a model and write config, weights, recipe, log and model card to `options.out`; returns that folder. Raises
    as `start`.

    An interrupt leaves a checkpoint to go on from.
    """
    with memory_errors(pick_device(options.device)):
        task = start(task_class, options)
        run = task.setting.run
        schedule = Schedule(options.minutes, options.steps)
        supply = supply_for(task)
        with Feed(task.make_batch(), run.device, supply, options.seed, run.step, schedule.decaying) as feed:
            run.begin()
            try:
                while schedule.progress(run.step - run.first_step) < 1:
                    here = run.step - run.first_step
                    batch = feed.take(here)
                    with run.autocast():
                        loss, figures = task.loss(batch, run.step)
                    run.update(loss, schedule.factor(here))
                    run.report(schedule, {"loss": loss, **figures}, feed.waited_seconds, task.validate)
            except KeyboardInterrupt:
                run.save_state(schedule)
                raise
        figures = task.validate()
        run.save_state(schedule)
        outcome = task.outcome(figures)
        run.log("final", schedule, outcome.figures)
        return write_model(options, run, Path(options.preset).stem, run.minutes(schedule), outcome)
