"""How well dropped positions are filled: hold, linear interpolation and the LIT at the same mask, clip by clip.

One encoder pass a clip; the masks and values are those of `encode --keep`, so every fill sees exactly the same kept
tokens, and what it makes goes through the decoder as `latcomp decode` would have it. Rounding by rate, which moves
values and no masks, is left out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latcomp.bench.codec import BenchClip, BenchCodec, Segment
from latcomp.inpaint.model import next_kept
from latcomp.latents import HeldGroup
from latcomp.metrics.comparison import VideoComparison
from latcomp.selection import Selection, select_budget

FILLS = ("hold", "interpolate", "lit", "auto")
KEEPS = (0.1, 0.2, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class FillRow:
    """One fill of one clip at one keep ratio."""

    clip: str
    keep: float
    """Share of the tokens that were kept, as asked for."""
    keep_ratio: float
    """Share that was kept: more than asked for where a segment's first latent frame alone is more."""
    fill: str
    latent_mse: float
    """Mean squared error of the latents at dropped positions, in quantiser steps squared at step scale 1."""
    gain_db: float
    """Mean over groups with dropped tokens of hold's error over this fill's, in dB; 0 for hold."""
    psnr_y: float
    """Decoded, mean of the frames' dB."""
    ms_ssim_y: float
    """Decoded, 0 to 1, mean of the frames'."""
    lit_share: float
    """Share of the groups with dropped tokens that the LIT filled."""


@dataclass(frozen=True)
class _Filled:
    """What one fill made of a clip, group by group."""

    errors: list[float]
    """Squared error at dropped values, summed."""
    counts: list[int]
    """Dropped values."""
    by_lit: list[bool]
    psnr_y: float
    ms_ssim_y: float


def interpolate(held: HeldGroup) -> Tensor:
    """The group (1, C, T, h, w), dropped positions on a line to the next kept value in the group, held where none
    follows.

    A rival that is not causal: it needs kept values from after the position, so it can only run when the group is
    complete. So does the LIT, which is shown the same next kept values; hold is the one causal fill."""
    values = torch.from_numpy(held.held).unsqueeze(0)
    mask = torch.from_numpy(held.mask).unsqueeze(0)
    ahead, distance, known = next_kept(values, mask)
    age = torch.from_numpy(held.age).unsqueeze(0)
    share = (known * age / (age + distance).clamp_min(1)).unsqueeze(1)
    return values + share * (ahead - values)


class FillBench:
    """Loaded models; `run` measures one clip, `figures` holds all that were measured so far."""

    def __init__(self, quality: float, keeps: Sequence[float] = KEEPS, device: str = "auto") -> None:
        self.quality, self.keeps = quality, tuple(keeps)
        self.codec = BenchCodec(quality, None, device)
        self.rows: list[FillRow] = []

    def run(self, path: Path, watch: Callable[[str], None] | None = None) -> list[FillRow]:
        """Rows of one clip: every keep ratio, every fill. watch: called with what is being measured now, in a few
        words.
        """
        clip = self.codec.read(path)
        segments = self.codec.encode(clip)
        rows = []
        for keep in self.keeps:
            chosen = []
            for segment in segments:
                scale, recipe = self.codec.scale(segment), self.codec.recipe
                hints = self.codec.hints(segment, scale)
                found = select_budget(segment.latents, keep, recipe.rule, recipe.quantiser(scale), hints)
                chosen.append(found[0])
            kept = float(np.mean(np.concatenate([s.mask.ravel() for selections in chosen for s in selections])))
            made = {}
            for fill in FILLS:
                if watch is not None:
                    watch(f"{clip.name}: {fill} at {100 * keep:g} %")
                made[fill] = self._fill(clip, segments, chosen, fill)
            hold = np.array(made["hold"].errors)
            for fill, filled in made.items():
                here, some = np.array(filled.errors), np.array(filled.counts) > 0
                gain = 10 * np.log10((hold[some] + 1e-9) / (here[some] + 1e-9)) if some.any() else np.zeros(1)
                share = float(np.array(filled.by_lit)[some].mean()) if some.any() else 0.0
                mse = float(here.sum() / max(1, sum(filled.counts)))
                rows.append(
                    FillRow(
                        clip.name, keep, kept, fill, mse, float(gain.mean()), filled.psnr_y, filled.ms_ssim_y, share
                    )
                )
        self.rows += rows
        return rows

    def figures(self) -> dict[str, Any]:
        """`{"quality", "rows": [...], "mean": [...]}`: a row for each clip, keep ratio and fill, and their means over
        the clips.
        """
        means = []
        for keep in self.keeps:
            for fill in FILLS:
                same = [row for row in self.rows if row.keep == keep and row.fill == fill]
                names = ("keep_ratio", "latent_mse", "gain_db", "psnr_y", "ms_ssim_y", "lit_share")
                means.append(
                    {
                        "keep": keep,
                        "fill": fill,
                        **{name: float(np.mean([getattr(row, name) for row in same])) for name in names},
                    }
                )
        return {"quality": self.quality, "rows": [asdict(row) for row in self.rows], "mean": means}

    @torch.inference_mode()
    def _fill(
        self, clip: BenchClip, segments: Sequence[Segment], chosen: Sequence[Sequence[Selection]], fill: str
    ) -> _Filled:
        """The clip with every dropped position filled one way, decoded and compared."""
        errors, counts, by_lit = [], [], []
        comparison = VideoComparison(clip.matrix)
        for segment, selections in zip(segments, chosen, strict=True):
            scale = self.codec.scale(segment)
            filler, state = self.codec.filler(), None
            for group, selection in zip(segment.groups, selections, strict=True):
                held = selection.held_group
                by, filled = fill, self.codec.tensor(selection.held)
                if fill == "interpolate":
                    filled = interpolate(held).to(self.codec.device)
                elif fill == "auto":
                    by, filled = filler.fill_best(held, group.latents, scale)
                else:
                    filled = filler.fill(held, fill, scale)
                dropped = ~selection.mask
                errors.append(float(np.square(filled[0].cpu().numpy() - group.latents)[:, dropped].sum()))
                counts.append(int(dropped.sum()) * group.latents.shape[0])
                by_lit.append(by == "lit")
                shown, state = self.codec.decode(filled, state, scale, selection.halvings)
                decoded = shown[:, : clip.header.height, : clip.header.width].cpu().numpy()
                for place in range(len(group.pts)):
                    comparison.add(clip.frames[group.first_frame + place].pixels, decoded[place])
        result = comparison.result()
        return _Filled(errors, counts, by_lit, result["psnr_y"], result["ms_ssim_y"])
