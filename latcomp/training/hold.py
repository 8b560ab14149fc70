"""What selection makes of latents, as the training's decoder sees it: rounded, held, finer where a value will be
held.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from latcomp.latents.profile import CodingProfile
from latcomp.selection import PRIOR_UNITS

FINE_LEVELS = PRIOR_UNITS.bit_length() - 1  # steps may be halved so many times where values will be held
FINE_BLOCK = 4  # positions a side that share a level
FINE_CHANCE = 0.5  # share of crops with finer positions
WHOLE = 0.5 / PRIOR_UNITS  # steps within which a held value counts as a whole multiple: its unit is twice as large


@dataclass(frozen=True)
class Held:
    """Filled latents with a straight-through gradient, and what a reader knows about them.

    values: (B, C, T, h, w); kept: (B, 1, T, h, w) bool; halvings: (B, 1, T, h, w) how many times the step behind each
    value was halved."""

    values: Tensor
    kept: Tensor
    halvings: Tensor


def fine_field(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """(B, 1, h, w) random halvings in blocks of positions, 0 all over in half of the crops."""
    rows, columns = -(-height // FINE_BLOCK), -(-width // FINE_BLOCK)
    levels = torch.randint(0, FINE_LEVELS + 1, (batch, 1, rows, columns), generator=generator).float()
    levels *= (torch.rand(batch, 1, 1, 1, generator=generator) < FINE_CHANCE).float()
    return F.interpolate(levels, scale_factor=FINE_BLOCK, mode="nearest")[:, :, :height, :width]


def hold(latents: Tensor, log_scale: Tensor, fine: Tensor, profile: CodingProfile) -> Held:
    """Latents as a reader has them after filling by hold.

    The rule is that of `latcomp.selection` without a lookahead, on whole batches and on any device; a test holds the
    two side by side. latents: (B, C, T, h, w); log_scale: (B,) log2 of the inverse step scale; fine: (B, 1, h, w)
    halvings of the first latent frame, which is rounded in its fine steps. Later a token is kept when it is further
    than the profile's bound from its held value, and is coded as a delta to it in whole steps, or absolute when many of
    its channels change; a channel that hardly moved rests where its held value is a whole multiple of the step."""
    stays, share = 0.5 + profile.hysteresis, profile.absolute_share * latents.shape[1]
    inverse = torch.exp2(log_scale).view(-1, 1, 1, 1)
    z = latents.detach().float()
    first = inverse * torch.exp2(fine)
    value, halvings = torch.round(z[:, :, 0] * first) / first, fine
    values, kept, levels = [value], [torch.ones_like(fine, dtype=torch.bool)], [halvings]
    for t in range(1, z.shape[2]):
        difference = (z[:, :, t] - value) * inverse
        symbols = torch.where(difference.abs() <= stays, torch.zeros_like(difference), difference.round())
        keep = symbols.abs().sum(1, keepdim=True) > profile.dropped_changes
        absolute = (symbols != 0).sum(1, keepdim=True) > share
        held = value * inverse
        rests = (symbols == 0) & ((held - held.round()).abs() < WHOLE)
        alone = torch.where(rests, value, torch.round(z[:, :, t] * inverse) / inverse)
        fresh = torch.where(absolute, alone, value + symbols / inverse)
        value = torch.where(keep, fresh, value)
        halvings = torch.where(keep & absolute, torch.zeros_like(halvings), halvings)
        values.append(value)
        kept.append(keep)
        levels.append(halvings)
    filled = torch.stack(values, dim=2)
    return Held(latents + (filled - latents).detach(), torch.stack(kept, dim=2), torch.stack(levels, dim=2))
