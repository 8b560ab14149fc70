"""Training of the LIT on a frozen tokenizer's latents, with masks from the real selection."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latcomp.inpaint.model import CONTEXT, EXTRA, GROUP, Lit, LitConfig, lit_macs_per_token
from latcomp.latents import GroupView, StepScale
from latcomp.selection import SelectionRecipe, select_group
from latcomp.training.crops import FOLLOWED
from latcomp.training.feed import Batch, on_device
from latcomp.training.finish import Outcome, half_weights
from latcomp.training.latents import FrozenLatents, LatentBatches, LatentClips, crop_of
from latcomp.training.loop import Setting, Task, TrainOptions
from latcomp.training.loop import train as run_training
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.recipe import Recipe
from latcomp.training.run import TrainingRun
from latcomp.training.widen import Stack, widen_all

SIDE = 28  # positions a side of a training crop: with the border of shifted windows, four windows
MOST_POSITIONS = 2 * SIDE * SIDE  # of a window that a moving camera's crop may have; wider ones are not learned from
LOG_STEPS = (-1.5, 1.5)  # log2 of the step scale, drawn uniformly
KEEP = (0.08, 0.8)  # keep ratio of a crop, which its threshold is chosen for
VALIDATION_KEEP = (0.15, 0.3, 0.5)


@dataclass(frozen=True)
class LitRecipe(Recipe):
    """What one training preset of a LIT consists of."""

    batch: int = 3
    learning_rate: float = 2e-3
    adam_learning_rate: float = 1e-3
    ema: float = 0.998
    config: LitConfig = LitConfig()


PRESETS: dict[str, LitRecipe] = {
    "default": LitRecipe(),
    "tiny": LitRecipe(config=LitConfig(width=32, layers=1, heads=2, expansion=2), batch=2),
}


def threshold_for(
    latents: np.ndarray, keep: float, recipe: SelectionRecipe, scale: StepScale, view: GroupView | None = None
) -> float:
    """A threshold at which the real selection keeps about the share `keep` of a crop, from five replays. view: what it
    shows, None for all."""
    shown = latents[0].size if view is None else view.count
    low, high, quantiser = 0.0, 4.0 * scale.value + 1.0, recipe.quantiser(scale)
    for _ in range(5):
        middle = (low * high) ** 0.5 if low > 0 else high / 4
        selection, _ = select_group(latents, None, middle, recipe.rule, quantiser, view=view)
        if np.count_nonzero(selection.mask) > keep * shown:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@dataclass(frozen=True)
class Example:
    """One training example: latents as the encoder knows them, and what the reader would have."""

    target: np.ndarray  # (C, T, h, w) dequantised everywhere: what a kept token would have been
    held: np.ndarray  # (C, T, h, w)
    mask: np.ndarray  # (T, h, w)
    age: np.ndarray  # (T, h, w)
    step_scale: float
    context: np.ndarray  # (C, CONTEXT, h, w)
    has_context: bool
    visible: np.ndarray  # bool (T, h, w)
    context_visible: np.ndarray  # bool (CONTEXT, h, w)


def make_example(
    latents: LatentClips,
    recipe: SelectionRecipe,
    seed: int,
    index: int,
    item: int,
    follows: bool,
    keep: float | None = None,
) -> Example:
    """The example that belongs to (seed, index, item): a crop of one clip, selected as the encoder would.

    follows: whether it comes after a group whose last latent frames serve as C_fill (where the clip is long enough), or
    starts a segment. In C_fill, dropped positions hold a random blend of hold and truth, since what a LIT filled
    earlier lies between the two."""
    rng = np.random.default_rng([seed, index, item])
    crop, view, follows = _crop(latents, rng, follows)
    frames = crop.shape[1]
    scale = StepScale(float(2 ** rng.uniform(*LOG_STEPS)))
    share = float(np.exp(rng.uniform(*np.log(KEEP)))) if keep is None else keep
    selector = recipe.segment(scale, threshold_for(crop, share, recipe, scale, view))
    selections = [
        selector.next(
            np.ascontiguousarray(crop[:, start : start + GROUP]),
            GroupView(view.frames[start : start + GROUP], view.window),
        )
        for start in range(0, frames, GROUP)
    ]
    symbols, held = (np.concatenate([getattr(one, name) for one in selections], axis=1) for name in ("symbols", "held"))
    mask, age = (np.concatenate([getattr(one, name) for one in selections]) for name in ("mask", "age"))
    values = recipe.quantiser(scale).dequantise(symbols)
    now = slice(frames - GROUP, frames)
    before = slice(frames - GROUP - CONTEXT, frames - GROUP)
    blend = rng.uniform(0.2, 1.0)
    context = np.zeros((crop.shape[0], CONTEXT, *crop.shape[2:]), np.float32)
    seen = np.zeros(context.shape[1:], bool)
    if follows:
        blended = blend * held[:, before] + (1 - blend) * crop[:, before]
        seen = view.visible[before]
        context = np.where(mask[before], values[:, before], blended) * seen
    return Example(
        crop[:, now],
        held[:, now],
        mask[now],
        age[now].astype(np.float32),
        scale.value,
        context.astype(np.float32),
        follows,
        view.visible[now],
        seen,
    )


def _crop(latents: LatentClips, rng: np.random.Generator, follows: bool) -> tuple[np.ndarray, GroupView, bool]:
    """(latents (C, T, h, w) float32 of one or two groups, what they show, whether there are two) of a random crop."""
    number = latents.draw(rng)
    clip, world = latents[number], latents.worlds.get(number)
    if world is not None and rng.random() < FOLLOWED:
        groups = world.run(rng, float(follows))
        parts = world.crop(rng, groups, SIDE)
        view = GroupView.over(tuple(frame for _, part in parts for frame in part.frames))
        if view.window.area <= MOST_POSITIONS:
            crop = np.zeros((len(clip), *view.shape), np.float32)
            for start, (values, part) in zip(range(0, len(view.frames), GROUP), parts, strict=True):
                rows, columns = part.window.inside(view.window)
                crop[:, start : start + GROUP, rows, columns] = values
            return crop, view, len(groups) == 2
    follows = follows and clip.shape[1] >= 2 * GROUP
    crop = crop_of(clip, rng, 2 * GROUP if follows else GROUP, SIDE)
    return crop, GroupView.whole(crop.shape[1], crop.shape[2:]), follows


def stacked(examples: list[Example]) -> Batch:
    """Examples that all have C_fill, or all have none, as arrays with a batch axis; `context` is None without
    C_fill.
    """
    names = ("held", "mask", "age", "target", "visible")
    found: Batch = {name: np.stack([getattr(e, name) for e in examples]) for name in names}
    found["step_scale"] = np.array([e.step_scale for e in examples], np.float32)
    for name in ("context", "context_visible"):
        found[name] = np.stack([getattr(e, name) for e in examples]) if examples[0].has_context else None
    return found


def run_lit(lit: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Squared latent error at dropped positions of LIT and of hold, each (B,), means over channels and dropped
    positions.
    """
    held, mask, target = batch["held"], batch["mask"], batch["target"]
    visible, before = batch["visible"], batch["context_visible"]
    filled = lit(held, mask, batch["age"], batch["step_scale"], batch["context"], visible, context_visible=before)
    dropped = (~mask & visible).unsqueeze(1).float()
    count = dropped.sum((1, 2, 3, 4)).clamp_min(1) * held.shape[1]
    error = ((filled - target).square() * dropped).sum((1, 2, 3, 4)) / count
    return error, ((held - target).square() * dropped).sum((1, 2, 3, 4)) / count


