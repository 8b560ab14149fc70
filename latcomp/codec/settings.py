"""Settings of an encoding, checked once, and the progress that both directions tell."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from latcomp.errors import UsageError
from latcomp.selection.complexity import adjusted
from latcomp.selection.quantiser import QUALITY_MAX, step_scale_of
from latcomp.selection.recipe import DROPPED_CHANGES, ERROR_WORTH, ROUNDING_WORTH

DEFAULT_QUALITY = 5.0
GROUP_LATENT_FRAMES = 8
SEGMENT_GROUPS = 8
SEGMENT_BYTES = (
    2**29
)  # of latents and frames that a search for a target may hold: larger pictures have shorter segments
PSNR_MOST = 60.0  # dB; more than this no tokenizer gives


@dataclass(frozen=True)
class Progress:
    """How far an encoding or decoding is."""

    frames: int
    frames_total: int | None
    """None where the source does not say."""
    tokens_total: int
    tokens_kept: int


ProgressCallback = Callable[[Progress], None]


@dataclass(frozen=True)
class EncodeSettings:
    """How to encode. Raises `UsageError` for values out of range and for settings that exclude each other."""

    quality: float = DEFAULT_QUALITY
    """0 (small) to 10 (exact)."""
    threshold: float | None = None
    """Temporal L1 difference above which a token is kept; None takes the quality's own."""
    keep: float | None = None
    """Share of the tokens of a segment to keep, instead of a threshold."""
    target_bpp: float | None = None
    """Bits a pixel of the file without its audio, instead of a quality."""
    min_psnr: float | None = None
    """Least mean PSNR-Y of a segment's decoded frames in dB, instead of a quality."""
    reference: str = "kept"
    coding: str = "context"
    """'context': masks and tokens under the tokenizer's prior; 'zstd': by zstd alone."""
    error_worth: float = ERROR_WORTH
    """Bits that a squared error of one step squared is worth where values that will be held choose their steps; 0: one
    step for all.
    """
    rounding_worth: float = ROUNDING_WORTH
    """The same for rounding by rate and distortion; 0 rounds plainly."""
    lossless: bool = False
    """Store float32 latents bit for bit, for research."""

    def __post_init__(self) -> None:
        if not (math.isfinite(self.quality) and 0 <= self.quality <= QUALITY_MAX):
            raise UsageError(f"--quality {self.quality:g} is out of range: choose 0 (small) to 10 (exact)")
        if self.threshold is not None and not (math.isfinite(self.threshold) and self.threshold >= 0):
            raise UsageError(
                f"--threshold {self.threshold:g} is out of range: choose 0 or more (0.002 to 0.06 is usual)"
            )
        if self.keep is not None and not (math.isfinite(self.keep) and 0 < self.keep <= 1):
            raise UsageError(f"--keep {self.keep:g} is out of range: choose a share above 0 and up to 1, such as 0.3")
        if self.target_bpp is not None and not (math.isfinite(self.target_bpp) and self.target_bpp > 0):
            raise UsageError(
                f"--target-bpp {self.target_bpp:g} is out of range: choose more than 0 bits a pixel, such as 0.08"
            )
        if self.min_psnr is not None and not (math.isfinite(self.min_psnr) and 0 < self.min_psnr <= PSNR_MOST):
            raise UsageError(
                f"--min-psnr {self.min_psnr:g} is out of range: choose more than 0 and up to {PSNR_MOST:g} dB, such as "
                "34"
            )
        given = [name for name in ("threshold", "keep", "target_bpp", "min_psnr") if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(
                f"{' and '.join('--' + name.replace('_', '-') for name in given)} exclude each other: give one"
            )
        if self.lossless and self.searches:
            raise UsageError(
                "--lossless stores exact latents: --target-bpp and --min-psnr have nothing to choose there"
            )
        for name in ("error_worth", "rounding_worth"):
            if not (math.isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise UsageError(f"{name} {getattr(self, name)} is out of range: choose 0 or more")
        if self.coding not in ("context", "zstd"):
            raise UsageError(f"--coding {self.coding!r} is unknown: choose context or zstd")
        if self.reference not in ("kept", "previous"):
            raise UsageError(f"--reference {self.reference!r} is unknown: choose kept or previous")

    @property
    def searches(self) -> bool:
        """Whether steps are searched for a target instead of following from the quality."""
        return self.target_bpp is not None or self.min_psnr is not None

    @property
    def step_scale(self) -> float:
        """Step scale of the quality; 1 where steps are searched for a target, each segment's as an adjustment of it."""
        return 1.0 if self.searches else step_scale_of(self.quality)

    def threshold_at(self, adjust: int, channels: int) -> float:
        """The threshold of a segment whose steps are adjusted by so many 32nds of an octave; one that was given stands
        as it is.
        """
        if self.threshold is not None:
            return self.threshold
        return 0.0 if self.lossless else DROPPED_CHANGES / channels * adjusted(self.step_scale, adjust)
