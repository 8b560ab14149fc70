"""How much goes through a tokenizer's networks at once, and its decoder over a stream in such pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from latcomp.stages import stage
from latcomp.tokenizer.base import DecoderCondition, TokenizerSpec, VideoTokenizer

PIECE_PIXELS = 4 * 1280 * 720  # pixels that go through the network at once: bounds memory, fills the cores


def latent_frames_at_once(spec: TokenizerSpec, height: int, width: int, most: int) -> int:
    """Latent frames of pictures of this size to run through a network at once: at least 1, at most `most`, which it is
    for a tokenizer that must see a whole group at once.
    """
    if not spec.exact_streaming:
        return most
    return int(min(max(PIECE_PIXELS // (height * width) // spec.temporal, 1), most))


class DecodingStream:
    """One stream of a tokenizer's decoder, latents in and pixels out."""

    def __init__(self, tokenizer: VideoTokenizer, half: bool, state: Any = None) -> None:
        """half: whether the network computes in bf16; state: of the stream so far, None at its start."""
        self.tokenizer, self.half, self.state = tokenizer, half, state

    def restart(self) -> None:
        """Begin a new stream."""
        self.state = None

    def decode(self, latents: Tensor, condition: DecoderCondition | None) -> Iterator[Tensor]:
        """Pixels (1, 3, frames, H, W) of the stream's next latents (1, C, T, h, w), piece by piece."""
        spec, steps = self.tokenizer.spec, latents.shape[2]
        height, width = (side * spec.spatial for side in latents.shape[3:])
        piece = latent_frames_at_once(spec, height, width, steps)
        for start in range(0, steps, piece):
            here = latents[:, :, start : start + piece]
            with stage("tokenizer"), torch.autocast(latents.device.type, torch.bfloat16, enabled=self.half):
                pixels, self.state = self.tokenizer.decode(here, self.state, cut(condition, start, start + piece))
            yield pixels


def cut(condition: DecoderCondition | None, start: int, end: int) -> DecoderCondition | None:
    """The condition of the latent frames from `start` to `end`."""
    if condition is None or condition.step_halvings is None:
        return condition
    return replace(condition, step_halvings=condition.step_halvings[:, start:end])
