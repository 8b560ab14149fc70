"""Our causal 8x8x4 tokenizer: a linear path that starts as principal components, and a network beside it.

Latents are `(B, C, T, h, w)` in units of the quantiser: at step scale 1 they are meant to be rounded to integers, so at
scale `k` a latent is stored as round(z / k). Pixels are `(B, 3, 4*T, 8*h, 8*w)` RGB in [-1, 1].

All work is done at latent resolution: see `latcomp.tokenizer.cv8x8x4.trunk`."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from latcomp.errors import UsageError
from latcomp.tokenizer.base import DecoderCondition
from latcomp.tokenizer.cv8x8x4.config import PATCH_VALUES, TokenizerConfig
from latcomp.tokenizer.cv8x8x4.exact import Conv2d, empty
from latcomp.tokenizer.cv8x8x4.patches import PATCH, PATCH_SIDES, RANGE, check_sides, to_frames, to_patches
from latcomp.tokenizer.cv8x8x4.trunk import StreamState, Trunk
from latcomp.tokenizer.pixels import as_levels, as_pixels

CONDITIONED_SCALES = (-2.5, 4.25)
"""log2 of the inverse step scale that the decoder is told: what it was trained with and a little beyond."""
EXACT_SCALE = 0.2
"""The finest step scale the decoder was trained with: exact latents need none of the smoothing that coarse steps ask
for."""


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
        patches = rearrange(  # (B*T, 768, h, w)
            pixels, f"b c (t pt) (h ph) (w pw) -> (b t) {PATCH} h w", **PATCH_SIDES
        )
        return self.of_patches(patches.contiguous(memory_format=torch.channels_last), batch, state)

    def of_patches(self, patches: Tensor, batch: int, state: StreamState | None) -> tuple[Tensor, StreamState]:
        """The same of patches (B*T, 768, h, w), in channels-last memory."""
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
        batch = latents.shape[0]
        x, scaled, per_frame = self._inputs(latents, log_scale)
        correction, after = self.trunk(scaled, batch, state, per_frame)  # (B*T, 768, h, w)
        with torch.autocast(x.device.type, enabled=False):
            patches = self.linear(x.float()) + correction.float()
        return rearrange(patches, f"(b t) {PATCH} h w -> b c (t pt) (h ph) (w pw)", b=batch, **PATCH_SIDES), after

    def _inputs(self, latents: Tensor, log_scale: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(latents (B*T, C, h, w) in channels-last memory, the same near 1, log_scale (B*T, 1, h or 1, w or 1))."""
        batch, _, steps = latents.shape[:3]
        x = rearrange(latents, "b c t h w -> (b t) c h w").contiguous(memory_format=torch.channels_last)
        if log_scale.dim() == 1:
            log_scale = log_scale.view(batch, 1, 1, 1, 1).expand(-1, -1, steps, -1, -1)  # (B, 1, T, 1, 1)
        return x, x / self.input_scale.view(1, -1, 1, 1), rearrange(log_scale, "b 1 t h w -> (b t) 1 h w")

    def frames(
        self, latents: Tensor, log_scale: Tensor, state: StreamState | None = None
    ) -> tuple[Tensor, StreamState]:
        """What `forward` gives, clipped and rounded to levels: frames (4*T, 8*h, 8*w, 3) uint8 of latents
        (1, C, T, h, w)."""
        x, scaled, per_frame = self._inputs(latents, log_scale)
        if not self.trunk.in_place(scaled):
            correction, after = self.trunk(scaled, 1, state, per_frame)
            with torch.autocast(x.device.type, enabled=False):
                levels = as_levels(self.linear(x.float()) + correction.float(), *RANGE)
        else:
            levels = empty(x, PATCH_VALUES, torch.uint8)

            def finish(made: Tensor, sample: int, channels: slice) -> None:
                bias = None if self.linear.bias is None else self.linear.bias[channels]
                made += F.conv2d(x[sample : sample + 1], self.linear.weight[channels], bias)
                levels[sample : sample + 1, channels] = as_levels(made, *RANGE)

            features, after = self.trunk.run(scaled, 1, state, per_frame)
            self.trunk.leave.each(features, finish)
        return to_frames(levels.permute(0, 2, 3, 1).contiguous()), after


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
        check_sides(*pixels.shape[2:])
        found: tuple[Tensor, StreamState] = self.encoder(pixels, state)
        return found

    def encode_frames(self, frames: Tensor, state: StreamState | None = None) -> tuple[Tensor, StreamState]:
        """See `FrameTokenizer`. Raises what `encode` raises."""
        check_sides(*frames.shape[:3])
        patches = as_pixels(to_patches(frames), *RANGE).permute(0, 3, 1, 2)
        return self.encoder.of_patches(patches, 1, state)

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
        pixels, after = self.decoder(latents, self._log_scale(latents, condition), state)
        return pixels.clamp(*RANGE), after

    def decode_frames(
        self, latents: Tensor, state: StreamState | None = None, condition: DecoderCondition | None = None
    ) -> tuple[Tensor, StreamState]:
        """See `FrameTokenizer`. Raises what `decode` raises."""
        return self.decoder.frames(latents, self._log_scale(latents, condition), state)

    def _log_scale(self, latents: Tensor, condition: DecoderCondition | None) -> Tensor:
        """What the decoder is told of the quantiser. Raises `UsageError` for latents of another number of channels."""
        if latents.dim() != 5 or latents.shape[1] != self.config.channels:
            raise UsageError(f"latents must be (B, {self.config.channels}, T, h, w), not {tuple(latents.shape)}")
        scale = EXACT_SCALE if condition is None else condition.step_scale
        log_scale = -torch.log2(latents.new_full((latents.shape[0],), scale))  # (B,)
        if condition is not None and condition.step_halvings is not None:
            halvings = condition.step_halvings.unsqueeze(1).to(latents.dtype)
            log_scale = log_scale.view(-1, 1, 1, 1, 1) + halvings  # (B, 1, T, h, w)
        return log_scale.clamp(*CONDITIONED_SCALES)
