"""The configuration of a tokenizer: a frozen dataclass that is saved beside the weights it shaped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

SPATIAL = 8  # pixels a side of the patch one token stands for
TEMPORAL = 4  # frames one latent frame stands for


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
    channel_mean: tuple[float, ...] = field(default=())
    """Mean of each latent channel over the training clips, C numbers; empty before training."""
    channel_deviation: tuple[float, ...] = field(default=())
    """Standard deviation of each latent channel over the training clips, C numbers."""
    channel_scale: tuple[float, ...] = field(default=())
    """Scale that makes a change in one channel comparable to a change in another, C numbers."""
    channel_step: tuple[float, ...] = field(default=())
    """Quantiser step of each channel at step scale 1, C numbers."""

    def save(self, path: Path) -> None:
        """Write the configuration as JSON to `path`."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, path: Path) -> TokenizerConfig:
        """Read a configuration back; raises `KeyError`/`TypeError` on unknown or missing fields."""
        fields = json.loads(path.read_text(encoding="utf-8"))
        for name in ("channel_mean", "channel_deviation", "channel_scale", "channel_step"):
            fields[name] = tuple(fields[name])
        return cls(**fields)
