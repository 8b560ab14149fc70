"""Our causal 8x8x4 tokenizer: a linear path that starts as principal components, and a network beside it.

Latents are `(B, C, T, h, w)` in units of the quantiser: at step scale 1 they are meant to be rounded to integers, so at
scale `k` a latent is stored as round(z / k). Pixels are `(B, 3, 4*T, 8*h, 8*w)` RGB in [-1, 1]."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor, nn

from latcomp.errors import UsageError
from latcomp.tokenizer.blocks import DenseBlock, DepthwiseBlock, State, Trunk
from latcomp.tokenizer.config import SPATIAL, TEMPORAL, TokenizerConfig
from latcomp.tokenizer.exact import Conv2d

PATCH_VALUES = 3 * TEMPORAL * SPATIAL * SPATIAL  # 768


@dataclass(frozen=True)
class StreamState:
    """What a stream carries from one piece to the next: the features each block remembers."""

    features: State


class Encoder(nn.Module):
    """Pixels to latents."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.linear = Conv2d(PATCH_VALUES, config.channels, 1)
        self.trunk = Trunk(
            PATCH_VALUES,
            config.encoder_width,
            config.channels,
            config.encoder_blocks,
            config.block,
            config.kernel,
            config.expansion,
            conditioned=False,
        )

    def forward(self, pixels: Tensor, state: StreamState | None = None) -> tuple[Tensor, StreamState]:
        """Latents (B, C, T, h, w) of pixels (B, 3, 4*T, 8*h, 8*w), and the state for the frames that follow."""
        batch = pixels.shape[0]
        patches = rearrange(
            pixels, "b c (t pt) (h ph) (w pw) -> (b t) (c pt ph pw) h w", pt=TEMPORAL, ph=SPATIAL, pw=SPATIAL
        )
        patches = patches.contiguous(memory_format=torch.channels_last)
        correction, after = self.trunk(patches, batch, None if state is None else state.features)
        with torch.autocast(patches.device.type, enabled=False):
            # the linear path carries most of the energy: bf16 would cost it two bits
            latents = self.linear(patches) + correction.float()
        return rearrange(latents, "(b t) c h w -> b c t h w", b=batch), StreamState(after)


class Decoder(nn.Module):
    """Latents to pixels."""

    input_scale: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.linear = nn.Conv2d(config.channels, PATCH_VALUES, 1)
        # typical size of each channel, so that the network sees inputs near 1; fixed when training starts
        self.register_buffer("input_scale", torch.ones(config.channels))
        self.trunk = Trunk(
            config.channels,
            config.decoder_width,
            PATCH_VALUES,
            config.decoder_blocks,
            config.block,
            config.kernel,
            config.expansion,
            conditioned=True,
        )

    def forward(
        self, latents: Tensor, log_scale: Tensor, state: StreamState | None = None
    ) -> tuple[Tensor, StreamState]:
        """Pixels (B, 3, 4*T, 8*h, 8*w) of latents (B, C, T, h, w), not clipped, and the state for what follows.

        log_scale: (B,) or (B, 1, T, h, w), log2 of the inverse step scale the latents were quantised with.
        """
        batch, _, steps = latents.shape[:3]
        x = rearrange(latents, "b c t h w -> (b t) c h w").contiguous(memory_format=torch.channels_last)
        if log_scale.dim() == 1:
            log_scale = log_scale.view(batch, 1, 1, 1, 1).expand(-1, -1, steps, -1, -1)
        per_frame = rearrange(log_scale, "b 1 t h w -> (b t) 1 h w")
        scaled = x / self.input_scale.view(1, -1, 1, 1)
        correction, after = self.trunk(scaled, batch, None if state is None else state.features, per_frame)
        with torch.autocast(x.device.type, enabled=False):
            patches = self.linear(x.float()) + correction.float()
        pixels = rearrange(
            patches,
            "(b t) (c pt ph pw) h w -> b c (t pt) (h ph) (w pw)",
            b=batch,
            c=3,
            pt=TEMPORAL,
            ph=SPATIAL,
            pw=SPATIAL,
        )
        return pixels, StreamState(after)


class Tokenizer(nn.Module):
    """The tokenizer: `encode` and `decode` for whole clips and, with a state, for pieces of a stream."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, pixels: Tensor, state: StreamState | None = None) -> tuple[Tensor, StreamState]:
        """Latents `(B, C, T, H/8, W/8)` of pixels `(B, 3, 4*T, H, W)` in [-1, 1], and the state to encode on from.

        Raises `UsageError` when a side is not a multiple of 8 or the frame count not one of 4.
        """
        if pixels.dim() != 5 or pixels.shape[1] != 3:
            raise UsageError(f"pixels must be (B, 3, T, H, W), not {tuple(pixels.shape)}")
        frames, height, width = pixels.shape[2:]
        if frames % TEMPORAL or height % SPATIAL or width % SPATIAL or not frames:
            raise UsageError(
                f"{frames} frames of {width}x{height} do not divide into patches of 8x8 pixels and 4 frames: pad them"
            )
        found: tuple[Tensor, StreamState] = self.encoder(pixels, state)
        return found

    def decode(
        self, latents: Tensor, state: StreamState | None = None, step_scale: float = 0.25, octaves: Tensor | None = None
    ) -> tuple[Tensor, StreamState]:
        """Pixels `(B, 3, 4*T, H, W)` in [-1, 1] of latents `(B, C, T, H/8, W/8)`, and the state to decode on from.

        step_scale: the scale of the quantiser steps behind the latents; the decoder smooths more where steps are
        coarse. octaves: (B, T, h, w), how many times the step behind each token was halved. Raises `UsageError` when
        the channels do not match."""
        if latents.dim() != 5 or latents.shape[1] != self.config.channels:
            raise UsageError(f"latents must be (B, {self.config.channels}, T, h, w), not {tuple(latents.shape)}")
        log_scale = -torch.log2(latents.new_full((latents.shape[0],), step_scale))
        if octaves is not None:
            log_scale = log_scale.view(-1, 1, 1, 1, 1) + octaves.unsqueeze(1).to(latents.dtype)
        log_scale = log_scale.clamp(-2.5, 4.25)
        pixels, after = self.decoder(latents, log_scale, state)
        return pixels.clamp(-1, 1), after

    def parameters_count(self) -> int:
        """Number of parameters of encoder and decoder together."""
        return sum(p.numel() for p in self.parameters())


def macs_per_pixel(config: TokenizerConfig) -> tuple[float, float]:
    """Multiply-adds per pixel of the encoder and of the decoder, counted from the shapes.

    One position stands for 8 x 8 x 4 = 256 pixels.
    """

    def trunk(inputs: int, width: int, outputs: int, blocks: int) -> int:
        block = (
            DenseBlock.macs(width)
            if config.block == "dense"
            else DepthwiseBlock.macs(width, config.kernel, config.expansion)
        )
        return inputs * width + blocks * block + width * outputs

    linear = PATCH_VALUES * config.channels
    per_position = SPATIAL * SPATIAL * TEMPORAL
    encoder = linear + trunk(PATCH_VALUES, config.encoder_width, config.channels, config.encoder_blocks)
    decoder = linear + trunk(config.channels, config.decoder_width, PATCH_VALUES, config.decoder_blocks)
    return encoder / per_position, decoder / per_position
