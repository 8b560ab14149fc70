"""Streaming fill: groups in, filled latents out, with C_fill carried from one group to the next."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latcomp.inpaint.model import CONTEXT, Lit

LIT_SHARE = 0.75
"""The LIT's squared error over hold's below which it is used. Where nothing moves hold's error is mostly rounding,
which the tokenizer's decoder smooths better than the LIT's correction of the same size."""
HOLD_SHARE = 0.7
"""Where hold's mean squared error at dropped positions is below this share of the error at kept ones, little was lost
and the LIT is not tried: on training clips it was never chosen below 1.08, and hold lay below 0.47 wherever only
unchanged tokens were dropped."""


@dataclass(frozen=True)
class HeldGroup:
    """A group filled by hold, and what the networks need to know.

    held: (C, T, h, w); mask, age: (T, h, w); octaves: (T, h, w) uint8, how many times the step behind each held value
    was halved."""

    held: np.ndarray
    mask: np.ndarray
    age: np.ndarray
    octaves: np.ndarray


def ages_of(mask: np.ndarray, before: np.ndarray | None = None) -> np.ndarray:
    """float32 (T, h, w): latent frames since each position's last keep, 0 where it is kept.

    mask: (T, h, w) bool; before: (h, w) ages at the latent frame before the mask's first, None at the start of a
    segment."""
    ages = np.empty(mask.shape, np.float32)
    age = np.zeros(mask.shape[1:], np.float32) if before is None else before
    for t in range(len(mask)):
        age = ages[t] = np.where(mask[t], 0, age + 1)
    return ages


def holds_well(group: HeldGroup, truth: np.ndarray) -> bool:
    """True where hold's errors at dropped positions are little beside those of quantisation at kept ones; truth: (C, T,
    h, w).
    """
    kept = int(np.count_nonzero(group.mask))
    if kept == 0:
        return False
    errors = np.empty(group.mask.shape, np.float32)
    for t, here in enumerate(errors):  # a large picture's group is gigabytes: one latent frame of it at a time
        here[:] = np.square(group.held[:, t] - truth[:, t]).sum(0)
    at_kept = float(errors[group.mask].sum()) / kept
    at_dropped = float(errors[~group.mask].sum()) / (group.mask.size - kept)
    return at_dropped < HOLD_SHARE * at_kept


class HoldState:
    """Last kept value and age of every position: what a reader needs to fill a group by hold."""

    def __init__(self) -> None:
        self.kept: np.ndarray | None = None
        self.age: np.ndarray | None = None
        self.octaves: np.ndarray | None = None

    def reset(self) -> None:
        """Forget everything: the next group starts a segment."""
        self.kept = self.age = self.octaves = None

    def hold(self, tokens: np.ndarray, mask: np.ndarray, octaves: np.ndarray | None = None) -> HeldGroup:
        """The group filled by hold.

        tokens: (N, C) float32 kept tokens in order t, y, x; mask: (T, h, w) bool; octaves: (N,) uint8 of the tokens,
        None for all zero."""
        frames, height, width = mask.shape
        kept = self.kept if self.kept is not None else np.zeros((tokens.shape[1], height, width), np.float32)
        finer = self.octaves if self.octaves is not None else np.zeros((height, width), np.uint8)
        found = np.empty(mask.shape, np.uint8)
        held = np.empty((tokens.shape[1], *mask.shape), np.float32)
        ages = ages_of(mask, self.age)
        start = 0
        for t in range(frames):
            here = mask[t]
            count = int(here.sum())
            kept = kept.copy()
            kept[:, here] = tokens[start : start + count].T
            held[:, t] = kept
            finer = finer.copy()
            finer[here] = 0 if octaves is None else octaves[start : start + count]
            found[t] = finer
            start += count
        self.kept, self.age, self.octaves = kept, ages[-1], finer
        return HeldGroup(held, mask, ages, found)


class Filler:
    """Fills groups in order, by the LIT or by hold; C_fill holds the last filled latent frames of the segment."""

    def __init__(self, lit: Lit | None, step_scale: float, device: torch.device, half: bool = False) -> None:
        self.lit, self.step_scale, self.device, self.half = lit, step_scale, device, half
        self._context: Tensor | None = None

    def reset(self) -> None:
        """Forget C_fill: the next group starts a segment."""
        self._context = None

    @torch.inference_mode()
    def fill(self, group: HeldGroup, by: str) -> Tensor:
        """Filled latents (1, C, T, h, w) on the device; by: 'lit' or 'hold'. Kept tokens are never altered."""
        held = torch.from_numpy(group.held).to(self.device).unsqueeze(0)
        filled = held
        if by == "lit" and self.lit is not None and not group.mask.all():
            mask = torch.from_numpy(group.mask).to(self.device).unsqueeze(0)
            age = torch.from_numpy(group.age).to(self.device).unsqueeze(0)
            scale = torch.tensor([self.step_scale], device=self.device)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                filled = self.lit(held, mask, age, scale, self._context).float()
        self.remember(filled)
        return filled

    @torch.inference_mode()
    def fill_best(self, group: HeldGroup, truth: np.ndarray) -> tuple[str, Tensor]:
        """('lit' or 'hold', the latents so filled): the LIT where it is clearly closer to the truth (C, T, h, w) at
        dropped positions.

        The choice is what the reader will fill with, so C_fill continues with it. The LIT runs only where hold left
        something to gain."""
        before = self._context
        held = self.fill(group, "hold")
        if self.lit is None or group.mask.all() or holds_well(group, truth):
            return "hold", held
        after_hold, self._context = self._context, before
        painted = self.fill(group, "lit")
        dropped = torch.from_numpy(~group.mask).to(self.device)
        wanted = torch.from_numpy(truth).to(self.device)
        errors = [float(((latents[0] - wanted).square().sum(0) * dropped).sum()) for latents in (painted, held)]
        if errors[0] < LIT_SHARE * errors[1]:
            return "lit", painted
        self._context = after_hold
        return "hold", held

    def remember(self, filled: Tensor) -> None:
        """Take the last latent frames of a filled group (1, C, T, h, w) as context for the next."""
        joined = filled if self._context is None else torch.cat([self._context, filled], dim=2)
        self._context = joined[:, :, -CONTEXT:]
