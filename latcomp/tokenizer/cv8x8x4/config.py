"""The configuration of a cv8x8x4 tokenizer, saved beside the weights it shaped, and the specification that follows from
it. No torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latcomp.tokenizer.base import TokenizerSpec

SPATIAL = 8  # pixels per side of the patch one token stands for
TEMPORAL = 4  # frames one latent frame stands for
PATCH_VALUES = 3 * TEMPORAL * SPATIAL * SPATIAL  # 768
PIXELS_PER_TOKEN = SPATIAL * SPATIAL * TEMPORAL  # 256
ARCHITECTURE = "cv8x8x4"


@dataclass(frozen=True)
class TokenizerConfig:
    """Everything that shapes a tokenizer, apart from its weights."""

    name: str = "cv8x8x4"
    """Public name, as `latcomp models` lists it."""
    channels: int = 96
    """Latent channels C. The rate term silences most of them at coarse steps; the others are what fine steps need."""
    encoder_width: int = 128
    encoder_blocks: int = 3
    decoder_width: int = 160
    decoder_blocks: int = 4
    block: str = "dense"
    """'dense' (two 3x3 convolutions) or 'depthwise' (depthwise causal convolution and pointwise layers). At equal
    multiply-adds dense blocks run about twice as fast on CPUs with bf16, and learnt more in equal time."""
    kernel: int = 3
    """Side of the depthwise kernels, in positions."""
    expansion: int = 2
    """Hidden width of a depthwise block's pointwise layers over its width."""
    channel_mean: tuple[float, ...] = ()
    """Mean of each latent channel over the training clips, C numbers; empty before training."""
    channel_deviation: tuple[float, ...] = ()
    """Standard deviation of each latent channel over the training clips, C numbers."""
    channel_scale: tuple[float, ...] = ()
    """Scale that makes a change in one channel comparable to a change in another, C numbers; empty: all 1."""
    channel_step: tuple[float, ...] = ()
    """Quantiser step of each channel at step scale 1, C numbers; empty: all 1."""

    @property
    def spec(self) -> TokenizerSpec:
        """What is known of a tokenizer of this configuration."""
        ones = (1.0,) * self.channels
        return TokenizerSpec(
            self.name,
            self.channels,
            SPATIAL,
            TEMPORAL,
            first_frames=TEMPORAL,  # patches of 4 frames from the first on: a still scene has no start-up transient
            channel_step=self.channel_step or ones,
            channel_scale=self.channel_scale or ones,
            # each block looks one latent frame back; one more, and what comes out at the end is right too
            decoder_reach=self.decoder_blocks + 1,
            conditioned=True,
            movable=True,
            steps_known=True,
        )

    def save(self, path: Path) -> None:
        """Write the configuration as JSON to `path`."""
        members = {"kind": "tokenizer", "architecture": ARCHITECTURE, **asdict(self)}
        path.write_text(json.dumps(members, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, members: Mapping[str, Any]) -> TokenizerConfig:
        """The configuration of a JSON object; raises `KeyError` or `TypeError` on unknown or missing members."""
        fields = {name: value for name, value in members.items() if name not in ("kind", "architecture")}
        for name in ("channel_mean", "channel_deviation", "channel_scale", "channel_step"):
            fields[name] = tuple(fields[name])
        return cls(**fields)


def macs_per_pixel(config: TokenizerConfig) -> tuple[float, float]:
    """Multiply-adds per pixel of the encoder and of the decoder, counted from the shapes.

    One position stands for 8 x 8 x 4 = 256 pixels.
    """

    def block(width: int) -> int:
        if config.block == "dense":  # two 3x3 convolutions; the first sees half of the previous features as well
            return 9 * (width + width // 2) * width + 9 * width * width
        # depthwise over two latent frames, then out and back in
        return 2 * config.kernel * config.kernel * width + 2 * config.expansion * width * width

    def trunk(inputs: int, width: int, outputs: int, blocks: int) -> int:
        return inputs * width + blocks * block(width) + width * outputs

    linear = PATCH_VALUES * config.channels
    encoder = linear + trunk(PATCH_VALUES, config.encoder_width, config.channels, config.encoder_blocks)
    decoder = linear + trunk(config.channels, config.decoder_width, PATCH_VALUES, config.decoder_blocks)
    return encoder / PIXELS_PER_TOKEN, decoder / PIXELS_PER_TOKEN
