"""Training of the LIT on a frozen tokenizer's latents, with masks from the real selection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latcomp.inpaint.config import EXTRA, LitConfig, lit_macs_per_token
from latcomp.inpaint.model import Lit
from latcomp.models import load_tokenizer
from latcomp.selection import SelectionRecipe
from latcomp.training.feed import Batch, on_device
from latcomp.training.finish import Outcome, half_weights
from latcomp.training.latents import FrozenLatents, LatentBatches, LatentClips
from latcomp.training.lit_examples import SIDE, Drawn, batch_examples, stacked
from latcomp.training.lit_pixels import PixelErrors
from latcomp.training.loop import Setting, Task, TrainOptions
from latcomp.training.loop import train as run_training
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.recipe import Recipe
from latcomp.training.run import TrainingRun, Weights
from latcomp.training.widen import Stack, widen_all

VALIDATION_KEEP = (0.15, 0.3, 0.5)
HELD_OUT = 8  # batches that each figure of a validation comes from


@dataclass(frozen=True)
class LitRecipe(Recipe):
    """What one training preset of a LIT consists of."""

    batch: int = 3
    learning_rate: float = 2e-3
    adam_learning_rate: float = 1e-3
    ema: float = 0.998
    side: int = SIDE
    """Positions a side of a crop."""
    weighed: float = 0.0
    """Share of the examples whose tokens are kept by what they save and cost, as by default; the others have thresholds
    for keep ratios of all sizes."""
    pixels: float = 0.0
    """Share of the objective that is the error of pixels, through the frozen decoder; the rest is that of latents."""
    config: LitConfig = LitConfig()


GATE = frozenset({"gate.weight", "gate.bias"})  # tensors of a gate
PRESETS: dict[str, LitRecipe] = {
    "default": LitRecipe(),
    "gated": LitRecipe(
        learning_rate=4e-4,
        adam_learning_rate=4e-4,
        ema=0.99,
        side=16,
        weighed=0.7,
        pixels=0.8,
        config=LitConfig(gated=True, told_halvings=True),
    ),
    "tiny": LitRecipe(config=LitConfig(width=32, layers=1, heads=2, expansion=2), batch=2),
}


def filled_by(lit: nn.Module, batch: Batch) -> Tensor:
    """The latents (B, C, T, h, w) of a batch as a LIT fills them."""
    known = (batch[name] for name in ("held", "mask", "age", "step_scale", "context", "visible"))
    found: Tensor = lit(*known, context_visible=batch["context_visible"], halvings=batch["halvings"])
    return found


def run_lit(lit: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Squared latent error at dropped positions of LIT and of hold, each (B,), means over channels and dropped
    positions.
    """
    return latent_errors(filled_by(lit, batch), batch)


