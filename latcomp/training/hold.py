"""What selection makes of latents, as the training's decoder sees it: rounded, held, finer where a value will be
held.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

STAYS = 0.65  # steps a value may be off its held one before it changes
FEWEST_CHANGES = 2.0  # steps, summed over channels, a token must change by to be kept
FINE_LEVELS = 2  # steps may be halved so many times where values will be held
FINE_BLOCK = 4  # positions a side that share a level
FINE_CHANCE = 0.5  # share of crops with finer positions
FINE_CHANGES = 8  # channels that may change before a position counts as coarse again


@dataclass(frozen=True)
class Held:
    """Filled latents with a straight-through gradient, and what a reader knows about them.

    values: (B, C, T, h, w); kept: (B, 1, T, h, w) bool; octaves: (B, 1, T, h, w) how many times the step behind each
    value was halved."""

    values: Tensor
    kept: Tensor
    octaves: Tensor


def fine_field(batch: int, height: int, width: int, generator: torch.Generator) -> Tensor:
    """(B, 1, h, w) random octaves in blocks of positions, 0 all over in half of the crops."""
    rows, columns = -(-height // FINE_BLOCK), -(-width // FINE_BLOCK)
    levels = torch.randint(0, FINE_LEVELS + 1, (batch, 1, rows, columns), generator=generator).float()
    levels *= (torch.rand(batch, 1, 1, 1, generator=generator) < FINE_CHANCE).float()
    return F.interpolate(levels, scale_factor=FINE_BLOCK, mode="nearest")[:, :, :height, :width]


def hold(latents: Tensor, log_scale: Tensor, fine: Tensor) -> Held:
    """Latents as a reader has them after filling by hold.

    latents: (B, C, T, h, w); log_scale: (B,) log2 of the inverse step scale; fine: (B, 1, h, w) octaves of the first
    latent frame. The first     latent frame is rounded in its fine steps. Later a token is kept when it is further than
    a bound from its held value, and codes the difference to it in whole steps, or stands on its own when nearly every
    channel changes."""
    inverse = torch.exp2(log_scale).view(-1, 1, 1, 1)
    z = latents.detach().float()
    first = inverse * torch.exp2(fine)
    value, octaves = torch.round(z[:, :, 0] * first) / first, fine
    values, kept, levels = [value], [torch.ones_like(fine, dtype=torch.bool)], [octaves]
    for t in range(1, z.shape[2]):
        difference = (z[:, :, t] - value) * inverse
        symbols = torch.where(difference.abs() <= STAYS, torch.zeros_like(difference), difference.round())
        keep = symbols.abs().sum(1, keepdim=True) >= FEWEST_CHANGES
        alone = (symbols != 0).sum(1, keepdim=True) > FINE_CHANGES
        fresh = torch.where(alone, torch.round(z[:, :, t] * inverse) / inverse, value + symbols / inverse)
        value = torch.where(keep, fresh, value)
        octaves = torch.where(keep & alone, torch.zeros_like(octaves), octaves)
        values.append(value)
        kept.append(keep)
        levels.append(octaves)
    filled = torch.stack(values, dim=2)
    return Held(latents + (filled - latents).detach(), torch.stack(kept, dim=2), torch.stack(levels, dim=2))
