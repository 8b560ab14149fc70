"""How few tokens a quality needs: PSNR-Y over the share of tokens kept, for the fewest bits and for the fewest tokens.

Both settings at every quality, each decoded as the encoder chose, by hold alone and by the LIT alone."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latcomp import models
from latcomp.bench.truth import LumaTruth
from latcomp.codec.encode import encode
from latcomp.codec.settings import FILLS, OPTIMISES
from latcomp.metrics.bdrate import bd_rate, mean_of
from latcomp.output import output_file
from latcomp.printable import counted

BITS, TOKENS = OPTIMISES
_LOOKS = {"auto": ("o", "-"), "hold": ("s", "--"), "lit": ("D", ":")}
_COLOURS = {BITS: "#000000", TOKENS: "#D55E00"}  # Okabe and Ito's


@dataclass(frozen=True)
class TokensRow:
    """One clip at one quality, under one setting, filled in one way."""

    clip: str
    optimise: str
    fill: str
    quality: float
    keep_ratio: float
    bpp: float
    psnr_y: float
    """dB, mean of the frames' dB."""


def rows_of(
    path: Path,
    qualities: Sequence[float],
    device: str = "auto",
    duration_seconds: float | None = None,
    fills: Sequence[str] = FILLS,
) -> list[TokensRow]:
    """One clip, or its first seconds, under both settings at every quality, filled in these ways ('auto' among them);
    by the LIT where there is one."""
    truth = LumaTruth.of(path, duration_seconds)
    able = [fill for fill in fills if fill != "lit" or models.find_lit(models.find_tokenizer(None))]
    found = []
    for optimise in OPTIMISES:
        for quality in qualities:
            file = io.BytesIO()
            stats = encode(
                path,
                file,
                quality=quality,
                optimise=optimise,
                audio=False,
                device=device,
                duration_seconds=duration_seconds,
            ).stats
            for fill in able:
                decibels = truth.psnr(file, device, fill)
                found.append(TokensRow(path.stem, optimise, fill, quality, stats["keep_ratio"], stats["bpp"], decibels))
    return found


def figures_of(rows: Sequence[TokensRow]) -> dict[str, Any]:
    """`{"rows": [...], "fewer": {clip | "mean": {"tokens": percent, "bits": percent}}}`: what the fewest tokens take
    instead of the fewest bits, at equal PSNR-Y, both filled as the encoder chose; None where curves do not meet."""
    clips = list(dict.fromkeys(row.clip for row in rows))
    found: dict[str, dict[str, float | None]] = {}
    for clip in clips:
        found[clip] = {
            name: bd_rate(*(_curve(rows, clip, optimise, measure) for optimise in OPTIMISES))
            for name, measure in (("tokens", "keep_ratio"), ("bits", "bpp"))
        }
    found["mean"] = {name: mean_of(found[clip][name] for clip in clips) for name in ("tokens", "bits")}
    return {"rows": [asdict(row) for row in rows], "fewer": found}


def _curve(rows: Sequence[TokensRow], clip: str, optimise: str, measure: str) -> list[tuple[float, float]]:
    chosen = [row for row in rows if (row.clip, row.optimise, row.fill) == (clip, optimise, "auto")]
    return [(getattr(row, measure), row.psnr_y) for row in chosen]


def save_plot(rows: Sequence[TokensRow], path: Path) -> None:
    """PSNR-Y over the share of tokens kept, means over the clips at each quality. Raises `OutputError`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5.4), dpi=130, layout="constrained")
    axes = figure.subplots()
    qualities = sorted({row.quality for row in rows})
    for optimise in OPTIMISES:
        for fill in dict.fromkeys(row.fill for row in rows):
            points = [
                [row for row in rows if (row.optimise, row.fill, row.quality) == (optimise, fill, quality)]
                for quality in qualities
            ]
            shares = [float(np.mean([row.keep_ratio for row in some])) for some in points]
            decibels = [float(np.mean([row.psnr_y for row in some])) for some in points]
            marker, line = _LOOKS[fill]
            axes.plot(
                shares,
                decibels,
                color=_COLOURS[optimise],
                marker=marker,
                linestyle=line,
                markersize=5,
                label=f"fewest {optimise}, fill {fill}",
            )
    axes.set_xlabel("share of tokens kept")
    axes.set_ylabel("PSNR-Y, dB")
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=9, frameon=False)
    clips = len({row.clip for row in rows})
    axes.set_title(f"Tokens that a quality takes, mean of {counted(clips, 'clip')}", fontsize=12)
    with output_file(path, force=True) as temporary:
        figure.savefig(temporary, format=path.suffix[1:] or "png")
