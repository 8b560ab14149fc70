"""Frames to what a tokenizer takes, and back: value range, padding, memory layout."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from latcomp.tokenizer.base import DecoderCondition, FrameTokenizer, TokenizerSpec, VideoTokenizer


def padded(frames: list[np.ndarray], spec: TokenizerSpec, device: torch.device, start: bool = True) -> Tensor:
    """(T, H, W, 3) uint8 of RGB frames (h, w, 3) uint8, padded by repetition at the end, the bottom and the right.
    start: whether they begin a stream.
    """
    height, width = frames[0].shape[:2]
    missing, bottom, right = spec.padding(len(frames), height, width, start)
    stacked = np.stack(frames + [frames[-1]] * missing)  # (T, h, w, 3)
    if bottom or right:
        stacked = np.pad(stacked, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge")
    return torch.from_numpy(stacked).to(device)


def as_pixels(levels: Tensor, low: float, high: float) -> Tensor:
    """float32 from `low` (black) to `high` (white) of levels 0 to 255 uint8."""
    return levels.float().div_(255 / (high - low)).add_(low)


def as_levels(pixels: Tensor, low: float, high: float) -> Tensor:
    """Levels 0 to 255 uint8 of pixels from `low` (black) to `high` (white); what lies beyond is clipped."""
    return pixels.float().sub(low).mul_(255 / (high - low)).round_().clamp_(0, 255).to(torch.uint8)


def to_pixels(frames: Tensor, spec: TokenizerSpec) -> Tensor:
    """(1, 3, T, H, W) in the tokenizer's range and number type of RGB frames (T, H, W, 3) uint8."""
    pixels = as_pixels(frames.permute(3, 0, 1, 2).unsqueeze(0), *spec.pixel_range)
    return pixels.to(getattr(torch, spec.dtype))


def to_frames(pixels: Tensor, spec: TokenizerSpec) -> Tensor:
    """(T, H, W, 3) uint8 RGB of pixels (1, 3, T, H, W) in the tokenizer's range."""
    return as_levels(pixels[0], *spec.pixel_range).permute(1, 2, 3, 0).contiguous()


def encode_frames(tokenizer: VideoTokenizer, frames: Tensor, state: Any = None) -> tuple[Tensor, Any]:
    """(latents (1, C, T, h, w), the state to encode on from) of `padded` frames."""
    if isinstance(tokenizer, FrameTokenizer):
        return tokenizer.encode_frames(frames, state)
    return tokenizer.encode(to_pixels(frames, tokenizer.spec), state)


def decode_frames(
    tokenizer: VideoTokenizer, latents: Tensor, state: Any = None, condition: DecoderCondition | None = None
) -> tuple[Tensor, Any]:
    """(RGB frames (T, H, W, 3) uint8, the state to decode on from) of latents (1, C, T', h, w)."""
    if isinstance(tokenizer, FrameTokenizer):
        return tokenizer.decode_frames(latents, state, condition)
    pixels, after = tokenizer.decode(latents, state, condition)
    return to_frames(pixels, tokenizer.spec), after
