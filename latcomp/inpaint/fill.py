"""Streaming fill: groups in, filled latents out, with C_fill carried from one group to the next."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from latcomp.inpaint.context import FillContext
from latcomp.inpaint.model import Lit
from latcomp.latents import GroupView, HeldGroup, StepScale
from latcomp.latents.profile import CodingProfile


def dropped(group: HeldGroup) -> np.ndarray:
    """bool (T, h, w): the positions that are visible and not kept."""
    found: np.ndarray = ~group.mask & group.view.visible
    return found


def holds_well(group: HeldGroup, truth: np.ndarray, share: float) -> bool:
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
    at_dropped = float(errors[dropped(group)].sum()) / (group.view.count - kept)
    return at_dropped < share * at_kept


class Filler:
    """Fills groups in order, by the LIT or by hold; C_fill holds the last filled latent frames of the segment."""

    def __init__(
        self, lit: Lit | None, device: torch.device, half: bool = False, profile: CodingProfile | None = None
    ) -> None:
        """half: run the LIT in bf16; profile: what an encoder chooses by, see `fill_best`."""
        self.lit, self.device, self.half = lit, device, half
        self.profile = CodingProfile() if profile is None else profile
        self._context: FillContext | None = None

    def reset(self) -> None:
        """Forget C_fill: the next group starts a segment."""
        self._context = None

    @torch.inference_mode()
    def fill(self, group: HeldGroup, by: str, scale: StepScale) -> Tensor:
        """Filled latents (1, C, T, h, w) on the device; by: 'lit' or 'hold'; scale: of the group's tokens, which are
        never altered, nor is what the group does not show.
        """
        held = torch.from_numpy(group.held).to(self.device).unsqueeze(0)
        filled = held
        if by == "lit" and self.lit is not None and not _keeps_all(group):
            mask = torch.from_numpy(group.mask).to(self.device).unsqueeze(0)
            age = torch.from_numpy(group.age).to(self.device).float().unsqueeze(0)
            factor = torch.tensor([scale.value], device=self.device)
            window = group.view.window
            context = None if self._context is None else self._context.over(window)
            with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                filled = self.lit(
                    held,
                    mask,
                    age,
                    factor,
                    None if context is None else context.latents,
                    self._on_device(group.view.visible),
                    (window.top, window.left),
                    None if context is None else self._on_device(context.visible),
                    torch.from_numpy(group.halvings).to(self.device).unsqueeze(0),
                ).float()
        self.remember(filled, group.view)
        return filled

    @torch.inference_mode()
    def fill_best(self, group: HeldGroup, truth: np.ndarray, scale: StepScale) -> tuple[str, Tensor]:
        """('lit' or 'hold', the latents so filled): the LIT where it is clearly closer to the truth (C, T, h, w) at
        dropped positions.

        The choice is what the reader will fill with, so C_fill continues with it. The LIT runs only where hold left
        something to gain."""
        before = self._context
        held = self.fill(group, "hold", scale)
        if self.lit is None or _keeps_all(group) or holds_well(group, truth, self.profile.hold_share):
            return "hold", held
        after_hold, self._context = self._context, before
        painted = self.fill(group, "lit", scale)
        counts = torch.from_numpy(dropped(group)).to(self.device)
        wanted = torch.from_numpy(truth).to(self.device)
        errors = [float(((latents[0] - wanted).square().sum(0) * counts).sum()) for latents in (painted, held)]
        if errors[0] < self.profile.lit_share * errors[1]:
            return "lit", painted
        self._context = after_hold
        return "hold", held

    def remember(self, filled: Tensor, view: GroupView) -> None:
        """Take the last latent frames of a filled group (1, C, T, h, w), which shows `view`, as context of the next."""
        self._context = FillContext.after(self._context, filled, view)

    def _on_device(self, visible: np.ndarray) -> Tensor | None:
        """bool (1, T, h, w) from (T, h, w); None where all is visible."""
        return None if visible.all() else torch.tensor(visible, device=self.device).unsqueeze(0)


def _keeps_all(group: HeldGroup) -> bool:
    """Whether nothing that the group shows was dropped."""
    return int(np.count_nonzero(group.mask)) == group.view.count
