"""The rate term of the tokenizer's training: bits of quantised latents given what a reader knows before them.

It only shapes the latents. No part of it is used to write or read a file; the coder of the files has the same
knowledge."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latcomp.tokenizer.cv8x8x4.trunk import start_at_zero

LAPLACE_FLOOR = 0.05  # smallest Laplace scale, in quantiser steps
BITS_CAP = 20.0  # most bits one value may cost


def laplace_bits(values: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Bits of values under a Laplace density integrated over unit bins: -log2(F(v + 1/2) - F(v - 1/2)).

    Written with the distance to the mean so that the far tail keeps a gradient. All tensors of one shape, in quantiser
    steps."""
    scale = scale + LAPLACE_FLOOR
    distance = (values - mean).abs()
    near = 1 - torch.exp(-0.5 / scale) * torch.cosh(distance.clamp(max=0.5) / scale.clamp_min(0.02))
    # distance > 1/2: both edges on one side of the mean, mass = exp(-d / b) * sinh(1 / 2b)
    far = (distance - 0.5) / scale - torch.log(0.5 * (1 - torch.exp(-1 / scale)))
    bits = torch.where(distance < 0.5, -torch.log(near.clamp_min(1e-7)), far) / 0.6931472
    return bits.clamp(max=BITS_CAP)


def chessboard(height: int, width: int, device: torch.device) -> Tensor:
    """(1, 1, h, w) float: 1 where row and column add up to an even number."""
    rows, columns = torch.arange(height, device=device), torch.arange(width, device=device)
    return ((rows[:, None] + columns[None]) % 2 == 0).float()[None, None]


class PreviousFramePrior(nn.Module):
    """Laplace mean and scale of each latent from the filled previous latent frame and, on half of the positions, its
    neighbours.

    The positions of one colour of a chessboard are predicted from the past alone (first latent frames: by a learned
    constant), those of the other colour also from their four neighbours, as in a coder of two passes."""

    scale: Tensor

    def __init__(self, channels: int, scale: Tensor, width: int = 96) -> None:
        """scale: (C,) typical size of each channel, where the learned scales start."""
        super().__init__()
        self.register_buffer("scale", torch.ones(channels))
        self.first = nn.Parameter(torch.zeros(channels))
        self.log_scale = nn.Parameter(torch.zeros(channels))
        self.gate = nn.Parameter(torch.full((channels,), 0.5))
        self.net = nn.Sequential(
            nn.Conv2d(channels + 1, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1),
            nn.SiLU(),
            nn.Conv2d(width, 2 * channels, 1),
        )
        self.beside = nn.Conv2d(2 * channels + 2, width, 3, padding=1)
        self.beside_features = nn.Conv2d(width, width, 1)
        self.beside_leave = nn.Conv2d(width, 2 * channels, 1)
        start_at_zero(self.net[-1])
        start_at_zero(self.beside_leave)
        self.start_from(scale)

    @torch.no_grad()
    def start_from(self, scale: Tensor) -> None:
        """Set the sizes the learned scales start at: (C,) typical size of each channel."""
        self.scale.copy_(scale)
        self.first.copy_(torch.log(scale))
        self.log_scale.copy_(torch.log(0.5 * scale))

    def forward(self, values: Tensor, filled: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale, each (B, C, T, h, w) in latent units.

        values: (B, C, T, h, w) latents as they are coded; filled: the same as the reader has them after filling;
        log_scale: (B,) log2 of the inverse step scale."""
        batch, _, steps, height, width = values.shape
        rate = log_scale.view(batch, 1, 1, 1).repeat_interleave(steps, 0).expand(-1, 1, height, width)
        typical = self.scale.view(1, -1, 1, 1)
        past = torch.cat([torch.zeros_like(filled[:, :, :1]), filled[:, :, :-1]], 2).transpose(1, 2).flatten(0, 1)
        later = torch.ones(batch, steps, 1, 1, 1, device=values.device)
        later[:, 0] = 0
        later = later.flatten(0, 1)  # (B*T, 1, 1, 1): 0 for first latent frames
        inputs = torch.cat([past / typical, rate], dim=1).contiguous(memory_format=torch.channels_last)
        features = self.net[:4](inputs)
        shift, spread = self.net[4](features).float().chunk(2, dim=1)
        start = F.softplus(self.first).add(1e-3).log().view(1, -1, 1, 1)
        mean = later * (self.gate.view(1, -1, 1, 1) * past + shift * typical)
        log_size = later * (self.log_scale.view(1, -1, 1, 1) + spread) + (1 - later) * start

        seen = chessboard(height, width, values.device)
        surprise = (values.transpose(1, 2).flatten(0, 1) - mean) * seen / typical
        plane = seen.expand(batch * steps, 1, height, width)
        context = torch.cat([surprise, surprise.abs(), plane, rate], dim=1).contiguous(
            memory_format=torch.channels_last
        )
        hidden = F.silu(self.beside(context) + later * self.beside_features(features))
        shift, spread = (self.beside_leave(hidden).float() * (1 - seen)).chunk(2, dim=1)
        mean = mean + shift * typical
        size = torch.exp((log_size + spread).clamp(-8, 8))
        mean, size = (t.unflatten(0, (batch, steps)).transpose(1, 2) for t in (mean, size))
        return mean, size