def latent_errors(filled: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """The same of latents (B, C, T, h, w) that are filled already."""
    held, mask, target, visible = batch["held"], batch["mask"], batch["target"], batch["visible"]
    dropped = (~mask & visible).unsqueeze(1).float()
    count = dropped.sum((1, 2, 3, 4)).clamp_min(1) * held.shape[1]
    error = ((filled - target).square() * dropped).sum((1, 2, 3, 4)) / count
    return error, ((held - target).square() * dropped).sum((1, 2, 3, 4)) / count


def objective(error: Tensor, hold: Tensor) -> Tensor:
    """Mean logarithm of LIT's error over hold's: every crop counts the same, whatever moves in it."""
    floor = 0.02
    return torch.log((error + floor) / (hold + floor)).mean()


def held_out_batches(
    latents: LatentClips, recipe: SelectionRecipe, batch: int, device: torch.device
) -> dict[float, list[Batch]]:
    """Fixed batches of the validation clips by the share of tokens they keep, on the device."""
    return {keep: _held_out(latents, recipe, batch, Drawn(keep=keep), device) for keep in VALIDATION_KEEP}


def _held_out(
    latents: LatentClips, recipe: SelectionRecipe, batch: int, drawn: Drawn, device: torch.device
) -> list[Batch]:
    made = (batch_examples(latents, recipe, 7, index, batch, drawn) for index in range(HELD_OUT))
    return [on_device(stacked(examples), device) for examples in made]


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


@dataclass(frozen=True)
class LitBatches(LatentBatches):
    """Makes the batches of a LIT."""

    drawn: Drawn = Drawn()

    def __call__(self, step: int, late: bool) -> Batch:
        """The examples of a step, stacked."""
        return stacked(batch_examples(self.latents, self.recipe, self.seed, step, self.batch, self.drawn))


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
        self.pixel_errors = None if not recipe.pixels else PixelErrors(load_tokenizer(frozen.folder).to(run.device))
        self._held_out: dict[float, list[Batch]] = {}
        self._weighed: list[Batch] = []

    def restore(self, source: Path) -> None:
        """As `Task.restore`; a LIT of fewer channels is widened, one without a gate gets an open one, one that was not
        told of halvings does not heed them yet."""
        run = self.setting.run
        own = self.lit.state_dict()
        extra = EXTRA + self.config.told_halvings

        def completed(weights: dict[str, Tensor], _facts: Mapping[str, Any]) -> Weights:
            told = with_column_of_halvings(weights) if self.config.told_halvings else weights
            return {"lit": {name: own[name] for name in own.keys() & GATE} | told}

        run.load(
            source,
            lambda found: widen_all(run.modules, found, {"enter.weight": Stack(runs=2, tail=extra)}),
            unpack=completed,
        )

    def make_batch(self) -> LitBatches:
        """Batches of examples."""
        frozen = self.frozen
        recipe = self.setting.recipe
        drawn = Drawn(recipe.side, recipe.weighed)
        return LitBatches(frozen.training, frozen.recipe, self.setting.options.seed, recipe.batch, drawn)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, the gain over hold (dB) and the share of tokens kept."""
        filled = filled_by(self.lit, batch)
        error, hold = latent_errors(filled, batch)
        gain = (10 * torch.log10((hold + 1e-6) / (error.detach() + 1e-6))).mean()
        figures, share = {"gain_db": gain, "keep": batch["mask"].float().mean()}, self.setting.recipe.pixels
        found = objective(error, hold)
        if self.pixel_errors is not None:
            error, hold = self.pixel_errors(filled, batch)
            figures["pixel_gain_db"] = (10 * torch.log10(hold / error.detach())).mean()
            found = (1 - share) * found + share * torch.log(error / hold).mean()
        return found, figures

    def validate(self) -> dict[str, float]:
        """See `validate`; and of tokens kept by what they save the gain in pixels, where that is trained for."""
        frozen, recipe, device = self.frozen, self.setting.own_recipe, self.setting.device
        if not self._held_out:
            self._held_out = held_out_batches(frozen.validation, frozen.recipe, recipe.batch, device)
            if self.pixel_errors is not None:
                drawn = Drawn(recipe.side, weighed=1.0)
                self._weighed = _held_out(frozen.validation, frozen.recipe, recipe.batch, drawn, device)
        lit, run = self.setting.run.averaged("lit"), self.setting.run
        figures = validate(lit, self._held_out, run)
        if self.pixel_errors is None:
            return figures
        gains = []
        for batch in self._weighed:
            with torch.no_grad(), run.autocast():
                error, hold = self.pixel_errors(filled_by(lit, batch), batch)
            gains.append((10 * torch.log10(hold / error)).mean().item())
        return figures | {"pixel_gain_db": sum(gains) / len(gains)}

    def outcome(self, figures: dict[str, float]) -> Outcome:
        """The averaged LIT."""
        macs = lit_macs_per_token(self.config) / self.frozen.spec.pixels_per_token
        figures = figures | {"kmac_per_pixel": macs / 1000}
        weights = half_weights(self.setting.run.averaged("lit"))
        return Outcome(self.config, weights, figures, len(self.frozen.training), len(self.frozen.validation))


def with_column_of_halvings(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a LIT that is told of halvings, of one that may not have been: it does not heed them yet."""
    enter = weights["enter.weight"]
    missing = (enter.shape[1] - EXTRA) % 2 == 0
    return {**weights} | ({"enter.weight": F.pad(enter, (0, 1))} if missing else {})


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
