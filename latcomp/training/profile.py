"""Fits a tokenizer's coding profile on clips: the constants that an encoder chooses by, each from a table of what was
tried.

No network is trained. Latents of the clips are selected and coded for real under other values of one constant after the
other; what counts is the BD-rate in the latents' own domain: bits of masks and tokens against the squared error of the
latents filled by hold, in steps. That is what all constants but the LIT's trade against each other, for any tokenizer,
without its decoder; what the eye sees of it is the business of the quality.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latcomp.container.coding import ContextCoder, FrameCosts, GroupCoder, GroupContent, Prior, PriorCoder
from latcomp.devices import pick_device
from latcomp.errors import UsageError
from latcomp.inpaint.config import GROUP
from latcomp.latents import StepScale
from latcomp.latents.profile import CodingProfile
from latcomp.latents.steps import rounded
from latcomp.metrics.bdrate import bd_rate, mean_of
from latcomp.models import find_prior, find_tokenizer, load_prior
from latcomp.selection import SelectionRecipe
from latcomp.selection.complexity import complexity
from latcomp.training.latents import FrozenLatents, LatentClips
from latcomp.training.run import TrainingRun

SIDE = 24  # positions a side of a crop
GROUPS = 3  # groups of a crop's segment
LOG_SCALES = (-1.5, -0.5, 0.5, 1.5)  # log2 of the step scales that make a curve
CROPS = 16
GAIN = 0.2  # percent of bits that another value must save: less is chance
CUT_FOUND = 0.95  # share of joins of different clips that the bounds of a scene cut must find
CUT_FALSE = 0.01  # share of steps within a clip that they may take for one
CANDIDATES: dict[str, tuple[float, ...]] = {
    "token_price": (0.0, 1.7, 2.5, 4.0, 6.0, 9.0),  # 0: the threshold decides
    "dropped_changes": (0.44, 1.44, 2.44, 4.44),  # differences are whole steps: halfway between two of them
    "hysteresis": (0.0, 0.1, 0.15, 0.2, 0.3),
    "rounding": (0.4, 0.45, 0.5),
    "absolute_share": (1 / 48, 1 / 24, 1 / 12, 1 / 6, 1 / 3),
    "lookahead_lambda": (0.0, 1.5, 3.0, 6.0, 12.0),
    "rdo_lambda": (0.0, 10.0, 20.0, 40.0, 80.0),
}
"""What is tried of each constant, in this order; the best stays for those that follow."""

Point = tuple[float, float]
Report = Callable[[str, float, float | None], None]
"""Called with a constant, a value, and the percent of bits that it needs more than what stood before."""


@dataclass(frozen=True)
class ProfileOptions:
    """How to fit. Raises `UsageError` for values out of range."""

    data: Path
    """Folder of clips."""
    out: Path
    """Folder the profile is written to: a tokenizer's own, for it to be used."""
    tokenizer: str | Path | None = None
    """None is the shipped one."""
    minutes: float | None = None
    """Budget: constants whose turn does not come stay as they are. None: no bound."""
    crops: int = CROPS
    """Crops of the clips that every value is tried on."""
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.minutes is not None and not (math.isfinite(self.minutes) and self.minutes > 0):
            raise UsageError("minutes must be above 0", settings=("minutes",))
        if self.crops < 1:
            raise UsageError("crops must be 1 or more", settings=("crops",))


