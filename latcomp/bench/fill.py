"""How well dropped positions are filled: hold, linear interpolation and the LIT at the same mask, clip by clip.

One encoder pass a clip; the masks come from token budgets, so every fill sees exactly the same kept tokens.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latcomp.codec.encode import Encoder
from latcomp.codec.groups import EncodedGroup, LatentStream, frames_a_piece, to_frames
from latcomp.codec.settings import GROUP_LATENT_FRAMES, SEGMENT_GROUPS, EncodeSettings, decodes_in_bf16
from latcomp.inpaint.fill import Filler, HeldGroup, HoldState
from latcomp.inpaint.model import next_kept
from latcomp.selection import Selection, select_budget
from latcomp.tokenizer.config import SPATIAL, TEMPORAL
from latcomp.video import Frame, open_video
from latcomp.video.luma import luma, psnr

FILLS = ("hold", "interpolate", "lit", "auto")
KEEPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7)


@dataclass(frozen=True)
class FillRow:
    """One fill of one clip at one keep ratio."""

    clip: str
    keep: float
    """Share of the tokens that were kept, as asked for."""
    fill: str
    latent_mse: float
    """Mean squared error of the latents at dropped positions, in quantiser steps squared at step scale 1."""
    gain_db: float
    """Mean over groups with dropped tokens of hold's error over this fill's, in dB; 0 for hold."""
    psnr_y: float
    """Decoded, mean of the frames' dB."""


def interpolate(held: HeldGroup) -> Tensor:
    """The group (1, C, T, h, w), dropped positions on a line to the next kept value in the group, held where none follows."""
    values = torch.from_numpy(held.held).unsqueeze(0)
    mask = torch.from_numpy(held.mask).unsqueeze(0)
    ahead, distance, known = next_kept(values, mask)
    age = torch.from_numpy(held.age).unsqueeze(0)
    share = (known * age / (age + distance).clamp_min(1)).unsqueeze(1)
    return values + share * (ahead - values)


class FillBench:
    """Loaded models; `clip` measures one clip at some keep ratios."""

    def __init__(self, quality: float, device: str = "auto") -> None:
        self.encoder = Encoder(EncodeSettings(quality=quality), None, device)
        self.device = self.encoder.device
        self.half = decodes_in_bf16(self.device)
        self.scale = self.encoder.settings.step_scale

    def clip(self, path: Path, keeps: Sequence[float] = KEEPS) -> list[FillRow]:
        """Rows of one clip: every keep ratio, every fill."""
        frames: list[np.ndarray] = []
        with open_video(path, audio=False) as reader:

            def seen() -> object:
                for item in reader:
                    if isinstance(item, Frame):
                        frames.append(item.pixels)
                        yield item

            stream = LatentStream(self.encoder.tokenizer, self.device, GROUP_LATENT_FRAMES * TEMPORAL)
            groups = [item for item in stream.run(seen()) if isinstance(item, EncodedGroup)]  # type: ignore[arg-type]
        segments = [groups[i : i + SEGMENT_GROUPS] for i in range(0, len(groups), SEGMENT_GROUPS)]
        rows = []
        for keep in keeps:
            chosen = [
                select_budget([g.latents for g in segment], keep, self.encoder.coder.rule, self.encoder.coder.quantiser())[0]
                for segment in segments
            ]
            errors = {fill: self._fill(segments, chosen, fill, frames) for fill in FILLS}
            hold = np.array(errors["hold"][0])
            for fill, (found, count, psnr_y) in errors.items():
                here = np.array(found)
                some = np.array(count) > 0
                gain = 10 * np.log10((hold[some] + 1e-9) / (here[some] + 1e-9)) if some.any() else np.zeros(1)
                mse = float(here.sum() / max(1, np.sum(count)))
                rows.append(FillRow(path.stem, keep, fill, mse, float(gain.mean()), psnr_y))
        return rows

    @torch.inference_mode()
    def _fill(
        self, segments: list[list[EncodedGroup]], chosen: list[list[Selection]], fill: str, frames: list[np.ndarray]
    ) -> tuple[list[float], list[int], float]:
        """(summed squared error at dropped values of each group, number of dropped values of each group, decoded PSNR-Y)."""
        errors, counts, decibels = [], [], []
        start = 0
        for segment, selections in zip(segments, chosen, strict=True):
            holding, filler, state = HoldState(), Filler(self.encoder.lit, self.scale, self.device, self.half), None
            for group, selection in zip(segment, selections, strict=True):
                tokens = self.encoder.coder.quantiser().dequantise(selection.symbols).transpose(1, 2, 3, 0)[selection.mask]
                held = holding.hold(np.ascontiguousarray(tokens), selection.mask)
                if fill == "interpolate":
                    filled = interpolate(held).to(self.device)
                else:
                    filled = filler.fill_best(held, group.latents)[1] if fill == "auto" else filler.fill(held, fill)
                dropped = ~selection.mask
                errors.append(float(np.square(filled[0].cpu().numpy() - group.latents)[:, dropped].sum()))
                counts.append(int(dropped.sum()) * group.latents.shape[0])
                shape = (filled.shape[3] * SPATIAL, filled.shape[4] * SPATIAL)
                piece = frames_a_piece(*shape, GROUP_LATENT_FRAMES * TEMPORAL) // TEMPORAL
                for first in range(0, filled.shape[2], piece):
                    with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                        pixels, state = self.encoder.tokenizer.decode(filled[:, :, first : first + piece], state, self.scale)
                    height, width = frames[0].shape[:2]
                    for decoded in to_frames(pixels, height, width)[: len(frames) - start]:
                        decibels.append(psnr(luma(frames[start]), luma(decoded)))
                        start += 1
        return errors, counts, float(np.mean(decibels))


def bench_fill(clips: Sequence[Path], quality: float, keeps: Sequence[float] = KEEPS, device: str = "auto") -> dict[str, Any]:
    """`{"quality", "rows": [...], "mean": [...]}`: a row for each clip, keep ratio and fill, and their means over the clips."""
    bench = FillBench(quality, device)
    rows = [row for clip in clips for row in bench.clip(clip, keeps)]
    means = []
    for keep in keeps:
        for fill in FILLS:
            same = [row for row in rows if row.keep == keep and row.fill == fill]
            means.append(
                {
                    "keep": keep,
                    "fill": fill,
                    "gain_db": float(np.mean([row.gain_db for row in same])),
                    "psnr_y": float(np.mean([row.psnr_y for row in same])),
                }
            )
    return {"quality": quality, "rows": [asdict(row) for row in rows], "mean": means}
