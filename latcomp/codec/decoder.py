"""Groups to frames under the models that a file names: tokens -> fill -> tokenizer.decode, with what one group leaves
to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latcomp.codec.groups import frames_a_piece, to_frames
from latcomp.codec.settings import check_fill
from latcomp.container import Group, Header
from latcomp.devices import decodes_in_bf16, memory_errors, pick_device
from latcomp.errors import UsageError
from latcomp.inpaint.fill import Filler, HoldState
from latcomp.selection import Quantiser, adjusted
from latcomp.selection.quantiser import Identity
from latcomp.stages import stage
from latcomp.tokenizer import registry
from latcomp.tokenizer.config import SPATIAL, TEMPORAL
from latcomp.tokenizer.model import StreamState

EXACT_SCALE = 0.2  # the finest step scale the tokenizer was trained with


@dataclass(frozen=True)
class _Unseen:
    """The end of a group that was filled and not decoded: latents (1, C, T, h, w), octaves (1, T, h, w), step scale."""

    latents: Tensor
    octaves: Tensor
    scale: float
    last_frames: int
    """Frames that its last latent frame stands for."""


class Decoder:
    """Loaded models for one kind of file; turns groups into frames."""

    def __init__(self, header: Header, device: str = "auto", fill: str = "auto", tokenizer: Path | None = None) -> None:
        check_fill(fill)
        self.header, self.fill, self.device = header, fill, pick_device(device)
        folder = registry.find_model(header.tokenizer, "tokenizer", tokenizer)
        registry.check_header(header, folder)
        lit = None
        with memory_errors(self.device):
            self.tokenizer = registry.load_tokenizer(folder).to(self.device)
            if header.lit is not None and fill != "hold":
                found = registry.find_model(header.lit, "lit", folder / "lit")
                lit = registry.load_lit(found).to(self.device)
            self.half = decodes_in_bf16(self.device)
        if fill == "lit" and lit is None:
            raise UsageError(
                "fill='lit': the file was written without a LIT; use fill='auto' or fill='hold'", settings=("fill",)
            )
        self.holding = HoldState()
        self.filler = Filler(lit, header.step_scale, self.device, self.half)
        step = np.array(self.tokenizer.config.channel_step, np.float32)
        self.step = step
        self._state: StreamState | None = None
        # each block looks one latent frame back; one more, and what comes out at the end is right too
        self._reach = self.tokenizer.config.decoder_blocks + 1
        self._unseen: list[_Unseen] = []

    def latents(self, group: Group) -> Tensor:
        """Filled latents (1, C, T, h, w) of the next group, on the device."""
        with memory_errors(self.device):
            return self._filled(group)[0]

    def _filled(self, group: Group) -> tuple[Tensor, Tensor]:
        """(filled latents (1, C, T, h, w), octaves of the steps behind them (1, T, h, w)) of the next group, on the
        device.
        """
        if group.key:
            self.holding.reset()
            self.filler.reset()
            self._state = None
            self._unseen.clear()
        scale = self.filler.step_scale = adjusted(self.header.step_scale, group.step_adjust)
        quantiser = (
            Identity() if self.header.coding == "lossless" else Quantiser(self.step, scale, units=self.header.units)
        )
        with stage("lit"):
            tokens = quantiser.dequantise(group.tokens.T).T
            held = self.holding.hold(np.ascontiguousarray(tokens, np.float32), group.mask, group.octaves)
            filled = self.filler.fill(held, group.fill if self.fill == "auto" else self.fill)
            return filled, torch.from_numpy(held.octaves).to(self.device).unsqueeze(0)

    @torch.inference_mode()
    def frames(self, group: Group) -> Iterator[np.ndarray]:
        """The group's frames, (H, W, 3) uint8 RGB, as many as it has times."""
        with memory_errors(self.device):
            latents, octaves = self._filled(group)
            self.last_skipped()
            left = len(group.pts)
            height, width = self.header.height, self.header.width
            for pixels in self._decoded(latents, octaves, self._scale()):
                with stage("tokenizer"):
                    made = to_frames(pixels, height, width)
                for frame in made:
                    if left > 0:
                        left -= 1
                        yield frame

    @torch.inference_mode()
    def skip(self, group: Group) -> None:
        """Take in a group whose frames are not wanted: filled, which is quick, and decoded later as far as what follows
        depends on it.
        """
        with memory_errors(self.device):
            latents, octaves = self._filled(group)
        last = len(group.pts) - TEMPORAL * (latents.shape[2] - 1)
        self._unseen.append(
            _Unseen(latents[:, :, -self._reach :].clone(), octaves[:, -self._reach :], self._scale(), last)
        )
        while sum(part.latents.shape[2] for part in self._unseen[1:]) >= self._reach:
            del self._unseen[0]

    @torch.inference_mode()
    def last_skipped(self) -> np.ndarray | None:
        """The last frame (H, W, 3) of the groups that were skipped last, which are caught up with; None when there are
        none.
        """
        found = None
        with memory_errors(self.device):
            for part in self._unseen:
                for pixels in self._decoded(part.latents, part.octaves, part.scale):
                    found = pixels
            if found is not None:
                with stage("tokenizer"):
                    frames = to_frames(found[:, :, -TEMPORAL:], self.header.height, self.header.width)
                found = frames[self._unseen[-1].last_frames - 1]
        self._unseen.clear()
        return found

    def _scale(self) -> float:
        """The step scale that the tokenizer's decoder is told; exact latents need none of the smoothing that coarse
        steps ask for.
        """
        return EXACT_SCALE if self.header.coding == "lossless" else self.filler.step_scale

    def _decoded(self, latents: Tensor, octaves: Tensor, scale: float) -> Iterator[Tensor]:
        """Pixels (1, 3, t, H, W) of the stream's next latents (1, C, T, h, w), piece by piece."""
        steps = latents.shape[2]
        piece = frames_a_piece(latents.shape[3] * SPATIAL, latents.shape[4] * SPATIAL, steps * TEMPORAL) // TEMPORAL
        for start in range(0, steps, piece):
            with stage("tokenizer"), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                pixels, self._state = self.tokenizer.decode(
                    latents[:, :, start : start + piece], self._state, scale, octaves[:, start : start + piece]
                )
            yield pixels
