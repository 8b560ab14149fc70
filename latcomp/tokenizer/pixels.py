"""Frames to what a tokenizer takes, and back: value range, padding, memory layout."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from latcomp.tokenizer.base import TokenizerSpec


def to_pixels(frames: list[np.ndarray], spec: TokenizerSpec, device: torch.device, start: bool = True) -> Tensor:
    """(1, 3, T, H, W) in the tokenizer's range and number type of RGB frames (h, w, 3) uint8, padded by repetition at
    the end, the bottom and the right. start: whether they begin a stream.
    """
    height, width = frames[0].shape[:2]
    missing, bottom, right = spec.padding(len(frames), height, width, start)
    stacked = np.stack(frames + [frames[-1]] * missing)  # (T, h, w, 3)
    if bottom or right:
        stacked = np.pad(stacked, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge")
    low, high = spec.pixel_range
    pixels = torch.from_numpy(stacked).to(device).permute(3, 0, 1, 2).unsqueeze(0)  # (1, 3, T, H, W)
    return pixels.float().div_(255 / (high - low)).add_(low).to(getattr(torch, spec.dtype))


def to_frames(pixels: Tensor, spec: TokenizerSpec, height: int, width: int) -> np.ndarray:
    """(T, height, width, 3) uint8 RGB of pixels (1, 3, T, H, W) in the tokenizer's range; the padding is cut off."""
    low, high = spec.pixel_range
    cut = pixels[0, :, :, :height, :width].float()
    grey = cut.sub(low).mul_(255 / (high - low)).round_().clamp_(0, 255).to(torch.uint8)
    return grey.permute(1, 2, 3, 0).contiguous().cpu().numpy()
