"""Training of the tokenizer: squared error plus a rate term, over a range of quantiser steps, so one model serves all qualities."""

from __future__ import annotations

import math
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latcomp.devices import pick_device
from latcomp.tokenizer.config import TEMPORAL, TokenizerConfig
from latcomp.tokenizer.model import Tokenizer, macs_per_pixel
from latcomp.training.components import colour_transform, start_from_components
from latcomp.training.data import Clip, cut, load_clips, random_crop, split_clips, to_rgb
from latcomp.training.grow import grow
from latcomp.training.hold import fine_field, hold
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.rate import PreviousFramePrior, laplace_bits
from latcomp.training.run import TrainingRun
from latcomp.training.schedule import Schedule

LAMBDA = 0.7  # bits a position is worth per grey level squared at step scale 1; fits UNIT_STEP at high rate
LOG_SCALES = (-2.0, 2.25)  # log2 of the inverse step scale, drawn uniformly for each crop
FIRST_FRAME_WEIGHT = 0.25  # a stream has one first latent frame in dozens, a crop one in five
DROPPED_WEIGHT = 0.25  # of the bits a token would cost that selection drops
EASY_BITS = 2.0  # floor of a crop's cost, in bits a position: keeps flat crops from dominating
SETTLE_STEPS = 250  # of a new rate term beside a finished tokenizer: what it does not know yet must not shape the latents
VALIDATION_LOG_SCALES = (-1.0, 0.0, 1.0)


@dataclass(frozen=True)
class Recipe:
    """What one training preset consists of."""

    config: TokenizerConfig = TokenizerConfig()
    batch: int = 4
    frames: int = 20
    side: int = 128
    late_batch: int = 2
    late_side: int = 192
    """While the learning rate falls, crops are larger: their borders look less unlike a whole picture's inside."""
    learning_rate: float = 1.6e-3
    """Of Muon; 2e-3 learns as fast, 6e-3 diverges within a thousand steps."""
    adam_learning_rate: float = 1e-3
    weight_decay: float = 0.03
    ema: float = 0.999

    def shape(self, late: bool) -> tuple[int, int]:
        """(crops a step, pixels a side)."""
        return (self.late_batch, self.late_side) if late else (self.batch, self.side)


PRESETS: dict[str, Recipe] = {
    "default": Recipe(),
    "wide": Recipe(config=TokenizerConfig(channels=160), learning_rate=1.2e-3, adam_learning_rate=7e-4),
    "depthwise": Recipe(
        config=TokenizerConfig(
            block="depthwise", encoder_width=192, encoder_blocks=8, decoder_width=256, decoder_blocks=9, kernel=3
        )
    ),
    "tiny": Recipe(
        config=TokenizerConfig(
            name="cv8x8x4-tiny", channels=16, encoder_width=32, encoder_blocks=1, decoder_width=32, decoder_blocks=1
        ),
        batch=2, frames=8, side=64, late_batch=2, late_side=64,
    ),
}  # fmt: skip


