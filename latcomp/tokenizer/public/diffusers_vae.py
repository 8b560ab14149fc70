"""The video autoencoders of diffusers, each called as its pipelines call it. Tiling stays off."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from latcomp.tokenizer.public.vae import Vae

IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DECODE_TIMESTEP = 0.05  # what the pipelines of LTX decode finished latents at


class WindowVae(Vae):
    """One call of `encode` or `decode` for a window. Takes what all classes of diffusers have in common."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module
        self.config = module.config

    def encode(self, pixels: Tensor) -> Tensor:  # noqa: D102
        found: Tensor = self.module.encode(pixels).latent_dist.mode()
        return found

    def decode(self, latents: Tensor) -> Tensor:  # noqa: D102
        found: Any = self.module.decode(latents)
        pixels: Tensor = getattr(found, "sample", found)
        return pixels

    def normalisation(self) -> tuple[Tensor, Tensor] | None:
        """What pipelines normalise latents by, from buffers or the configuration: mean and deviation of each channel,
        or a shift and a scale of all. A table over time (Cosmos) is averaged: a scene that does not change must not
        change by its place."""
        mean, deviation = (self._statistic(name) for name in ("latents_mean", "latents_std"))
        scale = float(self.config.get("scaling_factor") or 1.0)
        if mean is not None and deviation is not None:
            return mean, deviation / scale
        shift = float(self.config.get("shift_factor") or 0.0)
        if scale == 1.0 and not shift:
            return None
        return torch.tensor([shift]), torch.tensor([1.0 / scale])

    def _statistic(self, name: str) -> Tensor | None:
        buffer = dict(self.module.named_buffers()).get(name)
        found = self.config.get(name) if buffer is None else buffer
        if found is None:
            return None
        values = torch.as_tensor(found, dtype=torch.float32, device="cpu").flatten()
        channels = next((int(self.config[key]) for key in ("latent_channels", "z_dim") if key in self.config), None)
        if channels and len(values) > channels and len(values) % channels == 0:
            return values.view(channels, -1).mean(1)
        return values


class HunyuanVae(WindowVae):
    """HunyuanVideo: convolutions and attention are causal, but its group norms take their statistics over the window
    (measured on random weights: later frames change earlier latents by 2 to 3 %)."""

    looks_ahead = True


class MagvitVae(WindowVae):
    """Magvit (EasyAnimate), which keeps its state in its modules: after a failure what is left must go."""

    def encode(self, pixels: Tensor) -> Tensor:  # noqa: D102
        try:
            return super().encode(pixels)
        except Exception:
            self.module._clear_conv_cache()
            raise

    def decode(self, latents: Tensor) -> Tensor:  # noqa: D102
        try:
            return super().decode(latents)
        except Exception:
            self.module._clear_conv_cache()
            raise


class LtxVae(WindowVae):
    """LTX 0.9, 0.9.5 and later, LTX-2: a decoder that may want a timestep, and may add noise."""

    def decode(self, latents: Tensor) -> Tensor:  # noqa: D102
        settings = {}
        if self.config.get("timestep_conditioning"):
            settings["temb"] = torch.full((len(latents),), DECODE_TIMESTEP, dtype=latents.dtype, device=latents.device)
        devices = [latents.device] if latents.device.type == "cuda" else []
        with torch.random.fork_rng(devices):  # 0.9.1 adds noise: always the same
            torch.manual_seed(0)
            pixels: Tensor = self.module.decode(latents, **settings).sample
        return pixels


class VidTokVae(WindowVae):
    """VidTok wants temporal - 1 repetitions of the first frame in front; its decoder cuts them off."""

    def encode(self, pixels: Tensor) -> Tensor:  # noqa: D102
        front = pixels[:, :, :1].expand(-1, -1, self.module.temporal_compression_ratio - 1, -1, -1)
        return super().encode(torch.cat([front, pixels], dim=2))


class MiniMaxVae(WindowVae):
    """MiniMax-H3 in single chunks of 17 frames and 5 latent frames, pixels normalised as ImageNet's.

    The class cross-fades each decoded chunk with a few frames that it decodes of the next one; here a chunk is decoded
    as the class decodes a last one, its last latent frame repeated."""

    chunk = 4
    low, high = 0.0, 1.0

    def encode(self, pixels: Tensor) -> Tensor:  # noqa: D102
        mean, deviation = self._imagenet(pixels)
        clips = ((pixels - mean) / deviation).split(self.config.clip_length, dim=2)
        moments = [self.module.quant_conv(self.module.encoder(clip)) for clip in clips]
        return torch.cat(moments, dim=2).chunk(2, dim=1)[0]

    def decode(self, latents: Tensor) -> Tensor:  # noqa: D102
        chunks = latents.split(self.chunk + 1, dim=2)
        mean, deviation = self._imagenet(latents)
        pixels = torch.cat([super(MiniMaxVae, self).decode(chunk) for chunk in chunks], dim=2)
        return pixels * deviation + mean

    def _imagenet(self, like: Tensor) -> tuple[Tensor, Tensor]:
        """(mean, deviation), each (1, 3, 1, 1, 1)."""
        values = like.new_tensor([IMAGENET_MEAN, IMAGENET_DEVIATION]).view(2, 1, 3, 1, 1, 1)
        return values[0], values[1]
