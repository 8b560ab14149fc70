"""The network of our tokenizer: residual blocks at latent resolution, each of which remembers the last latent frame.

Features are `(B*T, W, h, w)` of T consecutive latent frames of B clips in channels-last memory. Time enters only by
`previous`: each latent frame sees its predecessor's features. The first latent frame of a stream sees itself
(replication): zero padding would make a static scene "change" at its start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latcomp.tokenizer.cv8x8x4.config import TokenizerConfig
from latcomp.tokenizer.cv8x8x4.exact import Conv2d, applies, empty


@dataclass(frozen=True)
class StreamState:
    """What a stream carries from one piece to the next: of each block a `(B, W, h, w)` tensor, the last latent frame's
    features that the next call's first one sees."""

    features: list[Tensor]


def start_at_zero(layer: nn.Module) -> None:
    """Set a layer's weight and bias to zero, so that a residual branch starts as nothing."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)


def previous(x: Tensor, batch: int, last: Tensor | None) -> tuple[Tensor, Tensor]:
    """Features shifted by one latent frame, and what the next call needs as `last`.

    x: (B*T, W, h, w); last: (B, W, h, w) or None at the start of a stream, where the first latent frame is replicated.
    """
    frames = x.unflatten(0, (batch, -1))  # (B, T, W, h, w)
    first = frames[:, 0] if last is None else last  # (B, W, h, w)
    shifted = torch.cat([first.unsqueeze(1), frames[:, :-1]], dim=1)  # (B, T, W, h, w)
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
        made: Tensor = x + self.project(F.silu(hidden))
        return made


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
        made: Tensor = x + self.second(F.silu(hidden))
        return made

    def run(self, seen: Tensor, hidden: Tensor, log_scale: Tensor | None, last: bool) -> None:
        """The same in place, where `Conv2d` is exact: what each convolution made goes on while it is in the cache.

        seen: (B*T, W + W/2, h, w): x, then half of the previous latent frame's features; x becomes the result, under a
        SiLU if it is the `last` one. hidden: (B*T, W, h, w), for what is between the convolutions. Both channels-last.
        """
        rate = self.rate if log_scale is not None else None

        def between(made: Tensor, sample: int, channels: slice) -> None:
            if rate is not None and log_scale is not None:
                told = log_scale[sample : sample + 1]
                # in the memory layout of `made`: layouts that differ would make the sum slow
                out = None if told.numel() == 1 else torch.empty_like(made)
                made += torch.mul(rate[:, channels], told, out=out)
            hidden[sample : sample + 1, channels] = F.silu(made, inplace=True)

        def add(made: Tensor, sample: int, channels: slice) -> None:
            x = seen[sample : sample + 1, channels]
            made += x
            x.copy_(F.silu(made, inplace=True) if last else made)

        self.first.each(seen, between)
        self.second.each(hidden, add)


class Trunk(nn.Module):
    """A pointwise entry, residual blocks with memory, a pointwise exit that starts at zero."""

    def __init__(
        self, config: TokenizerConfig, inputs: int, width: int, outputs: int, blocks: int, conditioned: bool
    ) -> None:
        super().__init__()
        self.width = width
        self.dense = config.block == "dense" and blocks > 0
        self.enter = Conv2d(inputs, width, 1)
        self.blocks = nn.ModuleList(
            DenseBlock(width, conditioned)
            if config.block == "dense"
            else DepthwiseBlock(width, config.kernel, config.expansion, conditioned)
            for _ in range(blocks)
        )
        self.leave = Conv2d(width, outputs, 1)
        start_at_zero(self.leave)

    def forward(
        self, x: Tensor, batch: int, state: StreamState | None, log_scale: Tensor | None = None
    ) -> tuple[Tensor, StreamState]:
        """(B*T, outputs, h, w) from (B*T, inputs, h, w), and the state after the last latent frame."""
        if self.in_place(x):
            features, streamed = self.run(x, batch, state, log_scale)
            return self.leave(features), streamed
        x = self.enter(x)  # (B*T, W, h, w)
        after = []
        for index, block in enumerate(self.blocks):
            shifted, last = previous(x, batch, None if state is None else state.features[index])
            after.append(last)
            x = block(x, shifted, log_scale)
        return self.leave(F.silu(x)), StreamState(after)

    def in_place(self, x: Tensor) -> bool:
        """Whether `run` is what `forward` does of `x`."""
        return self.dense and applies(x)

    def run(
        self, x: Tensor, batch: int, state: StreamState | None, log_scale: Tensor | None
    ) -> tuple[Tensor, StreamState]:
        """What `forward` gives before its exit, (B*T, W, h, w), in memory that all blocks use."""
        half = self.width // 2
        seen, hidden = empty(x, self.width + half), empty(x, self.width)
        now = seen[:, : self.width]
        self.enter.into(now, x)
        frames, before = (part.unflatten(0, (batch, -1)) for part in (now, seen[:, self.width :]))  # (B, T, ., h, w)
        after = []
        for index, block in enumerate(self.blocks):
            first = frames[:, 0] if state is None else state.features[index]
            before[:, 0] = first[:, :half]
            before[:, 1:] = frames[:, :-1, :half]
            after.append(frames[:, -1].clone())
            cast(DenseBlock, block).run(seen, hidden, log_scale, last=index == len(self.blocks) - 1)
        return now, StreamState(after)
