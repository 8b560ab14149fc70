"""What each part of latcomp's coding saves: the same clips without it, as bits at equal PSNR-Y.

The masks: every token kept. The coder: the same tokens and masks under zstd alone. The quantiser: without finer steps
and better values for what will be held, and without rounding by rate and distortion. The predictor: the same tables
around the last kept values instead of the prior's means, as entropies that are counted on the clip itself."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latcomp.bench.coding import measure
from latcomp.bench.truth import LumaTruth
from latcomp.codec.encode import encode
from latcomp.metrics.bdrate import Point, bd_rate, mean_of

QUALITIES = (3.0, 5.0, 7.0)
FULL = "full"
ENCODINGS: dict[str, dict[str, Any]] = {
    FULL: {},
    "camera: off": {"camera": "off"},
    "masks: every token kept": {"keep": 1.0},
    "quantiser: one step for all values": {"lookahead_lambda": 0.0},
    "quantiser: plain rounding": {"rdo_lambda": 0.0},
    "quantiser: neither": {"lookahead_lambda": 0.0, "rdo_lambda": 0.0},
}
CODER, PREDICTOR = "coder: zstd alone", "predictor: around the last kept values"


@dataclass(frozen=True)
class AblationRow:
    """One clip at one quality without one part."""

    clip: str
    variant: str
    quality: float
    bpp: float
    psnr_y: float
    """dB, mean of the frames' dB."""


def rows_of(
    path: Path, qualities: Sequence[float] = QUALITIES, device: str = "auto", duration_seconds: float | None = None
) -> list[AblationRow]:
    """Every variant of one clip, or of its first seconds, at every quality."""
    truth = LumaTruth.of(path, duration_seconds)
    found = []
    for quality in qualities:
        for variant, settings in ENCODINGS.items():
            file = io.BytesIO()
            bpp = encode(
                path, file, quality=quality, audio=False, device=device, duration_seconds=duration_seconds, **settings
            ).stats["bpp"]
            found.append(AblationRow(path.stem, variant, quality, bpp, truth.psnr(file, device)))
            if variant == FULL:
                full = found[-1]
        coding = measure(path, quality, device=device, duration_seconds=duration_seconds)
        more = {
            CODER: coding.tokens_zstd - coding.tokens_prior + coding.mask_packed - coding.mask_prior,
            PREDICTOR: coding.ideal_held - coding.ideal_predicted,
        }
        found += [
            AblationRow(path.stem, name, quality, full.bpp + 8 * size / truth.pixels, full.psnr_y)
            for name, size in more.items()
        ]
    return found


def figures_of(rows: Sequence[AblationRow], groups: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """`{"rows": [...], "without": {variant: {clip | "mean" | "mean of GROUP": percent}}}`: bits more at equal PSNR-Y
    without each part.
    """
    clips = list(dict.fromkeys(row.clip for row in rows))
    without: dict[str, dict[str, float | None]] = {}
    for variant in dict.fromkeys(row.variant for row in rows if row.variant != FULL):
        found: dict[str, float | None] = {
            clip: bd_rate(_curve(rows, clip, FULL), _curve(rows, clip, variant)) for clip in clips
        }
        means = {"mean": mean_of(found.values())}
        means |= {f"mean of {name}": mean_of(found[clip] for clip in members) for name, members in groups.items()}
        without[variant] = found | means
    return {"rows": [asdict(row) for row in rows], "without": without}


def _curve(rows: Sequence[AblationRow], clip: str, variant: str) -> list[Point]:
    return [(row.bpp, row.psnr_y) for row in rows if row.clip == clip and row.variant == variant]
