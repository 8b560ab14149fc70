"""A LIT's error as a viewer has it: in pixels, through the frozen tokenizer's decoder.

In latents hold's error is largely rounding, which the decoder smooths; a LIT that is trained on latents alone corrects
what nobody sees. A fill is measured against what the decoder makes of the true latents when it is told that they are
exact, which is nearly the source: told of coarse steps it smooths true latents too, and a LIT that came nearer to that
was further from the source."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from latcomp.tokenizer.base import DecoderCondition, VideoTokenizer
from latcomp.training.components import luma_chroma
from latcomp.training.feed import Batch

FLOOR = 0.02  # grey levels squared: less than that nobody sees


class PixelErrors:
    """Decodes the groups of a batch, each as the start of a stream."""

    def __init__(self, tokenizer: VideoTokenizer) -> None:
        self.tokenizer = tokenizer
        low, high = tokenizer.spec.pixel_range
        self.levels = 255 / (high - low)

    def __call__(self, filled: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Squared error, in grey levels of luma and weighted chroma, of the fill and of hold, each (B,), means over the
        pixels that are visible; at least `FLOOR`.

        filled: (B, C, T, h, w)."""
        pairs = [self._one(filled, batch, index) for index in range(len(filled))]
        found, hold = (torch.stack(each) for each in zip(*pairs, strict=True))
        return found + FLOOR, hold + FLOOR

    def _one(self, filled: Tensor, batch: Batch, index: int) -> tuple[Tensor, Tensor]:
        one = slice(index, index + 1)
        condition = DecoderCondition(float(batch["step_scale"][index]), batch["halvings"][one])
        with torch.no_grad():
            truth = self._decoded(batch["truth"][one], None)
            hold = self._decoded(batch["held"][one], condition)
        shown = F.interpolate(batch["visible"][one].float().unsqueeze(1), size=truth.shape[2:])[:, 0]
        count = shown.sum().clamp_min(1)

        def squared(pixels: Tensor) -> Tensor:
            planes = luma_chroma((pixels - truth) * self.levels)
            return torch.stack([(plane.square() * shown).sum() / count for plane in planes]).sum()

        return squared(self._decoded(filled[one], condition)), squared(hold)

    def _decoded(self, latents: Tensor, condition: DecoderCondition | None) -> Tensor:
        """Pixels (1, 3, frames, H, W), float32."""
        return self.tokenizer.decode(latents, None, condition)[0].float()
