"""Our causal 8x8x4 tokenizer: a linear path that starts as principal components, and a network beside it.

Latents are `(B, C, T, h, w)` in units of the quantiser: at step scale 1 they are meant to be rounded to integers, so at
scale `k` a latent is stored as round(z / k). Pixels are `(B, 3, 4*T, 8*h, 8*w)` RGB in [-1, 1].

All work is done at latent resolution, on features `(B*T, W, h, w)` of T consecutive latent frames of B clips in
channels-last memory. Time enters only through `previous`: each latent frame sees its predecessor's features. The first
latent frame of a stream sees itself (replication): zero padding would make a static scene "change" at its start."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from latcomp.errors import UsageError
from latcomp.tokenizer.base import DecoderCondition
from latcomp.tokenizer.cv8x8x4.config import PATCH_VALUES, SPATIAL, TEMPORAL, TokenizerConfig
from latcomp.tokenizer.cv8x8x4.exact import Conv2d

CONDITIONED_SCALES = (-2.5, 4.25)
"""log2 of the inverse step scale that the decoder is told: what it was trained with and a little beyond."""
EXACT_SCALE = 0.2
"""The finest step scale the decoder was trained with: exact latents need none of the smoothing that coarse steps ask
for."""


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


class Trunk(nn.Module):
    """A pointwise entry, residual blocks with memory, a pointwise exit that starts at zero."""

    def __init__(
        self, config: TokenizerConfig, inputs: int, width: int, outputs: int, blocks: int, conditioned: bool
    ) -> None:
        super().__init__()
        self.width = width
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
        x = self.enter(x)  # (B*T, W, h, w)
        after = []
        for index, block in enumerate(self.blocks):
            shifted, last = previous(x, batch, None if state is None else state.features[index])
            after.append(last)
            x = block(x, shifted, log_scale)
        return self.leave(F.silu(x)), StreamState(after)


class Encoder(nn.Module):
    """Pixels to latents."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.linear = Conv2d(PATCH_VALUES, config.channels, 1)
        self.trunk = Trunk(
            config, PATCH_VALUES, config.encoder_width, config.channels, config.encoder_blocks, conditioned=False
        )

    def forward(self, pixels: Tensor, state: StreamState | None = None) -> tuple[Tensor, StreamState]:
        """Latents (B, C, T, h, w) of pixels (B, 3, 4*T, 8*h, 8*w), and the state for the frames that follow."""
        batch = pixels.shape[0]
        patches = rearrange(  # (B*T, h, w, 768): channels-last memory in one pass
            pixels, "b c (t pt) (h ph) (w pw) -> (b t) h w (c pt ph pw)", pt=TEMPORAL, ph=SPATIAL, pw=SPATIAL
        )
        patches = patches.permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)  # (B*T, 768, h, w)
        correction, after = self.trunk(patches, batch, state)  # (B*T, C, h, w)
        with torch.autocast(patches.device.type, enabled=False):
            # the linear path carries most of the energy: bf16 would cost it two bits
            latents = self.linear(patches) + correction.float()
        return rearrange(latents, "(b t) c h w -> b c t h w", b=batch), after


class Decoder(nn.Module):
    """Latents to pixels."""

    input_scale: Tensor

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.linear = nn.Conv2d(config.channels, PATCH_VALUES, 1)
        # typical size of each channel, so that the network sees inputs near 1; fixed when training starts
        self.register_buffer("input_scale", torch.ones(config.channels))
        self.trunk = Trunk(
            config, config.channels, config.decoder_width, PATCH_VALUES, config.decoder_blocks, conditioned=True
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
            log_scale = log_scale.view(batch, 1, 1, 1, 1).expand(-1, -1, steps, -1, -1)  # (B, 1, T, 1, 1)
        per_frame = rearrange(log_scale, "b 1 t h w -> (b t) 1 h w")
        scaled = x / self.input_scale.view(1, -1, 1, 1)
        correction, after = self.trunk(scaled, batch, state, per_frame)  # (B*T, 768, h, w)
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
        return pixels, after


class Tokenizer(nn.Module):
    """The tokenizer, a `latcomp.tokenizer.base.MovableTokenizer`: `encode` and `decode` for whole clips and, with a
    state, for pieces of a stream."""

    def __init__(self, config: TokenizerConfig) -> None:
        super().__init__()
        self.config, self.spec = config, config.spec
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

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

    def move(self, state: StreamState, down: int, right: int, grid: tuple[int, int]) -> StreamState:
        """The state over another box of positions: see `MovableTokenizer.move`."""
        moved = []
        for features in state.features:
            rows = (torch.arange(grid[0], device=features.device) + down).clamp(0, features.shape[2] - 1)
            columns = (torch.arange(grid[1], device=features.device) + right).clamp(0, features.shape[3] - 1)
            moved.append(features[:, :, rows][:, :, :, columns])
        return StreamState(moved)

    def decode(
        self, latents: Tensor, state: StreamState | None = None, condition: DecoderCondition | None = None
    ) -> tuple[Tensor, StreamState]:
        """Pixels `(B, 3, 4*T, H, W)` in [-1, 1] of latents `(B, C, T, H/8, W/8)`, and the state to decode on from.

        condition: the decoder smooths more where steps are coarse; None is for exact latents. Raises `UsageError` when
        the channels do not match."""
        if latents.dim() != 5 or latents.shape[1] != self.config.channels:
            raise UsageError(f"latents must be (B, {self.config.channels}, T, h, w), not {tuple(latents.shape)}")
        scale = EXACT_SCALE if condition is None else condition.step_scale
        log_scale = -torch.log2(latents.new_full((latents.shape[0],), scale))  # (B,)
        if condition is not None and condition.step_halvings is not None:
            halvings = condition.step_halvings.unsqueeze(1).to(latents.dtype)
            log_scale = log_scale.view(-1, 1, 1, 1, 1) + halvings  # (B, 1, T, h, w)
        pixels, after = self.decoder(latents, log_scale.clamp(*CONDITIONED_SCALES), state)
        return pixels.clamp(-1, 1), after
