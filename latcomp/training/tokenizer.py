"""Training of the tokenizer: squared error plus a rate term, over a range of quantiser steps, so one model serves all
qualities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from latcomp.latents.profile import CodingProfile
from latcomp.tokenizer.cv8x8x4.config import PIXELS_PER_TOKEN, SPATIAL, TEMPORAL, TokenizerConfig, macs_per_pixel
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.training.balance import BALANCE, balancing, rescaled, rescaled_state
from latcomp.training.clips import Clip, load_clips, split_clips
from latcomp.training.components import luma_chroma, start_from_components
from latcomp.training.crops import Footage, cut, random_crop, to_rgb, toned, uniform_noise
from latcomp.training.feed import Batch
from latcomp.training.finish import Outcome, half_weights
from latcomp.training.grow import grow
from latcomp.training.hold import fine_field, hold
from latcomp.training.loop import Setting, Task, TrainOptions
from latcomp.training.loop import train as run_training
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.rate import PreviousFramePrior, laplace_bits
from latcomp.training.recipe import Recipe
from latcomp.training.run import TrainingRun, Weights
from latcomp.training.world import cached_offsets

LAMBDA = 0.7  # bits a position is worth per grey level squared at step scale 1; fits UNIT_STEP at high rate
LOG_SCALES = (-2.0, 2.25)  # log2 of the inverse step scale, drawn uniformly for each crop
FIRST_FRAME_WEIGHT = 0.25  # a stream has one first latent frame in dozens, a crop one in five
DROPPED_WEIGHT = 0.25  # of the bits per token would cost that selection drops
EASY_BITS = 2.0  # floor of a crop's cost, in bits a position: keeps flat crops from dominating
SETTLE_STEPS = (
    250  # of a new rate term beside a finished tokenizer: what it does not know yet must not shape the latents
)
VALIDATION_LOG_SCALES = (-1.0, 0.0, 1.0)
BALANCE_CROPS = 12
PROFILE = CodingProfile()  # a new tokenizer has none of its own yet


@dataclass(frozen=True)
class TokenizerRecipe(Recipe):
    """What one training preset of a tokenizer consists of."""

    batch: int = 4
    learning_rate: float = 1.6e-3
    """Of Muon; 2e-3 learns as fast, 6e-3 diverges within a thousand steps."""
    adam_learning_rate: float = 1e-3
    ema: float = 0.999
    config: TokenizerConfig = TokenizerConfig()
    frames: int = 20
    side: int = 128
    late_batch: int = 2
    late_side: int = 192
    """While the learning rate falls, crops are larger: their borders look less unlike a whole picture's inside."""
    weight_decay: float = 0.03
    component_crops: int = 400
    """From so many the principal components are found that the linear path starts at."""

    def grown(self, factor: int) -> TokenizerRecipe:
        """As `Recipe.grown`, for the larger crops as well."""
        return replace(super().grown(factor), late_batch=self.late_batch * factor)

    def shape(self, late: bool) -> tuple[int, int]:
        """(crops a step, pixels per side)."""
        return (self.late_batch, self.late_side) if late else (self.batch, self.side)


PRESETS: dict[str, TokenizerRecipe] = {
    "default": TokenizerRecipe(),
    "wide": TokenizerRecipe(config=TokenizerConfig(channels=160), learning_rate=1.2e-3, adam_learning_rate=7e-4),
    "depthwise": TokenizerRecipe(
        config=TokenizerConfig(
            block="depthwise", encoder_width=192, encoder_blocks=8, decoder_width=256, decoder_blocks=9, kernel=3
        )
    ),
    "tiny": TokenizerRecipe(
        config=TokenizerConfig(
            name="cv8x8x4-tiny", channels=16, encoder_width=32, encoder_blocks=1, decoder_width=32, decoder_blocks=1
        ),
        batch=2,
        frames=8,
        side=64,
        late_batch=2,
        late_side=64,
        component_crops=40,
    ),
}


