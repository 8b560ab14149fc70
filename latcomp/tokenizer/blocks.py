"""Residual blocks at latent resolution with a memory of one latent frame.

All blocks work on `(B*T, W, h, w)` features, T consecutive latent frames of B clips, in channels-last memory. Time
enters only through `previous`: each latent frame sees its predecessor's features. The first latent frame of a stream
sees itself (replication): zero padding would make a static scene "change" at its start."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latcomp.tokenizer.exact import Conv2d

State = list[Tensor]
"""One `(B, W, h, w)` tensor a block: the last latent frame's features that the next call's first one sees."""


def start_at_zero(layer: nn.Module) -> None:
    """Set a layer's weight and bias to zero, so that a residual branch starts as nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def previous(x: Tensor, batch: int, last: Tensor | None) -> tuple[Tensor, Tensor]:
    """Features shifted by one latent frame, and what the next call needs as `last`.

    x: (B*T, W, h, w); last: (B, W, h, w) or None at the start of a stream, where the first latent frame is replicated.
    """
    frames = x.unflatten(0, (batch, -1))  # (B, T, W, h, w)
    first = frames[:, 0] if last is None else last
    shifted = torch.cat([first.unsqueeze(1), frames[:, :-1]], dim=1)
    return shifted.flatten(0, 1).contiguous(memory_format=torch.channels_last), frames[:, -1]


class DepthwiseBlock(nn.Module):
    """x + pointwise(SiLU(pointwise(depthwise causal convolution over two latent frames)))."""

    def __init__(self, width: int, kernel: int, expansion: int, conditioned: bool) -> None:
        super().__init__()
        pad = kernel // 2
        self.now = nn.Conv2d(width, width, kernel, padding=pad, groups=width)
        self.before = nn.Conv2d(width, width, kernel, padding=pad, groups=width, bias=False)
        self.expand = nn.Conv2d(width, expansion * width, 1)
        self.project = nn.Conv2d(expansion * width, width, 1)
        self.rate = nn.Parameter(torch.zeros(1, expansion * width, 1, 1)) if conditioned else None
        start_at_zero(self.project)

    def forward(self, x: Tensor, shifted: Tensor, log_scale: Tensor | None) -> Tensor:
        """x, shifted: (B*T, W, h, w); log_scale: (B*T, 1, 1, 1), log2 of the quantiser's inverse step."""
        hidden = self.expand(self.now(x) + self.before(shifted))
        if self.rate is not None and log_scale is not None:
            hidden = hidden + self.rate * log_scale
        found: Tensor = x + self.project(F.silu(hidden))
        return found

    @staticmethod
    def macs(width: int, kernel: int, expansion: int) -> int:
        """Multiply-adds per position."""
        return 2 * kernel * kernel * width + 2 * expansion * width * width


class DenseBlock(nn.Module):
    """x + conv3x3(SiLU(conv3x3(x and half of the previous latent frame's features)))."""

    def __init__(self, width: int, conditioned: bool) -> None:
        super().__init__()
        self.remembered = width // 2
        self.first = Conv2d(width + self.remembered, width, 3, padding=1)
        self.second = Conv2d(width, width, 3, padding=1)
        self.rate = nn.Parameter(torch.zeros(1, width, 1, 1)) if conditioned else None
        start_at_zero(self.second)

    def forward(self, x: Tensor, shifted: Tensor, log_scale: Tensor | None) -> Tensor:
        """x, shifted: (B*T, W, h, w); log_scale: (B*T, 1, 1, 1), log2 of the quantiser's inverse step."""
        hidden = self.first(torch.cat([x, shifted[:, : self.remembered]], dim=1))
        if self.rate is not None and log_scale is not None:
            hidden = hidden + self.rate * log_scale
        found: Tensor = x + self.second(F.silu(hidden))
        return found

    @staticmethod
    def macs(width: int) -> int:
        """Multiply-adds per position."""
        return 9 * (width + width // 2) * width + 9 * width * width


class Trunk(nn.Module):
    """A pointwise entry, residual blocks with memory, a pointwise exit that starts at zero."""

    def __init__(
        self,
        inputs: int,
        width: int,
        outputs: int,
        blocks: int,
        kind: str,
        kernel: int,
        expansion: int,
        conditioned: bool,
    ) -> None:
        super().__init__()
        self.width = width
        self.enter = Conv2d(inputs, width, 1)
        self.blocks = nn.ModuleList(
            DenseBlock(width, conditioned) if kind == "dense" else DepthwiseBlock(width, kernel, expansion, conditioned)
            for _ in range(blocks)
        )
        self.leave = Conv2d(width, outputs, 1)
        start_at_zero(self.leave)

    def forward(
        self, x: Tensor, batch: int, state: State | None, log_scale: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """(B*T, outputs, h, w) from (B*T, inputs, h, w), and the state after the last latent frame."""
        x = self.enter(x)
        after: State = []
        for index, block in enumerate(self.blocks):
            shifted, last = previous(x, batch, None if state is None else state[index])
            after.append(last)
            x = block(x, shifted, log_scale)
        return self.leave(F.silu(x)), after
