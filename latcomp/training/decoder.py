"""Training of the tokenizer's decoder alone, on latents as files hold them: selected, held, and rounded by what they cost.

The encoder stays as it is, so the latents, and with them the prior and the LIT, remain valid.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latcomp.container.prior import Prior
from latcomp.container.rounding import PriorRounding
from latcomp.container.steps import log_step_of
from latcomp.devices import pick_device
from latcomp.inpaint.model import GROUP
from latcomp.selection import Quantiser, SelectionRule, Wishes, look_ahead, select_group
from latcomp.selection.recipe import (
    DROPPED_CHANGES,
    ERROR_WORTH,
    HYSTERESIS,
    PRIOR_UNITS,
    ROUNDING,
    ROUNDING_WORTH,
)
from latcomp.tokenizer.config import SPATIAL, TEMPORAL
from latcomp.tokenizer.model import Tokenizer
from latcomp.tokenizer.registry import (
    WEIGHTS,
    find_prior,
    find_tokenizer,
    load_prior,
    load_tokenizer,
    sha256_of,
    trained_in_words,
)
from latcomp.training.components import colour_transform
from latcomp.training.data import Clip, cut, load_clips, split_clips, to_rgb
from latcomp.training.latents import cached_latents
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.run import TrainingRun
from latcomp.training.schedule import Schedule

LOG_SCALES = (-2.0, 2.25)  # log2 of the inverse step scale, drawn uniformly
WARM_UP = 2  # latent frames of an example that begins inside a stream whose error does not count: the decoder's memory is not there yet
FLOOR = 0.5  # grey levels squared: keeps crops without any error from deciding
VALIDATION_LOG_SCALES = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class Recipe:
    """What one training preset consists of."""

    batch: int = 2
    side: int = 22
    """Positions a side of a crop."""
    learning_rate: float = 8e-4
    adam_learning_rate: float = 5e-4
    ema: float = 0.998


PRESETS: dict[str, Recipe] = {"default": Recipe(), "tiny": Recipe(batch=1, side=8)}


@dataclass(frozen=True)
class Source:
    """What examples are made of: clips and their latents (C, T, h, w), the selection rule, the steps (C,) and the prior."""

    clips: list[Clip]
    latents: list[np.ndarray]
    rule: SelectionRule
    step: np.ndarray
    prior: Prior | None


@dataclass(frozen=True)
class Example:
    """Latents as a reader holds them (C, T, h, w), octaves of their steps (T, h, w), log2 of the inverse step scale, frames (4T, 3, 8h,
    8w) uint8 YCbCr, and whether it begins a segment."""

    held: np.ndarray
    octaves: np.ndarray
    log_scale: float
    frames: np.ndarray
    first: bool


def make_example(source: Source, recipe: Recipe, seed: int, index: int, item: int, log_scale: float | None = None) -> Example:
    """The example that belongs to (seed, index, item): a crop of one clip, coded as the encoder would."""
    rng = np.random.default_rng([seed, index, item])
    sizes = np.sqrt([latents.size for latents in source.latents])
    number = int(rng.choice(len(source.latents), p=sizes / sizes.sum()))
    clip, latents = source.clips[number], source.latents[number]
    groups = 2 if rng.random() < 0.6 and latents.shape[1] >= 2 * GROUP else 1
    frames, side = groups * GROUP, recipe.side
    first = int(rng.integers(latents.shape[1] - frames + 1))
    top, left = (int(rng.integers(max(latents.shape[axis] - side, 0) + 1)) for axis in (2, 3))
    crop = np.array(latents[:, first : first + frames, top : top + side, left : left + side], np.float32)
    drawn = float(rng.uniform(*LOG_SCALES)) if log_scale is None else log_scale
    quantiser = Quantiser(source.step, 2.0**-drawn, ROUNDING, HYSTERESIS, PRIOR_UNITS)
    threshold = DROPPED_CHANGES / len(source.step) * quantiser.step_scale
    rounding = None
    if source.prior is not None:
        log_step = log_step_of(quantiser.step_scale)
        rounding = PriorRounding(source.prior, crop.shape[2], crop.shape[3], PRIOR_UNITS, ROUNDING_WORTH, log_step)
    cache = None
    for start in range(0, frames, GROUP):
        part = np.ascontiguousarray(crop[:, start : start + GROUP])
        ahead = look_ahead(part, quantiser, DROPPED_CHANGES)
        wishes = Wishes(ahead.target, ahead.octaves(quantiser, ERROR_WORTH), ahead.whole[0] if start else None, ahead.run)
        selection, cache = select_group(part, cache, threshold, source.rule, quantiser, wishes, rounding=rounding)
    begin = (first + frames - GROUP) * TEMPORAL
    rows = cut(clip, begin, GROUP * TEMPORAL, top * SPATIAL, left * SPATIAL, side * SPATIAL)
    return Example(selection.held, selection.octaves, drawn, rows, groups == 1)


def make_batch(source: Source, recipe: Recipe, seed: int, index: int) -> list[Example]:
    """The examples of one step."""
    return [make_example(source, recipe, seed, index, item) for item in range(recipe.batch)]


def errors(tokenizer: Tokenizer, examples: list[Example], run: TrainingRun) -> tuple[Tensor, Tensor]:
    """(squared luma-chroma error, squared luma error), grey levels squared, each (B,)."""
    held = torch.from_numpy(np.stack([e.held for e in examples])).to(run.device)
    octaves = torch.from_numpy(np.stack([e.octaves for e in examples])).to(run.device).float().unsqueeze(1)
    log_scale = torch.tensor([e.log_scale for e in examples], device=run.device).view(-1, 1, 1, 1, 1) + octaves
    pixels = to_rgb(np.stack([e.frames for e in examples])).to(run.device)
    output, _ = tokenizer.decoder(held, log_scale.clamp(-2.5, 4.25))
    error = (output - pixels) * 127.5
    counts = torch.ones(len(examples), GROUP * TEMPORAL, device=run.device)
    for row, example in enumerate(examples):
        counts[row, : 0 if example.first else WARM_UP * TEMPORAL] = 0
    with torch.autocast(error.device.type, enabled=False):  # bf16 would round the error away
        transform = colour_transform().to(error)
        planes = [sum(transform[d, c] * error[:, c].float() for c in range(3)) for d in range(3)]
        per_frame = torch.stack([plane.square().mean((2, 3)) for plane in planes])  # (3, B, frames)
        found = (per_frame * counts).sum(2) / counts.sum(1)
    return found.sum(0), found[0]


def objective(error: Tensor) -> Tensor:
    """Mean logarithm of the error: a tenth of a dB counts the same in every crop and at every step."""
    return torch.log(error + FLOOR).mean()


@torch.no_grad()
def validate(tokenizer: Tokenizer, batches: dict[float, list[list[Example]]], run: TrainingRun) -> dict[str, float]:
    """Objective and luma PSNR (dB, mean of crops) at fixed step scales."""
    found: dict[str, float] = {}
    objectives = []
    for scale, examples in batches.items():
        decibels = []
        for some in examples:
            with run.autocast():
                error, luma = errors(tokenizer, some, run)
            objectives.append(objective(error).item())
            decibels.append((10 * torch.log10(255**2 / luma.clamp_min(0.01))).mean().item())
        found[f"psnr_y@{scale:g}"] = float(np.mean(decibels))
    return {"objective": float(np.mean(objectives)), **found}


def train(
    data: Path, out: Path, minutes: float | None = None, steps: int | None = None, resume: Path | None = None,
    device: str = "auto", preset: str = "default", seed: int = 0, tokenizer: str | Path | None = None,
) -> Path:  # fmt: skip
    """Train the decoder of a finished tokenizer on the clips of `data` and write the whole tokenizer to `out`; returns `out`.

    Raises `UsageError` for a folder without clips, an unknown preset or tokenizer, or a budget of zero.
    """
    run = TrainingRun.start("decoder", out, PRESETS, preset, seed, pick_device(device))
    recipe: Recipe = run.recipe
    folder = find_tokenizer(tokenizer)
    model = load_tokenizer(folder).to(run.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    sha256 = sha256_of(folder / WEIGHTS)
    run.base = f"{model.config.name} {sha256[:8]}, {trained_in_words(folder)}"
    prior_folder = find_prior(folder)
    prior = load_prior(prior_folder) if prior_folder else None
    clips = load_clips(data, GROUP * TEMPORAL, recipe.side * SPATIAL)
    rule = SelectionRule(np.array(model.config.channel_scale, np.float32))
    step = np.array(model.config.channel_step, np.float32)
    training, validation = (
        Source(some, cached_latents(model, sha256, some, run), rule, step, prior) for some in split_clips(clips)
    )
    model.decoder.requires_grad_(True)
    matrices, rest = split_parameters([model.decoder], {id(p) for p in model.decoder.linear.parameters()})
    linear = list(model.decoder.linear.parameters())
    others = [p for p in rest if all(p is not q for q in linear)]
    run.track(
        {"decoder": model.decoder},
        [
            Muon(matrices, lr=recipe.learning_rate),
            torch.optim.AdamW(
                [{"params": others, "lr": recipe.adam_learning_rate}, {"params": linear, "lr": recipe.adam_learning_rate / 10}],
                betas=(0.9, 0.98), weight_decay=0.0,
            ),
        ],
        recipe.ema,
    )  # fmt: skip
    if resume is not None:
        run.load(resume)
    held_out = {
        scale: [
            [make_example(validation, recipe, 7, index, item, scale) for item in range(recipe.batch)] for index in range(8)
        ] for scale in VALIDATION_LOG_SCALES
    }  # fmt: skip
    averaged = Tokenizer(model.config).to(run.device)

    def check() -> dict[str, float]:
        averaged.decoder.load_state_dict(run.averaged("decoder").state_dict())
        return validate(averaged, held_out, run)

    schedule = Schedule(minutes, steps)
    first_step = run.step
    pool = ThreadPoolExecutor(1)
    coming = pool.submit(make_batch, training, recipe, seed, run.step)
    while schedule.progress(run.step - first_step) < 1:
        here = run.step - first_step
        examples = coming.result()
        coming = pool.submit(make_batch, training, recipe, seed, run.step + 1)
        with run.autocast():
            error, luma = errors(model, examples, run)
        loss = objective(error)
        run.update(loss, schedule.factor(here))
        run.report(schedule, {"loss": loss.item(), "psnr_y": -10 * math.log10(max(luma.mean().item(), 0.01) / 255**2)}, check)
    pool.shutdown(cancel_futures=True)
    figures = check()
    run.save_state(schedule)
    final = load_tokenizer(folder)
    final.decoder.load_state_dict(run.averaged("decoder").state_dict())
    return run.finish(model.config, final, figures, schedule, data, len(training.clips), len(validation.clips))