def objective(error: Tensor, hold: Tensor) -> Tensor:
    """Mean logarithm of LIT's error over hold's: every crop counts the same, whatever moves in it."""
    floor = 0.02
    return torch.log((error + floor) / (hold + floor)).mean()


def batch_examples(
    latents: LatentClips, recipe: SelectionRecipe, seed: int, index: int, batch: int, keep: float | None = None
) -> list[Example]:
    """`batch` examples that all have C_fill or all have none, at a size that all share."""
    long_enough = any(clip.shape[1] >= 2 * GROUP for clip in latents)
    wanted = bool(np.random.default_rng([seed, index]).random() < 0.5) and long_enough
    found: list[Example] = []
    item = 0
    while len(found) < batch:
        example = make_example(latents, recipe, seed, index, item, wanted, keep)
        item += 1
        if example.has_context == wanted or item > 20 * batch:
            found.append(example)
    size = max(e.mask.shape[1] for e in found), max(e.mask.shape[2] for e in found)
    context = all(e.has_context for e in found)
    return [replace(_padded(e, size), has_context=context) for e in found]


def _padded(example: Example, size: tuple[int, int]) -> Example:
    """The example over a larger window, nothing of which is visible that was not before."""
    rows, columns = size[0] - example.mask.shape[1], size[1] - example.mask.shape[2]
    if not rows and not columns:
        return example
    names = ("target", "held", "mask", "age", "context", "visible", "context_visible")
    wider: dict[str, Any] = {}
    for name in names:
        array = getattr(example, name)
        wider[name] = np.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, rows), (0, columns)])
    return replace(example, **wider)


def held_out_batches(
    latents: LatentClips, recipe: SelectionRecipe, batch: int, device: torch.device
) -> dict[float, list[Batch]]:
    """Fixed batches of the validation clips by the share of tokens they keep, on the device."""
    return {
        keep: [on_device(stacked(batch_examples(latents, recipe, 7, index, batch, keep)), device) for index in range(8)]
        for keep in VALIDATION_KEEP
    }


