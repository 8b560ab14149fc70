"""Distance between two videos, a frame at a time: PSNR, SSIM and MS-SSIM, and what else is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from latcomp.errors import UsageError
from latcomp.metrics.choice import DEFAULT_METRICS, DEFAULT_ST_LPIPS_FRAMES, FURTHER_METRICS, MEMBERS
from latcomp.metrics.luma import luma, mse, psnr_of_mse, stored_luma
from latcomp.metrics.meter import FramePair, Measured, Meter, meter_of
from latcomp.metrics.ssim import ssim, ssim_and_ms_ssim

_MEANS = ("psnr_rgb", "psnr_y", "ssim_y", "ms_ssim_y")


@dataclass
class VideoComparison:
    """Collects the distance of two videos frame by frame; `result` is what `compare --json` prints.

    About 16 ms a frame at 854x480 on one core with what is measured by default. Used as a context where `metrics` has
    further ones: it ends what they run. Raises `UsageError` when what they need is not there.
    """

    matrix: int | None = None
    """Matrix of the reference's luma, FFmpeg's number; None: chosen by its height."""
    frames: int = 0
    metrics: tuple[str, ...] = DEFAULT_METRICS
    """Names of `choice.METRICS`."""
    rate: Fraction | None = None
    """Frames per second, which XPSNR goes by; None where not known."""
    st_lpips_frames: int = DEFAULT_ST_LPIPS_FRAMES
    """Frames that ST-LPIPS is measured on, 0 for all."""
    device: str = "auto"
    """Where networks run."""
    per_frame: dict[str, list[float | None]] = field(default_factory=dict)
    _errors: dict[str, float] = field(default_factory=lambda: {"rgb": 0.0, "y": 0.0})
    _pixels: int = 0
    _meters: dict[str, Meter] = field(default_factory=dict)
    _measured: dict[str, Measured] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            for name in FURTHER_METRICS:
                if name in self.metrics:
                    self._meters[name] = meter_of(name, self.rate, self.st_lpips_frames, self.device)
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> VideoComparison:
        return self

    def __exit__(self, *ended: object) -> None:
        self.close()

    def close(self) -> None:
        """End what the further metrics run; figures that `result` gave stay."""
        for meter in self._meters.values():
            meter.close()
        self._meters.clear()

    def add(self, reference: np.ndarray, test: np.ndarray) -> None:
        """Take the next frame of both, uint8 RGB (H, W, 3); UsageError when their shapes differ."""
        error_rgb = mse(reference, test)
        reference_y, test_y = luma(reference, self.matrix), luma(test, self.matrix)
        if "psnr" in self.metrics:
            error_y = mse(reference_y, test_y)
            self._errors["rgb"] += error_rgb
            self._errors["y"] += error_y
            self._append(psnr_rgb=psnr_of_mse(error_rgb), psnr_y=psnr_of_mse(error_y))
        if "ms-ssim" in self.metrics:
            ssim_y, ms_ssim_y = ssim_and_ms_ssim(reference_y, test_y)
            self._append(**({"ssim_y": ssim_y} if "ssim" in self.metrics else {}), ms_ssim_y=ms_ssim_y)
        elif "ssim" in self.metrics:
            self._append(ssim_y=ssim(reference_y, test_y))
        if self._meters:
            pair = FramePair(reference, test, stored_luma(reference_y), stored_luma(test_y))
            for meter in self._meters.values():
                meter.add(pair)
        self._pixels += reference.shape[0] * reference.shape[1]
        self.frames += 1

    def result(self, size_bytes: int | None = None) -> dict[str, Any]:
        """Return means over frames, PSNR of the pooled error, bits per pixel of `size_bytes`, and the lists per frame.

        Keys: frames, psnr_rgb, psnr_y, ssim_y, ms_ssim_y, bpp (None without a size), psnr_rgb_pooled, psnr_y_pooled,
        vmaf, xpsnr, st_lpips, per_frame; None for what was not asked for. per_frame has what was, None for a frame that
        was not measured. UsageError when no frame was added.
        """
        if self.frames == 0:
            raise UsageError("there is no frame to compare")
        for name, meter in self._meters.items():
            if name not in self._measured:
                self._measured[name] = meter.finish()
        of_meters = {member: self._measured.get(name) for name, member in MEMBERS.items()}
        pooled = "psnr" in self.metrics
        return {
            "frames": self.frames,
            **{name: _mean(self.per_frame.get(name)) for name in _MEANS},
            "bpp": None if size_bytes is None else size_bytes * 8 / self._pixels,
            "psnr_rgb_pooled": psnr_of_mse(self._errors["rgb"] / self.frames) if pooled else None,
            "psnr_y_pooled": psnr_of_mse(self._errors["y"] / self.frames) if pooled else None,
            **{member: found.overall if found else None for member, found in of_meters.items()},
            "per_frame": {
                **{name: list(self.per_frame[name]) for name in _MEANS if name in self.per_frame},
                **{member: list(found.per_frame) for member, found in of_meters.items() if found},
            },
        }

    def _append(self, **values: float) -> None:
        for name, value in values.items():
            self.per_frame.setdefault(name, []).append(value)


def _mean(values: list[float | None] | None) -> float | None:
    return None if values is None else float(np.mean([value for value in values if value is not None]))
