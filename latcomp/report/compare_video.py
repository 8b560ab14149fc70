"""Videos that show two videos at once: side by side, or their difference around mid grey."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import numpy as np

from latcomp.checks import check_word
from latcomp.video.info import Frame, VideoInfo
from latcomp.video.metadata import Metadata
from latcomp.video.writer import open_writer

MODES = ("side", "difference")
MID_GREY = 128
DEFAULT_AMPLIFY = 8.0  # at 35 dB, where errors are of 4.5 levels, they then fill about a quarter of the range


def side_by_side(reference: np.ndarray, test: np.ndarray) -> np.ndarray:
    """uint8 (H, 2 W, 3): two uint8 RGB frames (H, W, 3), the reference on the left."""
    return np.concatenate([reference, test], axis=1)


def difference(reference: np.ndarray, test: np.ndarray, amplify: float = DEFAULT_AMPLIFY) -> np.ndarray:
    """uint8 (H, W, 3): mid grey (128) where two uint8 RGB frames are equal, else 128 + amplify x (test - reference),
    cut to 0..255.
    """
    off = np.subtract(test, reference, dtype=np.float32)
    found: np.ndarray = np.clip(np.rint(off * np.float32(amplify) + MID_GREY), 0, 255).astype(np.uint8)
    return found


class ComparisonVideo:
    """Takes pairs of frames in order and writes what shows both; a context manager, as `VideoWriter`.

    Pictures are written upright, with the reference's times and without audio.
    """

    def __init__(
        self,
        target: str | Path | BinaryIO,
        info: VideoInfo,
        mode: str = "side",
        amplify: float = DEFAULT_AMPLIFY,
        format: str | None = None,
    ) -> None:
        """info: of the reference. format: as of `open_writer`.

        Raises `UsageError` for a mode that is not known, `OutputError` when the target cannot be written or cannot hold
        such a video."""
        check_word("mode", mode, MODES)
        self._mode, self._amplify = mode, amplify
        # a player would turn the whole picture, with the two halves one above the other
        self._turns = info.rotation_degrees // 90 if info.rotation_degrees % 90 == 0 else 0
        self.info = _shown(info, self._turns, halves=2 if mode == "side" else 1)
        self._writer = open_writer(target, self.info, format=format, audio=False)

    def __enter__(self) -> ComparisonVideo:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._writer.__exit__(kind, value, trace)

    @property
    def notes(self) -> list[str]:
        """What the output does not keep, one line each."""
        return self._writer.notes

    def add(self, reference: Frame, test: Frame) -> None:
        """Take the next frame of both, of one shape; it is shown at the reference's time."""
        before, after = (np.rot90(frame.pixels, self._turns) for frame in (reference, test))
        picture = side_by_side(before, after) if self._mode == "side" else difference(before, after, self._amplify)
        self._writer.write_frame(np.ascontiguousarray(picture), reference.pts)


def _shown(info: VideoInfo, turns: int, halves: int) -> VideoInfo:
    """The info of the video that is written: turned counter-clockwise by `turns` quarters, `halves` pictures wide."""
    width, height, aspect = info.width, info.height, info.sample_aspect_ratio
    if turns % 2:
        width, height, aspect = height, width, 1 / aspect
    rotation = info.rotation_degrees if info.rotation_degrees % 90 else 0
    return replace(
        info,
        width=width * halves,
        height=height,
        sample_aspect_ratio=aspect,
        rotation_degrees=rotation,
        audio=(),
        metadata=Metadata(),
    )