def train_profile(options: ProfileOptions, report: Report | None = None) -> Path:
    """Fit a profile and write it to `options.out`; returns its path.

    Raises `UsageError` for a folder without clips or a tokenizer that is not found.
    """
    folder = find_tokenizer(options.tokenizer)
    prior_folder = find_prior(folder)
    prior = load_prior(prior_folder) if prior_folder else None
    run = TrainingRun.start("profile", options.out, pick_device(options.device))
    frozen = FrozenLatents.of(folder, options.data, run)
    crops = _crops(frozen.training, options.crops, options.seed)
    until = math.inf if options.minutes is None else time.monotonic() + 60 * options.minutes
    recipe, table = _descend(frozen.recipe.weighing("bits"), crops, prior, until, report or (lambda *_: None))
    measured, bounds = _measured(frozen.training, recipe)
    fitted = {
        "clips": len(frozen.training),
        "crops": len(crops),
        "seed": options.seed,
        "tokenizer": frozen.spec.name,
        "percent_more_bits": table,
        "scene_cuts": bounds,
    }
    if not frozen.spec.steps_known:  # what the other constants were fitted at belongs with them
        measured = replace(measured, **_steps_in(recipe))
    return replace(measured, fitted=fitted).save(options.out)


def _steps_in(recipe: SelectionRecipe) -> dict[str, Any]:
    """The members of a profile that say a recipe's steps."""
    return {"channel_step": rounded(recipe.step), "channel_scale": rounded(recipe.rule.channel_scale)}


def _crops(latents: LatentClips, count: int, seed: int) -> list[list[np.ndarray]]:
    """Segments of groups (C, T, h, w) out of the clips, drawn by their size."""
    found = []
    for index in range(count):
        rng = np.random.default_rng([seed, index])
        clip = latents[latents.draw(rng)]
        frames = min(GROUPS * GROUP, clip.shape[1])
        first = int(rng.integers(clip.shape[1] - frames + 1))
        top, left = (int(rng.integers(max(clip.shape[axis] - SIDE, 0) + 1)) for axis in (2, 3))
        crop = np.array(clip[:, first : first + frames, top : top + SIDE, left : left + SIDE], np.float32)
        found.append([np.ascontiguousarray(crop[:, at : at + GROUP]) for at in range(0, frames, GROUP)])
    return found


def _descend(
    recipe: SelectionRecipe, crops: list[list[np.ndarray]], prior: Prior | None, until: float, report: Report
) -> tuple[SelectionRecipe, dict[str, dict[str, float | None]]]:
    """(the recipe under the constants that were best, percent of bits by constant and value): one constant after the
    other.
    """
    table: dict[str, dict[str, float | None]] = {}
    best = curves(recipe, crops, prior)
    for name, values in CANDIDATES.items():
        if prior is None and name in ("token_price", "lookahead_lambda", "rdo_lambda"):
            continue  # steps are never halved, and nothing says what a value costs
        own = getattr(recipe.profile, name)
        tried: dict[str, float | None] = {f"{own:.6g}": 0.0}
        chosen, chosen_curves, gain = recipe, best, -GAIN
        for value in values:
            if math.isclose(value, own) or time.monotonic() > until:
                continue
            other = with_constant(recipe, name, value)
            found = curves(other, crops, prior)
            more = mean_of(bd_rate(old, new) for old, new in zip(best, found, strict=True))
            tried[f"{value:.6g}"] = None if more is None else round(more, 3)
            report(name, value, more)
            if more is not None and more < gain:
                chosen, chosen_curves, gain = other, found, more
        table[name], recipe, best = tried, chosen, chosen_curves
    return recipe, table


def with_constant(recipe: SelectionRecipe, name: str, value: float) -> SelectionRecipe:
    """The recipe under another value of one of the profile's constants."""
    changed: dict[str, Any] = {name: value}
    profile = replace(recipe.profile, **changed)
    rule = replace(recipe.rule, absolute_share=profile.absolute_share)
    return replace(recipe, profile=profile, rule=rule, price=None).weighing("bits")


def curves(recipe: SelectionRecipe, crops: Sequence[list[np.ndarray]], prior: Prior | None) -> list[list[Point]]:
    """Of each crop (bits per position, decibels of the held latents' error in steps) at every step scale."""
    return [[_coded(recipe, crop, prior, StepScale(2.0**log)) for log in LOG_SCALES] for crop in crops]


