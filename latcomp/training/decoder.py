"""Training of the tokenizer's decoder alone, on latents as files hold them: selected, held, and rounded by what they
cost.

The encoder stays as it is, so the latents, and with them the prior and the LIT, remain valid.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latcomp.container.coding import FrameCosts, Prior
from latcomp.errors import UsageError
from latcomp.inpaint.config import GROUP
from latcomp.latents import StepScale
from latcomp.latents.profile import CodingProfile
from latcomp.models import (
    WEIGHTS,
    find_prior,
    find_tokenizer,
    fingerprint_of,
    load_prior,
    load_tokenizer,
    sha256_of,
    trained_in_words,
    training_facts,
)
from latcomp.selection import PRIOR_UNITS, SelectionRecipe
from latcomp.tokenizer.cv8x8x4.config import SPATIAL, TEMPORAL
from latcomp.tokenizer.cv8x8x4.model import CONDITIONED_SCALES, Tokenizer
from latcomp.training.balance import BALANCE
from latcomp.training.clips import Clip, load_clips, split_clips
from latcomp.training.components import luma_chroma
from latcomp.training.crops import cut, to_rgb
from latcomp.training.feed import Batch, on_device
from latcomp.training.finish import Outcome, half_weights
from latcomp.training.latents import LatentClips, cached_latents
from latcomp.training.loop import Setting, Task, TrainOptions
from latcomp.training.loop import train as run_training
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.recipe import Recipe
from latcomp.training.run import TrainingRun

LOG_SCALES = (-2.0, 2.25)  # log2 of the inverse step scale, drawn uniformly
# latent frames of an example that begins inside a stream whose error does not count: the decoder's memory is not there
# yet
WARM_UP = 2
FEWEST_BITS = 0.75  # share of examples whose tokens are kept as by default; of the others fewer are
FLOOR = 0.5  # grey levels squared: keeps crops without any error from deciding
VALIDATION_LOG_SCALES = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class DecoderRecipe(Recipe):
    """What one training preset of a decoder consists of."""

    batch: int = 2
    learning_rate: float = 8e-4
    adam_learning_rate: float = 5e-4
    ema: float = 0.998
    side: int = 22
    """Positions a side of a crop."""


PRESETS: dict[str, DecoderRecipe] = {"default": DecoderRecipe(), "tiny": DecoderRecipe(batch=1, side=8)}


@dataclass(frozen=True)
class Source:
    """What examples are made of: clips and their latents (C, T, h, w), how they are selected, and the prior."""

    clips: list[Clip]
    latents: LatentClips
    recipe: SelectionRecipe
    prior: Prior | None


@dataclass(frozen=True)
class Example:
    """Latents as a reader holds them (C, T, h, w), halvings of their steps (T, h, w), log2 of the inverse step scale,
    frames (4T, 3, 8h, 8w) uint8 YCbCr, and whether it begins a segment."""

    held: np.ndarray
    halvings: np.ndarray
    log_scale: float
    frames: np.ndarray
    first: bool


def make_example(
    source: Source, recipe: DecoderRecipe, seed: int, index: int, item: int, log_scale: float | None = None
) -> Example:
    """The example that belongs to (seed, index, item): a crop of one clip, coded as the encoder would."""
    rng = np.random.default_rng([seed, index, item])
    number = source.latents.draw(rng)
    clip, latents = source.clips[number], source.latents[number]
    groups = 2 if rng.random() < 0.6 and latents.shape[1] >= 2 * GROUP else 1
    frames, side = groups * GROUP, recipe.side
    first = int(rng.integers(latents.shape[1] - frames + 1))
    top, left = (int(rng.integers(max(latents.shape[axis] - side, 0) + 1)) for axis in (2, 3))
    crop = np.array(latents[:, first : first + frames, top : top + side, left : left + side], np.float32)
    drawn = float(rng.uniform(*LOG_SCALES)) if log_scale is None else log_scale
    scale = StepScale(2.0**-drawn)
    costs = None if source.prior is None else FrameCosts(source.prior, source.recipe.units, scale)
    recipe_of = source.recipe.weighing("bits" if rng.random() < FEWEST_BITS else "tokens")
    selector = recipe_of.segment(scale, coder=costs)
    for start in range(0, frames, GROUP):
        selection = selector.next(np.ascontiguousarray(crop[:, start : start + GROUP]))
    begin = (first + frames - GROUP) * TEMPORAL
    rows = cut(clip, begin, GROUP * TEMPORAL, top * SPATIAL, left * SPATIAL, side * SPATIAL)
    return Example(selection.held, selection.halvings, drawn, rows, groups == 1)


def stacked(examples: list[Example]) -> Batch:
    """Examples as arrays with a batch axis."""
    found: Batch = {name: np.stack([getattr(e, name) for e in examples]) for name in ("held", "halvings", "frames")}
    found["log_scale"] = np.array([e.log_scale for e in examples], np.float32)
    counts = np.ones((len(examples), GROUP * TEMPORAL), np.float32)
    for row, example in enumerate(examples):
        counts[row, : 0 if example.first else WARM_UP * TEMPORAL] = 0
    return found | {"counts": counts}


def errors(decoder: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """(squared luma-chroma error, squared luma error), grey levels squared, each (B,)."""
    counts = batch["counts"]
    log_scale = batch["log_scale"].view(-1, 1, 1, 1, 1) + batch["halvings"].float().unsqueeze(1)
    pixels = to_rgb(batch["frames"])
    output, _ = decoder(batch["held"], log_scale.clamp(*CONDITIONED_SCALES))
    error = (output - pixels) * 127.5
    with torch.autocast(error.device.type, enabled=False):  # bf16 would round the error away
        per_frame = torch.stack([plane.square().mean((2, 3)) for plane in luma_chroma(error.float())])  # (3, B, frames)
        found = (per_frame * counts).sum(2) / counts.sum(1)
    return found.sum(0), found[0]


def objective(error: Tensor) -> Tensor:
    """Mean logarithm of the error: a tenth of a dB counts the same in every crop and at every step."""
    return torch.log(error + FLOOR).mean()


@torch.no_grad()
def validate(decoder: nn.Module, batches: dict[float, list[Batch]], run: TrainingRun) -> dict[str, float]:
    """Objective and luma PSNR (dB, mean of crops) at fixed step scales."""
    found: dict[str, float] = {}
    objectives = []
    for scale, some in batches.items():
        decibels = []
        for batch in some:
            with run.autocast():
                error, luma = errors(decoder, batch)
            objectives.append(objective(error).item())
            decibels.append((10 * torch.log10(255**2 / luma.clamp_min(0.01))).mean().item())
        found[f"psnr_y@{scale:g}"] = float(np.mean(decibels))
    return {"objective": float(np.mean(objectives)), **found}


@dataclass(frozen=True)
class DecoderBatches:
    """Makes the batches of a step; drawn by (seed, step), whatever makes them."""

    source: Source
    recipe: DecoderRecipe
    seed: int

    def __call__(self, step: int, late: bool) -> Batch:
        """The examples of a step, stacked."""
        return stacked(
            [make_example(self.source, self.recipe, self.seed, step, item) for item in range(self.recipe.batch)]
        )


class DecoderTask(Task[DecoderRecipe]):
    """The decoder of a finished tokenizer."""

    kind = "decoder"
    presets = PRESETS

    def __init__(self, setting: Setting[DecoderRecipe]) -> None:
        recipe, options, run = setting.recipe, setting.options, setting.run
        super().__init__(setting)
        self.folder = folder = find_tokenizer(options.tokenizer)
        self.model = model = _ours(folder).to(run.device)
        sha256 = sha256_of(folder / WEIGHTS)
        self.base = f"{model.config.name} {sha256[:8]}, {trained_in_words(folder)}"
        prior_folder = find_prior(folder)
        prior = load_prior(prior_folder) if prior_folder else None
        clips = load_clips(options.data, GROUP * TEMPORAL, recipe.side * SPATIAL)
        recipe_of = SelectionRecipe.of(
            model.spec.channel_step, model.spec.channel_scale, CodingProfile.load(folder), PRIOR_UNITS
        )
        self.training, self.validation = (
            Source(some, LatentClips(cached_latents(model, fingerprint_of(folder), some, run)), recipe_of, prior)
            for some in split_clips(clips)
        )
        model.decoder.requires_grad_(True)
        linear = list(model.decoder.linear.parameters())
        matrices, rest = split_parameters([model.decoder], {id(p) for p in linear})
        others = [p for p in rest if all(p is not q for q in linear)]
        adam = torch.optim.AdamW(
            [
                {"params": others, "lr": recipe.adam_learning_rate},
                {"params": linear, "lr": recipe.adam_learning_rate / 10},
            ],
            betas=(0.9, 0.98),
            weight_decay=0.0,
        )
        run.track({"decoder": model.decoder}, [Muon(matrices, lr=recipe.learning_rate), adam], recipe.ema)
        own = setting.own_recipe
        self._held_out = {
            scale: [
                on_device(
                    stacked([make_example(self.validation, own, 7, index, item, scale) for item in range(own.batch)]),
                    run.device,
                )
                for index in range(8)
            ]
            for scale in VALIDATION_LOG_SCALES
        }

    def make_batch(self) -> DecoderBatches:
        """Batches of examples."""
        return DecoderBatches(self.training, self.setting.recipe, self.setting.options.seed)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective and luma PSNR (dB)."""
        error, luma = errors(self.model.decoder, batch)
        return objective(error), {"psnr_y": -10 * torch.log10(luma.detach().mean().clamp_min(0.01) / 255**2)}

    def validate(self) -> dict[str, float]:
        """See `validate`."""
        return validate(self.setting.run.averaged("decoder"), self._held_out, self.setting.run)

    def outcome(self, figures: dict[str, float]) -> Outcome:
        """The whole tokenizer with the averaged decoder."""
        final = _ours(self.folder)
        final.decoder.load_state_dict(self.setting.run.averaged("decoder").state_dict())
        clips = len(self.training.clips), len(self.validation.clips)
        kept = {name: value for name, value in training_facts(self.folder / WEIGHTS).items() if name == BALANCE}
        return Outcome(self.model.config, half_weights(final), figures, *clips, self.base, kept)


def _ours(folder: Path) -> Tokenizer:
    """The tokenizer of a folder. Raises `UsageError` when it is not of our own architecture."""
    tokenizer = load_tokenizer(folder)
    if not isinstance(tokenizer, Tokenizer):
        raise UsageError(f"{folder}: the decoder of a public tokenizer is not trained here; choose one of cv8x8x4")
    return tokenizer


def train(data: Path, out: Path, **options: Any) -> Path:
    """Train the decoder of a finished tokenizer on the clips of `data` and write the whole tokenizer to `out`; returns
    `out`.

    options: see `latcomp.training.loop.TrainOptions`. Raises `UsageError` for a folder without clips, an unknown preset
    or tokenizer, or a budget of zero."""
    return run_training(DecoderTask, TrainOptions(data, out, **options))
