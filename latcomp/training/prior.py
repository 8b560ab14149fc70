"""Training of the learned prior: bits of real tokens, selected and quantised as the encoder does, then the coding
tables by counting.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latcomp.container.coding.prior.masks import mask_facts
from latcomp.container.coding.prior.modes import modes_of
from latcomp.container.coding.prior.neighbourhood import PASSES, Neighbourhood
from latcomp.container.coding.prior.network import Facts, Prior
from latcomp.errors import UsageError
from latcomp.inpaint.config import GROUP
from latcomp.latents import FrameView, GroupView, StepScale, TokenMemory, frames_of_tokens
from latcomp.selection import PRIOR_UNITS, Selection, SelectionRecipe
from latcomp.training.feed import Batch, in_processes, on_device
from latcomp.training.finish import Outcome
from latcomp.training.latents import FrozenLatents, LatentBatches, LatentClips, crop_of
from latcomp.training.loop import Setting, Task, TrainOptions
from latcomp.training.loop import train as run_training
from latcomp.training.mask_net import MaskNet, mask_state
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.prior_net import Frames, PriorConfig, PriorNet, prior_state
from latcomp.training.prior_tables import Counts, Walked, count
from latcomp.training.recipe import Recipe
from latcomp.training.run import TrainingRun
from latcomp.training.widen import Stack, widen_all
from latcomp.training.world import WorldClip

SIDE = 24  # positions a side of a training crop
LOG_STEPS = (-2.6, 1.9)  # log2 of the step scale, drawn uniformly
EASY_BITS = 2.0  # floor of a crop's cost, in bits a position
EASY_MASK_BITS = 0.01  # the same for a crop's mask
MASK_WEIGHT = 0.02  # of the masks' part of the objective: about their share of the bits
FOLLOWS = 0.6  # share of crops that do not start a segment
LONGER = 0.3  # share of crops under a longer threshold than the quality's own, as token budgets have
TABLE_SHARES = 16  # parts of the counting that can be done side by side
PARTS = ("all", "mask")
STACKS = {
    "embed.weight": Stack(runs=2),
    **{f"leave.{number}.{kind}": Stack(runs=4) for number in range(PASSES) for kind in ("weight", "bias")},
}
"""The axes of the network that are not just the channels."""
REUSE = 4  # steps a batch of crops serves when masks alone are trained: making one takes longer than a step


@dataclass(frozen=True)
class PriorRecipe(Recipe):
    """What one training preset of a prior consists of."""

    batch: int = 4
    learning_rate: float = 2e-3
    adam_learning_rate: float = 2e-3
    ema: float = 0.998
    config: PriorConfig = PriorConfig()
    table_crops: int = 160
    """In so many it is counted what the coding tables are made of."""


PRESETS: dict[str, PriorRecipe] = {
    "default": PriorRecipe(),
    "tiny": PriorRecipe(
        config=PriorConfig(embed=16, width=32, known=16, mask_width=32, mask_hidden=8), batch=2, table_crops=8
    ),
}


@dataclass(frozen=True)
class Example:
    """A crop's group of tokens: its selection, behind that of the group before when it does not start a segment, and
    the step scale.
    """

    selections: tuple[Selection, ...]
    scale: StepScale


def make_example(latents: LatentClips, recipe: SelectionRecipe, seed: int, index: int, item: int) -> Example:
    """The example that belongs to (seed, index, item): a crop of one clip, selected as the encoder would."""
    rng = np.random.default_rng([seed, index, item])
    parts = _parts(latents.draw_followed(rng), rng)
    scale = StepScale(float(2 ** rng.uniform(*LOG_STEPS)))
    longer = float(2 ** rng.uniform(1, 6)) if rng.random() < LONGER else 1.0
    drawn = recipe.with_lambdas(lookahead=(0.0, 2.0, 4.0, 8.0)[int(rng.integers(4))])
    selector = drawn.segment(scale, recipe.threshold(scale) * longer)
    return Example(tuple(selector.next(part, view) for part, view in parts), scale)


def _parts(clip: np.ndarray | WorldClip, rng: np.random.Generator) -> list[tuple[np.ndarray, GroupView | None]]:
    """(latents (C, T, h, w), what they show, None for all) of the groups of a random crop: one that starts a segment,
    or two that follow each other."""
    if isinstance(clip, WorldClip):
        return [*clip.crop(rng, clip.run(rng, FOLLOWS), SIDE)]
    groups = 2 if rng.random() < FOLLOWS and clip.shape[1] >= 2 * GROUP else 1
    frames = groups * GROUP
    crop = crop_of(clip, rng, frames, SIDE)
    return [(np.ascontiguousarray(crop[:, start : start + GROUP]), None) for start in range(0, frames, GROUP)]


def walk(example: Example, channels: int) -> list[Walked]:
    """The latent frames of the last group, each with what was known before it."""
    memory = TokenMemory.start(example.selections[0].view.frames[0], channels)
    found = []
    for number, selection in enumerate(example.selections):
        last = number == len(example.selections) - 1
        for frame in frames_of_tokens(selection.mask, selection.view):
            memory.look(frame.view)
            symbols = selection.view.take(selection.symbols, frame.t)[:, frame.places].T
            halvings = selection.view.take(selection.halvings, frame.t)[frame.places]
            if last:
                modes = modes_of(symbols, halvings, memory, frame.places, PRIOR_UNITS)
                log_step = example.scale.log_step
                found.append(Walked(memory.copy(), frame.mask, modes, symbols, halvings, log_step))
            memory.advance(frame.places, symbols, halvings)
    return found


SMALL = {
    "kept": np.int16,
    "change": np.int32,
    "values": np.int16,
    "facts": np.uint8,
    "mask_facts": np.uint8,
    "kind": np.uint8,
}
"""Types that the whole numbers of a batch fit into on their way to the device."""


def size_of(example: Example) -> tuple[int, int]:
    """(rows, columns) that hold the box of each latent frame of an example's last group."""
    boxes = [view.box for view in example.selections[-1].view.frames]
    return max(box.rows for box in boxes), max(box.columns for box in boxes)


