"""Frames to patches of 4 frames of 8x8 pixels and back, in whole levels: a quarter of the memory that floats would pass
through."""

from __future__ import annotations

import torch
from torch import Tensor

from latcomp.errors import UsageError
from latcomp.tokenizer.cv8x8x4.config import SPATIAL, TEMPORAL

PATCH, PATCH_SIDES = "(c pt ph pw)", {"pt": TEMPORAL, "ph": SPATIAL, "pw": SPATIAL}
"""Order of the values of a patch of RGB pixels, and the sides they are of, as einops has them."""
RANGE = -1.0, 1.0
"""Pixels of black and white."""
ROW = torch.int64  # the eight pixels of a patch's row move as one number


def check_sides(count: int, height: int, width: int) -> None:
    """Raise `UsageError` for frames that are not made of whole patches."""
    if count % TEMPORAL or height % SPATIAL or width % SPATIAL or not count:
        raise UsageError(
            f"{count} frames of {width}x{height} do not divide into patches of 8x8 pixels and 4 frames: pad them"
        )


def to_patches(frames: Tensor) -> Tensor:
    """(T, h, w, 768) uint8 of frames (4*T, 8*h, 8*w, 3) uint8."""
    count, height, width = frames.shape[:3]
    steps, h, w = count // TEMPORAL, height // SPATIAL, width // SPATIAL
    rows = frames.transpose(2, 3).contiguous().view(ROW)  # (4*T, 8*h, 3, w)
    parted = rows.view(steps, TEMPORAL, h, SPATIAL, 3, w).permute(0, 2, 5, 4, 1, 3).contiguous()  # t h w c pt ph
    return parted.view(torch.uint8).view(steps, h, w, -1)


def to_frames(patches: Tensor) -> Tensor:
    """(4*T, 8*h, 8*w, 3) uint8 of patches (T, h, w, 768) uint8."""
    steps, h, w = patches.shape[:3]
    rows = patches.view(ROW).view(steps, h, w, 3, TEMPORAL, SPATIAL)
    joined = rows.permute(0, 4, 1, 5, 3, 2).contiguous()  # t pt h ph c w
    return joined.view(torch.uint8).view(steps * TEMPORAL, h * SPATIAL, 3, w * SPATIAL).transpose(2, 3).contiguous()
