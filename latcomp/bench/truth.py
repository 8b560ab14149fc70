"""The luma of a clip's frames, which files made of it are held against."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from latcomp import models
from latcomp.codec.decode import decode_frames
from latcomp.metrics.luma import luma, psnr
from latcomp.video import Frame, open_video


@dataclass(frozen=True)
class LumaTruth:
    """A clip, or its first seconds, as it is."""

    frames: list[np.ndarray]
    """(H, W) stored luma of each frame."""
    matrix: int | None
    """Of the luma, FFmpeg's number."""

    @classmethod
    def of(cls, path: Path, duration_seconds: float | None = None) -> LumaTruth:
        """That of a video."""
        with open_video(path, duration_seconds=duration_seconds) as reader:
            matrix = reader.info.color.matrix
            return cls([luma(item.pixels, matrix) for item in reader if isinstance(item, Frame)], matrix)

    @property
    def pixels(self) -> int:
        """Of all frames."""
        return sum(frame.size for frame in self.frames)

    def psnr(self, file: BinaryIO, device: str, fill: str = "auto") -> float:
        """PSNR-Y in dB, mean of the frames' dB, of what a .lat file of the shipped tokenizer decodes to, read from its
        start."""
        file.seek(0)
        frames = decode_frames(file, fill=fill, device=device, tokenizer=models.find_tokenizer(None))
        decibels = [psnr(a, luma(b.pixels, self.matrix)) for a, b in zip(self.frames, frames, strict=True)]
        return float(np.mean(decibels))