def frames_of(examples: list[Example], channels: int) -> Batch:
    """The examples' latent frames as one batch, the fields of `Frames` as whole numbers, zero where nothing is
    visible."""
    sizes = [size_of(example) for example in examples]
    grid = max(rows for rows, _ in sizes), max(columns for _, columns in sizes)
    parts: dict[str, list[np.ndarray]] = {name: [] for name in (*SMALL, "mask", "visible", "open", "corner")}
    for example in examples:
        for frame in walk(example, channels):
            memory, mask = frame.memory, frame.mask
            full = memory.kept[:-1].copy()
            full[mask] = frame.symbols
            mode = np.zeros(len(mask), np.uint8)
            mode[mask] = frame.modes
            around = np.append(mask, False)[Neighbourhood.of(memory.view).around]
            facts = Facts(mode, memory.halvings, memory.age, memory.just_kept, around, ~memory.seen, frame.log_step)
            before = mask_facts(memory, frame.log_step)
            for name, value in (
                ("kept", memory.kept[:-1]),
                ("change", memory.change()[:-1]),
                ("values", full),
                ("facts", facts.activations()),
                ("mask_facts", before),
            ):
                parts[name].append(_spread(value.astype(SMALL[name]).T, memory.view, grid))
            for name, flat in (
                ("mask", mask),
                ("kind", mode),
                ("visible", np.ones(len(mask), bool)),
                ("open", memory.seen),
            ):
                parts[name].append(_spread(flat[None], memory.view, grid)[0])
            box = memory.view.box
            parts["corner"].append(np.array([box.top % 2, box.left % 2], np.uint8))
    return {name: np.stack(values) for name, values in parts.items()}


def _spread(values: np.ndarray, view: FrameView, grid: tuple[int, int]) -> np.ndarray:
    """(n, rows, columns) of values (n, P) of what a latent frame shows, its box in the corner of the grid."""
    found = np.zeros((len(values), *grid), values.dtype)
    y, x = np.divmod(view.places, view.box.columns)
    found[:, y, x] = values
    return found


def batch_frames(latents: LatentClips, recipe: SelectionRecipe, seed: int, index: int, batch: int) -> Batch:
    """A batch of crops."""
    return frames_of([make_example(latents, recipe, seed, index, item) for item in range(batch)], recipe.channels)


def objective(net: PriorNet, mask_net: MaskNet, frames: Frames, part: str = "all") -> tuple[Tensor, dict[str, Tensor]]:
    """(mean logarithm of bits a position of each crop, mean bits a kept token and mean bits of a position's mask).

    part: 'mask' leaves the tokens out, in both.
    """
    past = net.past(frames)
    mask_bits = mask_net.bits(frames, past)
    shown = frames.visible.float()
    loss = MASK_WEIGHT * _log_mean(mask_bits, shown, EASY_MASK_BITS)
    figures = {"mask_bits": mask_bits.detach().sum() / frames.open.sum().clamp_min(1)}
    if part == "all":
        bits = net.bits(frames, past)
        loss = loss + _log_mean(bits, shown, EASY_BITS)
        figures["bits_per_token"] = bits.detach().sum() / frames.mask.sum().clamp_min(1)
    return loss, figures


def _log_mean(bits: Tensor, shown: Tensor, floor: float) -> Tensor:
    """Mean over crops of the logarithm of a crop's bits, (N, h, w), a position that is shown, and a floor."""
    total, count = (each.unflatten(0, (-1, GROUP)).sum((1, 2, 3)) for each in (bits, shown))
    return torch.log(total / count + floor).mean()


@torch.no_grad()
def validate(net: PriorNet, mask_net: MaskNet, batches: list[Batch], run: TrainingRun) -> dict[str, float]:
    """Objective, bits a kept token and bits of a position's mask on fixed crops of the validation clips."""
    found = []
    for batch in batches:
        with run.autocast():
            loss, figures = objective(net, mask_net, Frames.of(batch))
        found.append({name: float(value) for name, value in {"objective": loss, **figures}.items()})
    return {name: float(np.mean([figures[name] for figures in found])) for name in found[0]}


