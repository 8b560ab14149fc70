"""Frames to groups of latents, in bounded memory: pieces of frames go through the encoder as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latcomp.tokenizer.config import SPATIAL, TEMPORAL
from latcomp.tokenizer.model import StreamState, Tokenizer
from latcomp.video import AudioPacket, Frame

PIECE_PIXELS = 4 * 1280 * 720  # pixels that go through the network at once: bounds memory, fills the cores


@dataclass(frozen=True)
class EncodedGroup:
    """One group before selection: latents (C, T, h, w) float32, and the times of its frames."""

    index: int
    first_frame: int
    pts: np.ndarray
    latents: np.ndarray


def frames_a_piece(height: int, width: int, most: int) -> int:
    """Frames to run through a network at once: a multiple of 4, at least 4, at most `most`."""
    fitting = PIECE_PIXELS // (height * width) // TEMPORAL * TEMPORAL
    return int(min(max(fitting, TEMPORAL), most))


def to_pixels(frames: list[np.ndarray], device: torch.device) -> Tensor:
    """(1, 3, T, H, W) in [-1, 1] of RGB frames (h, w, 3) uint8: sides padded to multiples of 8 and T to one of 4, by repetition."""
    count = len(frames)
    stacked = np.stack(frames + [frames[-1]] * (-count % TEMPORAL))
    height, width = stacked.shape[1:3]
    bottom, right = -height % SPATIAL, -width % SPATIAL
    if bottom or right:
        stacked = np.pad(stacked, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge")
    pixels = torch.from_numpy(stacked).to(device).permute(3, 0, 1, 2).unsqueeze(0)
    return pixels.float().div_(127.5).sub_(1)


def to_frames(pixels: Tensor, height: int, width: int) -> np.ndarray:
    """(T, height, width, 3) uint8 RGB of pixels (1, 3, T, H, W) in [-1, 1]; the padding is cut off."""
    cut = pixels[0, :, :, :height, :width].float()
    return cut.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu().numpy()


class LatentStream:
    """Runs the encoder over a stream of frames and hands out whole groups; audio packets pass through in their place."""

    def __init__(self, tokenizer: Tokenizer, device: torch.device, group_frames: int) -> None:
        self.tokenizer, self.device, self.group_frames = tokenizer, device, group_frames
        self._state: StreamState | None = None

    def run(self, items: Iterable[Frame | AudioPacket]) -> Iterator[EncodedGroup | AudioPacket]:
        """Groups in order; the last one may be short. The true number of frames is the length of its `pts`."""
        waiting: list[np.ndarray] = []
        times: list[int] = []
        latents: list[np.ndarray] = []
        index = first = 0
        for item in items:
            if isinstance(item, AudioPacket):
                yield item
                continue
            waiting.append(item.pixels)
            times.append(item.pts)
            full = len(times) == self.group_frames
            height, width = item.pixels.shape[:2]
            if full or len(waiting) == frames_a_piece(height, width, self.group_frames):
                latents.append(self._encode(waiting))
                waiting = []
            if full:
                yield EncodedGroup(index, first, np.array(times, np.int64), np.concatenate(latents, axis=1))
                index, first = index + 1, first + len(times)
                times, latents = [], []
        if waiting:
            latents.append(self._encode(waiting))
        if times:
            yield EncodedGroup(index, first, np.array(times, np.int64), np.concatenate(latents, axis=1))

    @torch.inference_mode()
    def _encode(self, frames: list[np.ndarray]) -> np.ndarray:
        """Latents (C, T, h, w) of some frames, in fp32: a rounding of the latents would flip tokens near the threshold."""
        found, self._state = self.tokenizer.encode(to_pixels(frames, self.device), self._state)
        return found[0].cpu().numpy()
