"""The rate term of the tokenizer's training: bits of quantised latents given the previous latent frame.

It only shapes the latents. No part of it is used to write or read a file.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latcomp.tokenizer.blocks import start_at_zero

LAPLACE_FLOOR = 0.05  # smallest Laplace scale, in quantiser steps
BITS_CAP = 20.0  # most bits one value may cost


def laplace_bits(values: Tensor, mean: Tensor, scale: Tensor) -> Tensor:
    """Bits of values under a Laplace density integrated over unit bins: -log2(F(v + 1/2) - F(v - 1/2)).

    Written with the distance to the mean so that the far tail keeps a gradient. All tensors of one shape, in quantiser steps.
    """
    scale = scale + LAPLACE_FLOOR
    distance = (values - mean).abs()
    near = 1 - torch.exp(-0.5 / scale) * torch.cosh(torch.minimum(distance, distance.new_tensor(0.5)) / scale.clamp_min(0.02))
    # distance > 1/2: both edges on one side of the mean, mass = exp(-d / b) * sinh(1 / 2b)
    far = (distance - 0.5) / scale - torch.log(0.5 * (1 - torch.exp(-1 / scale)))
    bits = torch.where(distance < 0.5, -torch.log(near.clamp_min(1e-7)), far) / 0.6931472
    return bits.clamp(max=BITS_CAP)


class PreviousFramePrior(nn.Module):
    """Laplace mean and scale of each latent from the previous latent frame; a learned constant for first frames."""

    scale: Tensor

    def __init__(self, channels: int, scale: Tensor, width: int = 96) -> None:
        """scale: (C,) typical size of each channel, where the learned scales start."""
        super().__init__()
        self.register_buffer("scale", scale.clone())
        self.first = nn.Parameter(torch.log(scale).clone())
        self.log_scale = nn.Parameter(torch.log(0.5 * scale).clone())
        self.gate = nn.Parameter(torch.full((channels,), 0.5))
        self.net = nn.Sequential(
            nn.Conv2d(channels + 1, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, width, 3, padding=1), nn.SiLU(),
            nn.Conv2d(width, 2 * channels, 1),
        )  # fmt: skip
        start_at_zero(self.net[-1])

    def forward(self, noisy: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and scale, each (B, C, T, h, w) in latent units, for every latent frame from its predecessor.

        noisy: (B, C, T, h, w) latents as the decoder sees them; log_scale: (B,) log2 of the inverse step scale.
        """
        batch, channels, steps, height, width = noisy.shape
        past = noisy[:, :, :-1].transpose(1, 2).flatten(0, 1)  # (B*(T-1), C, h, w)
        rate = log_scale.view(batch, 1, 1, 1).repeat_interleave(steps - 1, 0).expand(-1, 1, height, width)
        inputs = torch.cat([past / self.scale.view(1, -1, 1, 1), rate], dim=1).contiguous(memory_format=torch.channels_last)
        shift, spread = self.net(inputs).float().chunk(2, dim=1)
        mean = self.gate.view(1, -1, 1, 1) * past + shift * self.scale.view(1, -1, 1, 1)
        size = torch.exp((self.log_scale.view(1, -1, 1, 1) + spread).clamp(-8, 8))
        mean, size = (t.unflatten(0, (batch, steps - 1)).transpose(1, 2) for t in (mean, size))
        zero = torch.zeros_like(noisy[:, :, :1])
        start = zero + F.softplus(self.first).add(1e-3).view(1, -1, 1, 1, 1)
        return torch.cat([zero, mean], dim=2), torch.cat([start, size], dim=2)