@dataclass(frozen=True)
class CropCounts:
    """Counts what the crops of some numbers hold under a prior of these arrays; can be handed to other processes."""

    arrays: dict[str, np.ndarray]
    latents: LatentClips
    recipe: SelectionRecipe

    def __call__(self, numbers: Sequence[int]) -> Counts:
        """See `latcomp.training.prior_tables`."""
        examples = (make_example(self.latents, self.recipe, 9, number, 0) for number in numbers)
        return count(Prior(self.arrays, "", "prior"), walked(examples, self.recipe.channels))


def walked(examples: Iterable[Example], channels: int) -> Iterator[Walked]:
    """The latent frames of the last groups of examples, as the counting takes them."""
    for example in examples:
        yield from walk(example, channels)


class PriorBatches(LatentBatches):
    """Makes the batches of a prior."""

    def __call__(self, step: int, late: bool) -> Batch:
        """The latent frames of a step's crops, as `frames_of` gives them."""
        return batch_frames(self.latents, self.recipe, self.seed, step, self.batch)


class PriorTask(Task[PriorRecipe]):
    """A prior for a frozen tokenizer: the network for tokens and the one for masks."""

    kind = "prior"
    presets = PRESETS

    def __init__(self, setting: Setting[PriorRecipe]) -> None:
        recipe, options, run = setting.recipe, setting.options, setting.run
        super().__init__(setting)
        if options.part not in PARTS:
            raise UsageError(f"unknown part {options.part!r}: choose from {', '.join(PARTS)}")
        if options.part != "all" and options.resume is None:
            raise UsageError(f"the part {options.part!r} is trained on top of a checkpoint: give one to resume from")
        self.frozen = frozen = FrozenLatents.of(
            options.tokenizer, options.data, run, PRIOR_UNITS, followed=True, workers=setting.workers
        )
        torch.manual_seed(options.seed)
        name = f"prior-{frozen.spec.name}"
        self.config = replace(recipe.config, name=name, channels=frozen.spec.channels, tokenizer_sha256=frozen.sha256)
        self.net = PriorNet(self.config).to(run.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.mask_net = MaskNet(self.config).to(run.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.net.requires_grad_(options.part == "all")
        if options.part == "mask":
            self.reuse = REUSE
        apart = {id(layer.weight) for layer in (*self.net.leave, *self.mask_net.leave)}
        matrices, rest = split_parameters(
            [self.net, self.mask_net] if options.part == "all" else [self.mask_net], apart
        )
        adam = torch.optim.AdamW(rest, recipe.adam_learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
        run.track({"prior": self.net, "mask": self.mask_net}, [Muon(matrices, recipe.learning_rate), adam], recipe.ema)
        self._held_out = [
            on_device(batch_frames(frozen.validation, frozen.recipe, 7, index, setting.own_recipe.batch), run.device)
            for index in range(6)
        ]

    def restore(self, source: Path) -> None:
        """As `Task.restore`. A prior of fewer channels is widened, and one without a network for masks is taken over
        too; of a finished one the whole numbers are gone on from.
        """
        run = self.setting.run
        run.load(
            source,
            lambda found: widen_all(run.modules, found, STACKS),
            anew=self.setting.options.part != "all",
            unpack=lambda arrays, _facts: {"prior": prior_state(arrays), "mask": mask_state(arrays)},
        )

    def make_batch(self) -> PriorBatches:
        """Batches of latent frames."""
        frozen = self.frozen
        return PriorBatches(frozen.training, frozen.recipe, self.setting.options.seed, self.setting.recipe.batch)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, bits a kept token and bits of a position's mask."""
        return objective(self.net, self.mask_net, Frames.of(batch), self.setting.options.part)

    def validate(self) -> dict[str, float]:
        """See `validate`."""
        run = self.setting.run
        return validate(run.averaged("prior"), run.averaged("mask"), self._held_out, run)

    def outcome(self, figures: dict[str, float]) -> Outcome:
        """The averaged networks in whole numbers, with their coding tables counted."""
        run, frozen = self.setting.run, self.frozen
        arrays = run.averaged("prior").arrays() | run.averaged("mask").arrays()
        crops = range(self.setting.own_recipe.table_crops)
        counting = CropCounts(arrays, frozen.training, frozen.recipe)
        counts = in_processes(
            counting, [crops[start::TABLE_SHARES] for start in range(TABLE_SHARES)], self.setting.workers
        )
        arrays |= sum(counts, Counts.none()).tables()
        return Outcome(self.config, arrays, figures, len(frozen.training), len(frozen.validation))


def train(data: Path, out: Path, **options: Any) -> Path:
    """Train a prior for a tokenizer on the clips of `data` and write config, weights and model card to `out`; returns
    `out`.

    options: see `latcomp.training.loop.TrainOptions`. With part 'mask' only what masks are coded by is trained, on top
    of the averaged weights of the checkpoint `resume`; a checkpoint without that part is taken over too. Raises
    `UsageError` for a folder without clips, an unknown preset, part or tokenizer, a part without a checkpoint, or a
    budget of zero."""
    return run_training(PriorTask, TrainOptions(data, out, **options))