@torch.no_grad()
def validate(lit: nn.Module, batches: dict[float, list[Batch]], run: TrainingRun) -> dict[str, float]:
    """Objective and gain over hold (dB, mean over crops) on validation clips at three keep ratios."""
    result: dict[str, float] = {}
    total = []
    for keep, some in batches.items():
        gains = []
        for batch in some:
            with run.autocast():
                error, hold = run_lit(lit, batch)
            gains += (10 * torch.log10((hold + 1e-6) / (error + 1e-6))).tolist()
            total.append(objective(error, hold).item())
        result[f"gain_db@{keep:g}"] = sum(gains) / len(gains)
    return {"objective": sum(total) / len(total)} | result


class LitBatches(LatentBatches):
    """Makes the batches of a LIT."""

    def __call__(self, step: int, late: bool) -> Batch:
        """The examples of a step, stacked."""
        return stacked(batch_examples(self.latents, self.recipe, self.seed, step, self.batch))


class LitTask(Task[LitRecipe]):
    """A LIT for a frozen tokenizer."""

    kind = "lit"
    presets = PRESETS

    def __init__(self, setting: Setting[LitRecipe]) -> None:
        recipe, options, run = setting.recipe, setting.options, setting.run
        super().__init__(setting)
        self.frozen = frozen = FrozenLatents.of(
            options.tokenizer, options.data, run, followed=True, workers=setting.workers
        )
        torch.manual_seed(options.seed)
        self.config = replace(
            recipe.config,
            name=f"lit-{frozen.spec.name}",
            channels=frozen.spec.channels,
            tokenizer_sha256=frozen.sha256,
            latent_scale=tuple(round(float(v), 5) for v in latent_scale(frozen.training)),
        )
        self.lit = Lit(self.config).to(run.device)
        matrices, rest = split_parameters([self.lit], {id(p) for p in (self.lit.leave.weight, self.lit.enter.weight)})
        adam = torch.optim.AdamW(rest, recipe.adam_learning_rate, betas=(0.9, 0.98), weight_decay=0.0)
        run.track({"lit": self.lit}, [Muon(matrices, recipe.learning_rate), adam], recipe.ema)
        self._held_out: dict[float, list[Batch]] = {}

    def restore(self, source: Path) -> None:
        """As `Task.restore`; a LIT of fewer channels is widened."""
        run = self.setting.run
        run.load(source, lambda found: widen_all(run.modules, found, {"enter.weight": Stack(runs=2, tail=EXTRA)}))

    def make_batch(self) -> LitBatches:
        """Batches of examples."""
        frozen = self.frozen
        return LitBatches(frozen.training, frozen.recipe, self.setting.options.seed, self.setting.recipe.batch)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, the gain over hold (dB) and the share of tokens kept."""
        error, hold = run_lit(self.lit, batch)
        gain = (10 * torch.log10((hold + 1e-6) / (error.detach() + 1e-6))).mean()
        return objective(error, hold), {"gain_db": gain, "keep": batch["mask"].float().mean()}

    def validate(self) -> dict[str, float]:
        """See `validate`."""
        if not self._held_out:
            frozen, batch = self.frozen, self.setting.own_recipe.batch
            self._held_out = held_out_batches(frozen.validation, frozen.recipe, batch, self.setting.device)
        return validate(self.setting.run.averaged("lit"), self._held_out, self.setting.run)

    def outcome(self, figures: dict[str, float]) -> Outcome:
        """The averaged LIT."""
        macs = lit_macs_per_token(self.config) / self.frozen.spec.pixels_per_token
        figures = figures | {"kmac_per_pixel": macs / 1000}
        weights = half_weights(self.setting.run.averaged("lit"))
        return Outcome(self.config, weights, figures, len(self.frozen.training), len(self.frozen.validation))


def train(data: Path, out: Path, **options: Any) -> Path:
    """Train a LIT for a tokenizer on the clips of `data` and write config, weights and model card to `out`; returns
    `out`.

    options: see `latcomp.training.loop.TrainOptions`. Raises `UsageError` for a folder without clips, an unknown preset
    or tokenizer, or a budget of zero."""
    return run_training(LitTask, TrainOptions(data, out, **options))


def latent_scale(latents: Sequence[np.ndarray]) -> np.ndarray:
    """(C,) root mean square of each channel over a sample of the clips, at least 1/4 step."""
    sample = [np.square(clip[:, ::4, ::3, ::3], dtype=np.float32).mean((1, 2, 3)) for clip in latents[::4]]
    found: np.ndarray = np.maximum(np.sqrt(np.mean(sample, axis=0)), 0.25)
    return found
