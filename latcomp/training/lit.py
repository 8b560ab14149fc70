"""Training of the LIT on a frozen tokenizer's latents, with masks from the real selection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latcomp.devices import pick_device
from latcomp.inpaint.fill import ages_of
from latcomp.inpaint.model import CONTEXT, EXTRA, GROUP, Lit, LitConfig, lit_macs_per_pixel
from latcomp.selection import Quantiser, SelectionRule, Wishes, look_ahead, select_group
from latcomp.selection.recipe import DROPPED_CHANGES, ERROR_WORTH, HYSTERESIS, PRIOR_UNITS
from latcomp.training.latents import FrozenLatents
from latcomp.training.optim import Muon, split_parameters
from latcomp.training.run import TrainingRun
from latcomp.training.schedule import Schedule
from latcomp.training.widen import Stack, widen_all

SIDE = 28  # positions a side of a training crop: with the border of shifted windows, four windows
LOG_STEPS = (-1.5, 1.5)  # log2 of the step scale, drawn uniformly
KEEP = (0.08, 0.8)  # keep ratio of a crop, which its threshold is chosen for
VALIDATION_KEEP = (0.15, 0.3, 0.5)


@dataclass(frozen=True)
class Recipe:
    """What one training preset consists of."""

    config: LitConfig = LitConfig()
    batch: int = 3
    learning_rate: float = 2e-3
    adam_learning_rate: float = 1e-3
    ema: float = 0.998


PRESETS: dict[str, Recipe] = {
    "default": Recipe(),
    "tiny": Recipe(config=LitConfig(width=32, layers=1, heads=2, expansion=2), batch=2),
}


def threshold_for(latents: np.ndarray, keep: float, rule: SelectionRule, quantiser: Quantiser) -> float:
    """A threshold at which the real selection keeps about the share `keep` of a crop, from four replays."""
    low, high = 0.0, 4.0 * quantiser.step_scale + 1.0
    for _ in range(5):
        middle = (low * high) ** 0.5 if low > 0 else high / 4
        selection, _ = select_group(latents, None, middle, rule, quantiser)
        if selection.mask.mean() > keep:
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


def make_example(
    latents: list[np.ndarray], rule: SelectionRule, step: np.ndarray, seed: int, index: int, item: int, follows: bool,
    keep: float | None = None,
) -> Example:  # fmt: skip
    """The example that belongs to (seed, index, item): a crop of one clip, selected as the encoder would.

    follows: whether it comes after a group whose last latent frames serve as C_fill (where the clip is long enough), or starts a segment.
    In C_fill, dropped positions hold a random blend of hold and truth, since what a LIT filled earlier lies between the two.
    """
    rng = np.random.default_rng([seed, index, item])
    sizes = np.sqrt([clip.size for clip in latents])
    clip = latents[int(rng.choice(len(latents), p=sizes / sizes.sum()))]
    follows = follows and clip.shape[1] >= 2 * GROUP
    frames = 2 * GROUP if follows else GROUP
    first = int(rng.integers(clip.shape[1] - frames + 1))
    top = int(rng.integers(max(clip.shape[2] - SIDE, 0) + 1))
    left = int(rng.integers(max(clip.shape[3] - SIDE, 0) + 1))
    crop = np.array(clip[:, first : first + frames, top : top + SIDE, left : left + SIDE], np.float32)
    if rng.random() < 0.25:
        crop = crop[:, ::-1]
    quantiser = Quantiser(step, float(2 ** rng.uniform(*LOG_STEPS)), hysteresis=HYSTERESIS, units=PRIOR_UNITS)
    share = float(np.exp(rng.uniform(*np.log(KEEP)))) if keep is None else keep
    threshold = threshold_for(crop, share, rule, quantiser)
    ahead = look_ahead(crop, quantiser, DROPPED_CHANGES)
    wishes = Wishes(ahead.target, ahead.octaves(quantiser, ERROR_WORTH))
    selection, _ = select_group(crop, None, threshold, rule, quantiser, wishes)
    values = quantiser.dequantise(selection.symbols)
    age = ages_of(selection.mask)
    now = slice(frames - GROUP, frames)
    before = slice(frames - GROUP - CONTEXT, frames - GROUP)
    blend = rng.uniform(0.2, 1.0)
    context = (
        np.where(selection.mask[before], values[:, before], blend * selection.held[:, before] + (1 - blend) * crop[:, before])
        if follows else np.zeros((crop.shape[0], CONTEXT, *crop.shape[2:]), np.float32)
    )  # fmt: skip
    return Example(
        crop[:, now], selection.held[:, now], selection.mask[now], age[now], quantiser.step_scale, context.astype(np.float32), follows
    )


def run_lit(lit: Lit, examples: list[Example], run: TrainingRun) -> tuple[Tensor, Tensor]:
    """Squared latent error at dropped positions of LIT and of hold, each (B,), means over channels and dropped positions."""
    stack = lambda name: torch.from_numpy(np.stack([getattr(e, name) for e in examples])).to(run.device)  # noqa: E731
    held, mask, age, target = stack("held"), stack("mask"), stack("age"), stack("target")
    steps = torch.tensor([e.step_scale for e in examples], device=run.device)
    context = stack("context") if examples[0].has_context else None
    filled = lit(held, mask, age, steps, context)
    dropped = (~mask).unsqueeze(1).float()
    count = dropped.sum((1, 2, 3, 4)).clamp_min(1) * held.shape[1]
    error = ((filled - target).square() * dropped).sum((1, 2, 3, 4)) / count
    return error, ((held - target).square() * dropped).sum((1, 2, 3, 4)) / count


def objective(error: Tensor, hold: Tensor) -> Tensor:
    """Mean logarithm of LIT's error over hold's: every crop counts the same, whatever moves in it."""
    floor = 0.02
    return torch.log((error + floor) / (hold + floor)).mean()


def batch_examples(
    latents: list[np.ndarray], rule: SelectionRule, step: np.ndarray, seed: int, index: int, batch: int, keep: float | None = None
) -> list[Example]:
    """`batch` examples that all have C_fill or all have none, at a size that all share."""
    wanted = bool(np.random.default_rng([seed, index]).random() < 0.5)
    found: list[Example] = []
    item = 0
    while len(found) < batch:
        example = make_example(latents, rule, step, seed, index, item, wanted, keep)
        item += 1
        if example.has_context == wanted or item > 20 * batch:
            found.append(example)
    side = [min(e.mask.shape[axis] for e in found) for axis in (1, 2)]
    context = all(e.has_context for e in found)
    return [
        replace(
            e,
            **{name: getattr(e, name)[..., : side[0], : side[1]] for name in ("target", "held", "mask", "age", "context")},
            has_context=context,
        )
        for e in found
    ]


@torch.no_grad()
def validate(lit: Lit, latents: list[np.ndarray], rule: SelectionRule, step: np.ndarray, run: TrainingRun, batch: int) -> dict[str, float]:
    """Objective and gain over hold (dB, mean over crops) on validation clips at three keep ratios."""
    result: dict[str, float] = {}
    total = []
    for keep in VALIDATION_KEEP:
        gains = []
        for index in range(8):
            with run.autocast():
                error, hold = run_lit(lit, batch_examples(latents, rule, step, 7, index, batch, keep), run)
            gains += (10 * torch.log10((hold + 1e-6) / (error + 1e-6))).tolist()
            total.append(objective(error, hold).item())
        result[f"gain_db@{keep:g}"] = sum(gains) / len(gains)
    return {"objective": sum(total) / len(total)} | result


def train(
    data: Path, out: Path, minutes: float | None = None, steps: int | None = None, resume: Path | None = None,
    device: str = "auto", preset: str = "default", seed: int = 0, tokenizer: str | Path | None = None,
) -> Path:  # fmt: skip
    """Train a LIT for a tokenizer on the clips of `data` and write config, weights and model card to `out`; returns `out`.

    Raises `UsageError` for a folder without clips, an unknown preset or tokenizer, or a budget of zero.
    """
    run = TrainingRun.start("lit", out, PRESETS, preset, seed, pick_device(device))
    recipe: Recipe = run.recipe
    frozen = FrozenLatents.of(tokenizer, data, run)
    training, validation, step, rule = frozen.training, frozen.validation, frozen.step, frozen.rule
    torch.manual_seed(seed)
    config = replace(
        recipe.config, name=f"lit-{frozen.config.name}", channels=frozen.config.channels, tokenizer_sha256=frozen.sha256,
        latent_scale=tuple(round(float(v), 5) for v in latent_scale(training)),
    )  # fmt: skip
    lit = Lit(config).to(run.device)
    matrices, rest = split_parameters([lit], {id(p) for p in (lit.leave.weight, lit.enter.weight)})
    run.track(
        {"lit": lit},
        [Muon(matrices, recipe.learning_rate), torch.optim.AdamW(rest, recipe.adam_learning_rate, betas=(0.9, 0.98), weight_decay=0.0)],
        recipe.ema,
    )
    if resume is not None:
        run.load(resume, lambda found: widen_all(run.modules, found, {"enter.weight": Stack(runs=2, tail=EXTRA)}))
    schedule = Schedule(minutes, steps)
    first_step = run.step
    pool = ThreadPoolExecutor(1)
    coming = pool.submit(batch_examples, training, rule, step, seed, run.step, recipe.batch)
    while schedule.progress(run.step - first_step) < 1:
        here = run.step - first_step
        examples = coming.result()
        coming = pool.submit(batch_examples, training, rule, step, seed, run.step + 1, recipe.batch)
        with run.autocast():
            error, hold = run_lit(lit, examples, run)
        loss = objective(error, hold)
        run.update(loss, schedule.factor(here))
        gain = (10 * torch.log10((hold + 1e-6) / (error + 1e-6))).mean().item()
        keep = float(np.mean([e.mask.mean() for e in examples]))
        run.report(
            schedule, {"loss": loss.item(), "gain_db": gain, "keep": keep},
            lambda: validate(run.averaged("lit"), validation, rule, step, run, recipe.batch),
        )  # fmt: skip
    pool.shutdown(cancel_futures=True)
    final = run.averaged("lit")
    figures = validate(final, validation, rule, step, run, recipe.batch)
    run.save_state(schedule)
    figures["kmac_per_pixel"] = lit_macs_per_pixel(config) / 1000
    return run.finish(config, final, figures, schedule, data, len(training), len(validation))


def latent_scale(latents: list[np.ndarray]) -> np.ndarray:
    """(C,) root mean square of each channel over a sample of the clips, at least 1/4 step."""
    sample = [np.square(clip[:, ::4, ::3, ::3], dtype=np.float32).mean((1, 2, 3)) for clip in latents[::4]]
    return np.maximum(np.sqrt(np.mean(sample, axis=0)), 0.25)