def _coded(recipe: SelectionRecipe, crop: list[np.ndarray], prior: Prior | None, scale: StepScale) -> Point:
    grid = crop[0].shape[2], crop[0].shape[3]
    coder: GroupCoder = ContextCoder(grid, recipe.channels)
    costs = None
    if prior is not None:
        coder, costs = PriorCoder(prior, grid, recipe.units), FrameCosts(prior, recipe.units, scale)
    selector = recipe.segment(scale, coder=costs)
    size, error, positions = 0, 0.0, 0
    step = recipe.step.reshape(-1, 1, 1, 1)
    for index, latents in enumerate(crop):
        chosen = selector.next(latents)
        tokens = np.ascontiguousarray(chosen.symbols.transpose(1, 2, 3, 0)[chosen.mask])
        halvings = chosen.halvings[chosen.mask] if prior is not None else None
        data = coder.encode(GroupContent(chosen.mask, tokens, halvings, index == 0, scale, chosen.view, chosen.coded))
        size += len(data.mask) + len(data.tokens)
        error += float(np.square((chosen.held - latents) / step).sum())
        positions += chosen.mask.size
    return 8 * size / positions, -10 * math.log10(max(error, 1e-9) / (positions * recipe.channels))


def _measured(latents: Sequence[np.ndarray], recipe: SelectionRecipe) -> tuple[CodingProfile, dict[str, Any]]:
    """(the profile with what is counted on the clips alone, the figures behind it): usual complexity, scene cuts."""
    bits = [complexity(np.array(clip[:, :GROUP], np.float32), recipe.step) for clip in latents]
    usual = float(np.exp(np.mean(np.log(np.maximum(bits, 1e-3)))))
    within, rises = _steps_within(latents, recipe.step)
    joins = _joins(latents, recipe.step)
    share = float(np.quantile(joins, 1 - CUT_FOUND)) if len(joins) else recipe.profile.cut_share
    over = np.sort(rises[within > share])[::-1]
    allowed = int(CUT_FALSE * len(within))
    rise = recipe.profile.cut_rise if len(over) <= allowed else float(over[allowed])
    share, rise = max(share, 1.0), max(rise, 1.2)
    profile = replace(
        recipe.profile, complexity_bits=round(usual, 3), cut_share=round(share, 3), cut_rise=round(rise, 3)
    )
    false = float(((within > share) & (rises > rise)).mean()) if len(within) else 0.0
    found = float((joins > share).mean()) if len(joins) else 0.0
    return profile, {"joins": len(joins), "found": found, "steps": len(within), "false": false}


def _bits(symbols: np.ndarray) -> float:
    return float(np.log2(1 + np.abs(symbols)).sum(0).mean())


def _steps_within(latents: Sequence[np.ndarray], step: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each step between latent frames of a clip (bits of the change over bits alone, rise over what was usual)."""
    shares, rises = [], []
    for clip in latents:
        symbols = np.rint(np.array(clip, np.float32) / step.reshape(-1, 1, 1, 1))
        changes: list[float] = []
        for t in range(1, symbols.shape[1]):
            change = _bits(symbols[:, t] - symbols[:, t - 1])
            if changes:
                shares.append(change / max(_bits(symbols[:, t]), 1e-3))
                rises.append(change / max(float(np.median(changes[-6:])), 1e-3))
            changes.append(change)
    return np.array(shares), np.array(rises)


def _joins(latents: Sequence[np.ndarray], step: np.ndarray) -> np.ndarray:
    """Of each two clips of one size, one behind the other: bits of the change from one's end to the other's start over
    those of the start alone.
    """
    found, scale = [], step.reshape(-1, 1, 1)
    for one, other in zip(latents, latents[1:], strict=False):
        if one.shape[2:] == other.shape[2:]:
            last, first = (np.rint(np.array(frame, np.float32) / scale) for frame in (one[:, -1], other[:, 0]))
            found.append(_bits(first - last) / max(_bits(first), 1e-3))
    return np.array(found)