def crop_costs(
    tokenizer: Tokenizer, prior: PreviousFramePrior, pixels: Tensor, log_scale: Tensor, fine: Tensor, noise: Tensor | None,
    skipped: int = 0,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    """(bits a position, squared luma-chroma error in grey levels squared, squared luma error), each (B,).

    pixels: (B, 3, T, H, W) in [-1, 1]; fine: (B, 1, h, w) octaves of finer steps in the first latent frame; noise: like the latents, in
    [-1/2, 1/2], for the rate's values, or None to take the rounded ones; skipped: latent frames the decoder starts after. The decoder
    always sees what a reader has: rounded and held values, their gradient passed straight through.
    """
    latents, _ = tokenizer.encode(pixels)
    held = hold(latents, log_scale, fine)
    first = torch.zeros(held.octaves.shape[2], device=latents.device)
    first[0] = 1
    scale = torch.exp2(log_scale.view(-1, 1, 1, 1, 1) + held.octaves * first.view(1, 1, -1, 1, 1))
    values = held.values if noise is None else latents + noise / scale
    mean, size = prior(values, held.values, log_scale)
    bits = laplace_bits(values * scale, mean * scale, size * scale).sum(1, keepdim=True)
    # a dropped token costs nothing; the rest of its weight still draws it towards its past
    floor = 0.0 if noise is None else DROPPED_WEIGHT
    bits = (bits * held.kept.float().clamp_min(floor)).mean((1, 3, 4))  # (B, T) per position
    weights = torch.ones_like(bits)
    weights[:, 0] = FIRST_FRAME_WEIGHT
    rate = (bits * weights).sum(1) / weights.sum(1)
    octaves = (log_scale.view(-1, 1, 1, 1, 1) + held.octaves)[:, :, skipped:]
    output, _ = tokenizer.decoder(held.values[:, :, skipped:], octaves)
    error = (output - pixels[:, :, skipped * TEMPORAL :]) * 127.5
    with torch.autocast(error.device.type, enabled=False):  # bf16 would round the error away
        transform = colour_transform().to(error)
        planes = [sum(transform[d, c] * error[:, c] for c in range(3)) for d in range(3)]
        per_plane = torch.stack([plane.square().mean((1, 2, 3)) for plane in planes])  # (3, B)
    return rate, per_plane.sum(0), per_plane[0]


def objective(rate: Tensor, distortion: Tensor, log_scale: Tensor) -> Tensor:
    """Mean logarithm of rate + lambda * distortion: equal relative gains count the same in every crop and at every scale."""
    cost = rate + LAMBDA * torch.exp2(2 * log_scale) * distortion
    return torch.log(cost + EASY_BITS).mean()


@torch.no_grad()
def validate(tokenizer: Tokenizer, prior: PreviousFramePrior, clips: list[Clip], recipe: Recipe, run: TrainingRun) -> dict[str, float]:
    """Objective, luma PSNR (dB, mean of crops) and bits a pixel at fixed crops of the validation clips, latents rounded."""
    found: dict[str, list[float]] = {"objective": []}
    for start in range(0, len(clips), recipe.batch):
        some = clips[start : start + recipe.batch]
        side = recipe.side
        crops = [
            cut(c, (c.frames - recipe.frames) // 2, recipe.frames, (c.height - side) // 4 * 2, (c.width - side) // 4 * 2, side)
            for c in some
        ]  # fmt: skip
        pixels = to_rgb(np.stack(crops)).to(run.device)
        for log2 in (*VALIDATION_LOG_SCALES, LOG_SCALES[1]):
            log_scale = torch.full((len(some),), log2, device=run.device)
            with run.autocast():
                fine = torch.zeros(len(some), 1, side // 8, side // 8, device=run.device)
                rate, distortion, luma = crop_costs(tokenizer, prior, pixels, log_scale, fine, None)
            if log2 in VALIDATION_LOG_SCALES:
                found["objective"].append(objective(rate, distortion, log_scale).item())
            found.setdefault(f"psnr_y@{log2:g}", []).append((10 * torch.log10(255**2 / luma.clamp_min(0.01))).mean().item())
            found.setdefault(f"bpp@{log2:g}", []).append(rate.mean().item() / 256)
    return {name: sum(values) / len(values) for name, values in found.items()}


@torch.no_grad()
def measure_channels(tokenizer: Tokenizer, clips: list[Clip], recipe: Recipe, run: TrainingRun) -> TokenizerConfig:
    """The configuration with each channel's mean, scale and step, measured on training crops.

    A channel's scale is its quantiser step: the rate term has made an error of one step cost about the same in every channel, so
    the temporal difference then measures what a viewer would see, where a standard deviation would hide changes of brightness.
    """
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
    rounded = lambda values: tuple(round(float(v), 5) for v in values)  # noqa: E731
    return replace(
        tokenizer.config,
        channel_mean=rounded(mean),
        channel_scale=(1.0,) * tokenizer.config.channels,
        channel_deviation=rounded(deviation),
        channel_step=(1.0,) * tokenizer.config.channels,
    )


def train(
    data: Path, out: Path, minutes: float | None = None, steps: int | None = None, resume: Path | None = None,
    device: str = "auto", preset: str = "default", seed: int = 0,
) -> Path:  # fmt: skip
    """Train a tokenizer on the clips of `data` and write config, weights and model card to `out`; returns `out`.

    resume: a folder of an earlier run's checkpoints (`state.pt`), whose weights and optimiser state are taken over, or of a finished
    model, beside which a new rate term learns first.
    Raises `UsageError` for a folder without clips, an unknown preset or a budget of zero.
    """
    run = TrainingRun.start("tokenizer", out, PRESETS, preset, seed, pick_device(device))
    recipe: Recipe = run.recipe
    training, validation = split_clips(load_clips(data, recipe.frames, max(recipe.side, recipe.late_side)))
    torch.manual_seed(seed)
    random.seed(seed)
    tokenizer = Tokenizer(recipe.config)
    channel_size = start_from_components(tokenizer, training, seed)
    prior = PreviousFramePrior(recipe.config.channels, channel_size)
    for module in (tokenizer, prior):
        module.to(run.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    linear = {id(p) for m in (tokenizer.encoder.linear, tokenizer.decoder.linear) for p in m.parameters()}
    matrices, rest = split_parameters([tokenizer, prior], linear)
    slow = [p for p in rest if id(p) in linear]
    others = [p for p in rest if id(p) not in linear]
    optimisers: list[torch.optim.Optimizer] = [
        Muon(matrices, lr=recipe.learning_rate, weight_decay=recipe.weight_decay),
        torch.optim.AdamW(
            [{"params": others, "lr": recipe.adam_learning_rate}, {"params": slow, "lr": recipe.adam_learning_rate / 10}],
            betas=(0.9, 0.98), weight_decay=0.0,
        ),
    ]  # fmt: skip
    run.track({"tokenizer": tokenizer, "prior": prior}, optimisers, recipe.ema)
    settled = 0
    if resume is not None:
        filled = run.load(resume, lambda states: grow(tokenizer, prior, states, training, seed))
        if "prior" not in filled:
            prior.start_from(tokenizer.decoder.input_scale)
            run.ema["prior"].load_state_dict(prior.state_dict())
            settled = run.step + SETTLE_STEPS
    schedule = Schedule(minutes, steps)
    pool = ThreadPoolExecutor(1)

    def batch(step: int, late: bool) -> np.ndarray:
        count, side = recipe.shape(late)
        return np.stack([random_crop(training, seed, step, i, recipe.frames, side) for i in range(count)])

    first_step = run.step
    coming = pool.submit(batch, run.step, schedule.decaying(0))
    while schedule.progress(run.step - first_step) < 1:
        here = run.step - first_step
        tokenizer.requires_grad_(run.step >= settled)
        pixels = to_rgb(coming.result()).to(run.device)
        coming = pool.submit(batch, run.step + 1, schedule.decaying(here + 1))
        generator = torch.Generator().manual_seed(seed * 1_000_003 + run.step)
        low, high = LOG_SCALES
        count, side = pixels.shape[0], pixels.shape[-1]
        log_scale = (low + (high - low) * torch.rand(count, generator=generator)).to(run.device)
        shape = (count, recipe.config.channels, recipe.frames // TEMPORAL, side // 8, side // 8)
        noise = (torch.rand(shape, generator=generator) - 0.5).to(run.device)
        fine = fine_field(count, side // 8, side // 8, generator).to(run.device)
        skipped = int(torch.rand(1, generator=generator) < 0.25)
        with run.autocast():
            rate, distortion, luma = crop_costs(tokenizer, prior, pixels, log_scale, fine, noise, skipped)
        loss = objective(rate, distortion, log_scale)
        run.update(loss, schedule.factor(here))
        run.report(
            schedule,
            {
                "loss": loss.item(),
                "bpp": rate.mean().item() / 256,
                "psnr_y": -10 * math.log10(max(luma.mean().item(), 0.01) / 255**2),
            },
            lambda: validate(run.averaged("tokenizer"), run.averaged("prior"), validation, recipe, run),
        )
    pool.shutdown(cancel_futures=True)
    final = run.averaged("tokenizer")
    figures = validate(final, run.averaged("prior"), validation, recipe, run)
    config = measure_channels(final, training, recipe, run)
    run.save_state(schedule)
    encoder_kmac, decoder_kmac = (m / 1000 for m in macs_per_pixel(config))
    figures |= {"encoder_kmac_per_pixel": encoder_kmac, "decoder_kmac_per_pixel": decoder_kmac}
    return run.finish(config, final, figures, schedule, data, len(training), len(validation))