def crop_costs(
    tokenizer: Tokenizer,
    prior: PreviousFramePrior,
    pixels: Tensor,
    log_scale: Tensor,
    fine: Tensor,
    noise: Tensor | None,
    skipped: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:
    """(bits a position, squared luma-chroma error in grey levels squared, squared luma error), each (B,).

    pixels: (B, 3, T, H, W) in [-1, 1]; fine: (B, 1, h, w) halvings of steps in the first latent frame; noise: like
    the latents, in [-1/2, 1/2], for the rate's values, or None to take the rounded ones; skipped: latent frames the
    decoder starts after. The decoder always sees what a reader has: rounded and held values, their gradient passed
    straight through."""
    latents, _ = tokenizer.encode(pixels)
    held = hold(latents, log_scale, fine, PROFILE)
    first = torch.zeros(held.halvings.shape[2], device=latents.device)
    first[0] = 1
    scale = torch.exp2(log_scale.view(-1, 1, 1, 1, 1) + held.halvings * first.view(1, 1, -1, 1, 1))
    values = held.values if noise is None else latents + noise / scale
    mean, size = prior(values, held.values, log_scale)
    bits = laplace_bits(values * scale, mean * scale, size * scale).sum(1, keepdim=True)
    # a dropped token costs nothing; the rest of its weight still draws it towards its past
    floor = 0.0 if noise is None else DROPPED_WEIGHT
    bits = (bits * held.kept.float().clamp_min(floor)).mean((1, 3, 4))  # (B, T) per position
    weights = torch.ones_like(bits)
    weights[:, 0] = FIRST_FRAME_WEIGHT
    rate = (bits * weights).sum(1) / weights.sum(1)
    halvings = (log_scale.view(-1, 1, 1, 1, 1) + held.halvings)[:, :, skipped:]
    output, _ = tokenizer.decoder(held.values[:, :, skipped:], halvings)
    error = (output - pixels[:, :, skipped * TEMPORAL :]) * 127.5
    with torch.autocast(error.device.type, enabled=False):  # bf16 would round the error away
        planes = luma_chroma(error)
        per_plane = torch.stack([plane.square().mean((1, 2, 3)) for plane in planes])  # (3, B)
    return rate, per_plane.sum(0), per_plane[0]


def objective(rate: Tensor, distortion: Tensor, log_scale: Tensor) -> Tensor:
    """Mean logarithm of rate + lambda * distortion: equal relative gains count the same in every crop and at every
    scale.
    """
    cost = rate + LAMBDA * torch.exp2(2 * log_scale) * distortion
    return torch.log(cost + EASY_BITS).mean()


@torch.no_grad()
def validate(
    tokenizer: Tokenizer, prior: PreviousFramePrior, clips: list[Clip], recipe: TokenizerRecipe, run: TrainingRun
) -> dict[str, float]:
    """Objective, luma PSNR (dB, mean of crops) and bits per pixel at fixed crops of the validation clips, latents
    rounded.
    """
    found: dict[str, list[float]] = {"objective": []}
    for start in range(0, len(clips), recipe.batch):
        some = clips[start : start + recipe.batch]
        side = recipe.side
        crops = [
            cut(
                c,
                (c.frames - recipe.frames) // 2,
                recipe.frames,
                (c.height - side) // 4 * 2,
                (c.width - side) // 4 * 2,
                side,
            )
            for c in some
        ]
        pixels = to_rgb(np.stack(crops)).to(run.device)
        for log2 in (*VALIDATION_LOG_SCALES, LOG_SCALES[1]):
            log_scale = torch.full((len(some),), log2, device=run.device)
            with run.autocast():
                fine = torch.zeros(len(some), 1, side // SPATIAL, side // SPATIAL, device=run.device)
                rate, distortion, luma = crop_costs(tokenizer, prior, pixels, log_scale, fine, None)
            if log2 in VALIDATION_LOG_SCALES:
                found["objective"].append(objective(rate, distortion, log_scale).item())
            found.setdefault(f"psnr_y@{log2:g}", []).append(
                (10 * torch.log10(255**2 / luma.clamp_min(0.01))).mean().item()
            )
            found.setdefault(f"bpp@{log2:g}", []).append(rate.mean().item() / PIXELS_PER_TOKEN)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _rounded(values: Tensor) -> tuple[float, ...]:
    return tuple(round(float(value), 5) for value in values)


@torch.no_grad()
def measure_channels(
    tokenizer: Tokenizer, clips: list[Clip], recipe: TokenizerRecipe, run: TrainingRun
) -> TokenizerConfig:
    """The configuration with each channel's mean, scale and step, measured on training crops.

    A channel's scale is its quantiser step: the rate term has made an error of one step cost about the same in every
    channel, so the temporal difference then measures what a viewer would see, where a standard deviation would hide
    changes of brightness."""
    total = torch.zeros(tokenizer.config.channels, dtype=torch.float64)
    squares = torch.zeros_like(total)
    count = 0
    for item in range(64):
        pixels = to_rgb(random_crop(clips, 1, 2_000_000, item, recipe.frames, recipe.side)[None]).to(run.device)
        latents = tokenizer.encode(pixels)[0].double().cpu()
        total += latents.sum((0, 2, 3, 4))
        squares += latents.square().sum((0, 2, 3, 4))
        count += latents.numel() // latents.shape[1]
    mean = total / count
    deviation = (squares / count - mean**2).clamp_min(0).sqrt()
    return replace(
        tokenizer.config,
        channel_mean=_rounded(mean),
        channel_scale=(1.0,) * tokenizer.config.channels,
        channel_deviation=_rounded(deviation),
        channel_step=(1.0,) * tokenizer.config.channels,
    )


@dataclass(frozen=True)
class CropBatches:
    """Makes the batches of random crops; drawn by (seed, step), whatever makes them."""

    footage: Footage
    recipe: TokenizerRecipe
    seed: int

    def __call__(self, step: int, late: bool) -> Batch:
        """`crops` (B, T, 3, side, side) uint8 YCbCr, larger ones where the learning rate falls."""
        count, side = self.recipe.shape(late)
        crops = self.footage.draw(self.seed, step, count, self.recipe.frames, side)
        return {"crops": self.footage.take(crops, self.recipe.frames, side)}


class TokenizerTask(Task[TokenizerRecipe]):
    """A tokenizer, and beside it the rate term that only its training has."""

    kind = "tokenizer"
    presets = PRESETS

    def __init__(self, setting: Setting[TokenizerRecipe]) -> None:
        recipe, options, run = setting.recipe, setting.options, setting.run
        super().__init__(setting)
        self.recipe = recipe
        clips = load_clips(options.data, recipe.frames, max(recipe.side, recipe.late_side))
        self.training, self.validation = split_clips(clips)
        torch.manual_seed(options.seed)
        self.tokenizer = Tokenizer(recipe.config)
        channel_size = start_from_components(self.tokenizer, self.training, options.seed, recipe.component_crops)
        self.prior = PreviousFramePrior(recipe.config.channels, channel_size)
        for module in (self.tokenizer, self.prior):
            module.to(run.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        linear = {id(p) for m in (self.tokenizer.encoder.linear, self.tokenizer.decoder.linear) for p in m.parameters()}
        matrices, rest = split_parameters([self.tokenizer, self.prior], linear)
        slow = [p for p in rest if id(p) in linear]
        others = [p for p in rest if id(p) not in linear]
        optimisers: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
            torch.optim.AdamW(
                [
                    {"params": others, "lr": recipe.adam_learning_rate},
                    {"params": slow, "lr": recipe.adam_learning_rate / 10},
                ],
                betas=(0.9, 0.98),
                weight_decay=0.0,
            ),
        ]
        run.track({"tokenizer": self.tokenizer, "prior": self.prior}, optimisers, recipe.ema)
        self.settled = 0
        offsets = cached_offsets(self.training, self.tokenizer.spec, setting.workers)
        self.footage = Footage(self.training, run.device, offsets=offsets)
        self.inline = self.footage.resident

    def restore(self, source: Path) -> None:
        """As `Task.restore`. Narrower tokenizers are grown; beside a finished one, whose channels are put back as they
        were trained, a new rate term learns first."""
        run = self.setting.run

        def unbalanced(weights: dict[str, Tensor], facts: Mapping[str, Any]) -> Weights:
            factors = torch.tensor(facts.get(BALANCE) or [1.0] * len(weights["decoder.input_scale"]))
            return {"tokenizer": rescaled_state(weights, 1 / factors)}

        filled = run.load(
            source,
            lambda states: grow(self.tokenizer, self.prior, states, self.training, self.setting.options.seed),
            unpack=unbalanced,
        )
        if "prior" not in filled:
            self.prior.start_from(self.tokenizer.decoder.input_scale)
            run.ema["prior"].load_state_dict(self.prior.state_dict())
            self.settled = run.step + SETTLE_STEPS

    def networks(self) -> list[nn.Module]:
        """Encoder and decoder are called by themselves."""
        return [self.tokenizer.encoder, self.tokenizer.decoder, self.prior]

    def make_batch(self) -> CropBatches:
        """Batches of crops."""
        return CropBatches(self.footage, self.recipe, self.setting.options.seed)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The objective, bits per pixel and luma PSNR (dB)."""
        device = self.setting.device
        self.tokenizer.requires_grad_(step >= self.settled)
        generator = torch.Generator().manual_seed(self.setting.options.seed * 1_000_003 + step)
        pixels = toned(to_rgb(batch["crops"]), generator)
        low, high = LOG_SCALES
        count, side = pixels.shape[0], pixels.shape[-1]
        log_scale = (low + (high - low) * torch.rand(count, generator=generator)).to(device, non_blocking=True)
        shape = (count, self.recipe.config.channels, self.recipe.frames // TEMPORAL, side // SPATIAL, side // SPATIAL)
        noise = uniform_noise(shape, generator, device)
        fine = fine_field(count, side // SPATIAL, side // SPATIAL, generator).to(device, non_blocking=True)
        skipped = int(torch.rand(1, generator=generator) < 0.25)
        rate, distortion, luma = crop_costs(self.tokenizer, self.prior, pixels, log_scale, fine, noise, skipped)
        psnr = -10 * torch.log10(luma.detach().mean().clamp_min(0.01) / 255**2)
        return objective(rate, distortion, log_scale), {"bpp": rate.detach().mean() / PIXELS_PER_TOKEN, "psnr_y": psnr}

    def validate(self) -> dict[str, float]:
        """See `validate`."""
        run = self.setting.run
        return validate(run.averaged("tokenizer"), run.averaged("prior"), self.validation, self.setting.own_recipe, run)

    def outcome(self, figures: dict[str, float]) -> Outcome:
        """The averaged tokenizer, its channels balanced and measured."""
        run, recipe = self.setting.run, self.setting.own_recipe
        crops = [
            to_rgb(random_crop(self.training, 1, 4_000_000, item, recipe.frames, recipe.side)[None]).to(run.device)
            for item in range(BALANCE_CROPS)
        ]
        factors = balancing(run.averaged("tokenizer"), crops)
        final = rescaled(run.averaged("tokenizer"), factors)
        config = measure_channels(final, self.training, self.recipe, self.setting.run)
        encoder_kmac, decoder_kmac = (m / 1000 for m in macs_per_pixel(config))
        figures = figures | {"encoder_kmac_per_pixel": encoder_kmac, "decoder_kmac_per_pixel": decoder_kmac}
        balance = {BALANCE: [round(float(factor), 5) for factor in factors]}
        return Outcome(config, half_weights(final), figures, len(self.training), len(self.validation), facts=balance)


def train(data: Path, out: Path, **options: Any) -> Path:
    """Train a tokenizer on the clips of `data` and write config, weights and model card to `out`; returns `out`.

    resume: a folder of an earlier run's checkpoints, whose weights and optimiser state are taken over, or of a finished
    model, beside which a new rate term learns first. options: see `latcomp.training.loop.TrainOptions`.
    Raises `UsageError` for a folder without clips, an unknown preset or a budget of zero.
    """
    return run_training(TokenizerTask, TrainOptions(data, out, **options))
