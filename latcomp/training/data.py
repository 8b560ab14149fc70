"""Random crops of real footage: clips are decoded once to raw 4:2:0 files in a cache folder and read by memory map."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latcomp.errors import UsageError

VALIDATION_EVERY = 16  # every 16th clip, in name order, is for validation only
BT601 = ((0.299, 0.587, 0.114), (-0.168736, -0.331264, 0.5), (0.5, -0.418688, -0.081312))


def cache_folder() -> Path:
    """The user's cache folder for latcomp, made when missing."""
    base = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "latcomp"
    base.mkdir(parents=True, exist_ok=True)
    return base


@dataclass(frozen=True)
class Clip:
    """One decoded clip: planes (frames, H*3/2, W) uint8, Y above U and V as FFmpeg's yuv420p packs them."""

    name: str
    planes: np.ndarray
    height: int
    width: int

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.planes.shape[0])


def _decode(path: Path, raw: Path, meta: Path) -> None:
    """Write the clip's frames as raw 4:2:0 planes, sides cut to multiples of 8."""
    import av

    count = 0
    height = width = 0
    partial = raw.with_suffix(".partial")
    with av.open(str(path)) as container, partial.open("wb") as out:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            height, width = frame.height - frame.height % 8, frame.width - frame.width % 8
            packed = frame.reformat(format="yuv420p").to_ndarray()  # (H*3/2, W)
            full_h, full_w = frame.height, frame.width
            if full_h % 2 or full_w % 2:
                continue
            luma = packed[:full_h][:height, :width]
            chroma = packed[full_h:].reshape(2, full_h // 2, full_w // 2)[:, : height // 2, : width // 2]
            out.write(np.ascontiguousarray(luma).tobytes())
            out.write(np.ascontiguousarray(chroma).tobytes())
            count += 1
    partial.replace(raw)
    meta.write_text(json.dumps({"frames": count, "height": height, "width": width}))


def load_clips(folder: Path, minimum_frames: int, minimum_side: int) -> list[Clip]:
    """All clips of a folder in name order, decoded into the cache when they are not there yet.

    Raises `UsageError` when the folder holds no clip of at least `minimum_frames` frames and `minimum_side` pixels a side.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of clips")
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    cache = cache_folder() / "frames" / key
    cache.mkdir(parents=True, exist_ok=True)
    clips = []
    for path in sorted(p for p in folder.iterdir() if p.suffix in {".mp4", ".mkv", ".mov", ".webm", ".avi"}):
        raw, meta = cache / f"{path.stem}.yuv", cache / f"{path.stem}.json"
        if not meta.exists():
            _decode(path, raw, meta)
        shape = json.loads(meta.read_text())
        frames, height, width = shape["frames"], shape["height"], shape["width"]
        if frames < minimum_frames or min(height, width) < minimum_side:
            continue
        planes = np.memmap(raw, np.uint8, "r", shape=(frames, height * 3 // 2 * width))
        clips.append(Clip(path.stem, planes, height, width))
    if not clips:
        raise UsageError(f"{folder} holds no clip of {minimum_frames} frames and {minimum_side} pixels a side or more")
    return clips


def split_clips(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """(training, validation) clips: every 16th in name order validates; a handful of clips serves as both."""
    validation = clips[VALIDATION_EVERY // 2 :: VALIDATION_EVERY] or clips[:1]
    names = {clip.name for clip in validation}
    training = [clip for clip in clips if clip.name not in names] or clips
    return training, validation


def cut(clip: Clip, first: int, frames: int, top: int, left: int, side: int, stride: int = 1) -> np.ndarray:
    """A crop (frames, 3, side, side) uint8 YCbCr, chroma repeated to full size as a fast converter would.

    top, left, side: multiples of 2, in pixels.
    """
    height, width = clip.height, clip.width
    rows = clip.planes[first : first + frames * stride : stride]
    luma = rows[:, : height * width].reshape(-1, height, width)[:, top : top + side, left : left + side]
    chroma = rows[:, height * width :].reshape(-1, 2, height // 2, width // 2)
    half = side // 2
    chroma = chroma[:, :, top // 2 : top // 2 + half, left // 2 : left // 2 + half]
    chroma = chroma.repeat(2, axis=2).repeat(2, axis=3)
    return np.concatenate([luma[:, None], chroma], axis=1)


def random_crop(clips: list[Clip], seed: int, step: int, item: int, frames: int, side: int) -> np.ndarray:
    """The crop that belongs to (seed, step, item): (frames, 3, side, side) uint8 YCbCr.

    Clips are drawn with the square root of their size, mirrored half of the time, played backwards a quarter of the time and at
    double speed an eighth of the time.
    """
    rng = np.random.default_rng([seed, step, item])
    weights = np.sqrt([clip.frames * clip.height * clip.width for clip in clips])
    clip = clips[int(rng.choice(len(clips), p=weights / weights.sum()))]
    stride = 2 if rng.random() < 0.125 and clip.frames >= 2 * frames else 1
    first = int(rng.integers(clip.frames - frames * stride + 1))
    top = 2 * int(rng.integers((clip.height - side) // 2 + 1))
    left = 2 * int(rng.integers((clip.width - side) // 2 + 1))
    crop = cut(clip, first, frames, top, left, side, stride)
    if rng.random() < 0.5:
        crop = crop[..., ::-1]
    if rng.random() < 0.25:
        crop = crop[::-1]
    return np.ascontiguousarray(crop)


def to_rgb(ycbcr: np.ndarray | Tensor) -> Tensor:
    """RGB in [-1, 1], (B, 3, T, H, W), of limited-range BT.601 YCbCr uint8 (B, T, 3, H, W)."""
    planes = torch.as_tensor(ycbcr).float()
    y = (planes[:, :, 0] - 16) * (255 / 219)
    cb = (planes[:, :, 1] - 128) * (255 / 224)
    cr = (planes[:, :, 2] - 128) * (255 / 224)
    rgb = torch.stack([y + 1.402 * cr, y - 0.344136 * cb - 0.714136 * cr, y + 1.772 * cb], dim=1)
    return rgb.clamp(0, 255) / 127.5 - 1
