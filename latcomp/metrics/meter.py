"""What a metric that looks at a whole video does: it takes frames one by one and tells its figures at the end."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Protocol

import numpy as np

from latcomp.errors import UsageError

LEAST_SIDE = 48  # pixels. Measured: libvmaf ends with a fault on 16x16, FFmpeg's xpsnr on fewer than 2025 pixels in all


@dataclass(frozen=True)
class FramePair:
    """The same frame of two videos."""

    reference: np.ndarray
    """(H, W, 3) uint8 RGB, as is `test`."""
    test: np.ndarray
    reference_y: np.ndarray
    """(H, W) uint8 luma as a video stores it, 16 to 235, as is `test_y`."""
    test_y: np.ndarray


@dataclass(frozen=True)
class Measured:
    """What a meter found."""

    overall: float
    """Of the video."""
    per_frame: list[float | None]
    """Of each frame; None where a frame was not measured."""


class Meter(Protocol):
    """One metric at work on one pair of videos."""

    def add(self, pair: FramePair) -> None:
        """Take the next frame. Raises `UsageError` when frames are too small for the metric."""

    def finish(self) -> Measured:
        """The figures, once, after the last frame."""

    def close(self) -> None:
        """Let go of processes, files and memory, whether finished or not."""


def check_size(metric: str, frame: np.ndarray) -> None:
    """Raise `UsageError` unless a frame (H, W, ...) has room for a metric's filters."""
    height, width = frame.shape[:2]
    if min(height, width) < LEAST_SIDE:
        raise UsageError(
            f"{metric} needs frames of {LEAST_SIDE} pixels a side or more, and these are {width}x{height}: "
            "leave it out of metrics",
            settings=("metrics",),
        )


def meter_of(metric: str, rate: Fraction | None, st_lpips_frames: int, device: str) -> Meter:
    """The meter of one of `FURTHER_METRICS`; imports what it needs.

    rate: frames per second, None where not known; st_lpips_frames: as of `StLpips`; device: where networks run.
    Raises `UsageError` where what it needs is not there."""
    if metric == "vmaf":
        from latcomp.metrics.vmaf import new_vmaf

        return new_vmaf()
    if metric == "xpsnr":
        from latcomp.metrics.xpsnr import Xpsnr

        return Xpsnr(rate)
    from latcomp.metrics.st_lpips import StLpips

    return StLpips(st_lpips_frames, device)


def check_at_hand(metrics: tuple[str, ...]) -> None:
    """Raise `UsageError`, with how to get it, when what one of these metrics needs is not there."""
    if "vmaf" in metrics:
        from latcomp.metrics.vmaf import check_vmaf

        check_vmaf()
    if "xpsnr" in metrics:
        from latcomp.metrics.xpsnr import check_xpsnr

        check_xpsnr()
    if "st-lpips" in metrics:
        from latcomp.metrics.st_lpips_weights import weights_file

        weights_file()
