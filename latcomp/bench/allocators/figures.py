"""From measured rows to figures: every method at latcomp's number of tokens and at latcomp's PSNR-Y, and ratios of
seconds.

A method that met the budget is taken as measured. One that did not (ElasticTok aims at an error, a fixed threshold
keeps what it keeps) is read off its own curve at the budget, on straight lines over the logarithm of the number of
tokens between its measured points and the two where all methods meet: the first latent frames alone, and all tokens.
Tokens and bytes at a PSNR-Y are read off the same points the other way round, by PCHIP of their logarithm over PSNR-Y
as for BD-rates, points that a cheaper one beats left out. Nothing is read beyond a curve; clips whose curve does not
reach a PSNR-Y are named and left out of the means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from latcomp.metrics.bdrate import mean_of, monotone, ms_ssim_db

LATCOMP, THRESHOLD, ELASTIC, INFOTOK = "latcomp", "latcomp-threshold", "elastictok-cv", "infotok"
UNIFORM, RANDOM, ALL, FIRST = "uniform", "random", "all", "first"
METHODS = (LATCOMP, THRESHOLD, ELASTIC, INFOTOK, UNIFORM, RANDOM)
ENDS = (FIRST, ALL)


@dataclass(frozen=True)
class AllocatorRow:
    """One clip under one method at one keep ratio."""

    clip: str
    method: str
    keep: float | None
    """Share of the tokens that was asked for; None for the two ends."""
    tokens: int
    keep_ratio: float
    """Share that was kept."""
    bytes: int
    """Of the whole .lat file, without audio."""
    bpp: float
    psnr_y: float
    """dB, mean of the frames' dB."""
    psnr_rgb: float
    ms_ssim_y: float
    decodes: int
    """Runs of the tokenizer's decoder over a group that the decision took."""
    target_mse: float | None
    """What ElasticTok aimed at, over RGB pixels in [-1, 1]."""
    encode_seconds: float
    """Frames to latents."""
    allocate_seconds: float
    """Latents to masks, with all that a method must run to decide."""
    allocate_cpu_seconds: float
    """The same on all processors together."""
    code_seconds: float
    """Quantising, rounding, entropy coding: no part of the total, since the sources have none."""
    fill_seconds: float
    decode_seconds: float
    total_seconds: float
    """Encode, allocate, fill, decode."""


def figures_of(rows: Sequence[AllocatorRow]) -> dict[str, Any]:
    """`{"rows": [...], "at_ratio": [...], "at_psnr": [...]}`."""
    return {"rows": [asdict(row) for row in rows], "at_ratio": at_ratio(rows), "at_psnr": at_psnr(rows)}


def at_ratio(rows: Sequence[AllocatorRow]) -> list[dict[str, Any]]:
    """Means over the clips at each keep ratio, all methods at latcomp's number of tokens; seconds as measured, and
    their ratios.

    Keys: keep, method, clips, tokens, bytes, psnr_y, psnr_rgb, ms_ssim_y; *_gain: latcomp's mean quality less the
    method's over the same clips; allocate_seconds, total_seconds: means; allocate_ratio, total_ratio: the method's over
    latcomp's, sums over the clips; allocate_cpu_ratio: the same of processor seconds, which other work on the machine
    disturbs less; allocate_ratio_least: the smallest of any clip; allocate_ratio_threshold: over the fixed threshold's;
    decodes."""
    found = []
    for keep in _keeps(rows):
        ours = {row.clip: row for row in rows if row.method == LATCOMP and row.keep == keep}
        plain = {row.clip: row for row in rows if row.method == THRESHOLD and row.keep == keep}
        for method in METHODS:
            here = {row.clip: row for row in rows if row.method == method and row.keep == keep and row.clip in ours}
            if not here:
                continue
            read = {clip: _at_tokens(rows, row, ours[clip].tokens) for clip, row in here.items()}
            line: dict[str, Any] = {"keep": keep, "method": method, "clips": len(read)}
            for name in ("tokens", "bytes", "psnr_y", "psnr_rgb", "ms_ssim_y"):
                line[name] = mean_of(values[name] for values in read.values())
            for name in ("psnr_y", "psnr_rgb", "ms_ssim_y"):
                line[f"{name}_gain"] = mean_of(
                    getattr(ours[clip], name) - values[name] for clip, values in read.items()
                )
            line |= _seconds(here, ours, plain)
            found.append(line)
    return found


def at_psnr(rows: Sequence[AllocatorRow]) -> list[dict[str, Any]]:
    """Tokens and bytes that each method needs for the PSNR-Y latcomp has at each keep ratio, over latcomp's; means of
    clips' ratios.

    Keys: keep, method, clips, missing, psnr_y, tokens_ratio, bytes_ratio.
    """
    found = []
    for keep in _keeps(rows):
        ours = {row.clip: row for row in rows if row.method == LATCOMP and row.keep == keep}
        for method in METHODS:
            clips = [clip for clip in ours if any(row.clip == clip and row.method == method for row in rows)]
            ratios: dict[str, tuple[float, float]] = {}
            for clip in clips:
                row = ours[clip]
                if method == LATCOMP:  # as measured, though another point of its curve may beat it
                    ratios[clip] = (1.0, 1.0)
                    continue
                tokens = rate_at(_curve(rows, clip, method, "tokens", "psnr_y"), row.psnr_y)
                size = rate_at(_curve(rows, clip, method, "bytes", "psnr_y"), row.psnr_y)
                if tokens is not None and size is not None:
                    ratios[clip] = (tokens / row.tokens, size / row.bytes)
            if clips:
                found.append(
                    {
                        "keep": keep,
                        "method": method,
                        "clips": len(ratios),
                        "missing": [clip for clip in clips if clip not in ratios],
                        "psnr_y": mean_of(ours[clip].psnr_y for clip in ratios),
                        "tokens_ratio": mean_of(ratio for ratio, _ in ratios.values()),
                        "bytes_ratio": mean_of(ratio for _, ratio in ratios.values()),
                    }
                )
    return found


def rate_at(points: Sequence[tuple[float, float]], quality: float) -> float | None:
    """Rate of a curve of (rate above 0, quality) at a quality, by PCHIP of its logarithm over quality; None outside the
    curve.
    """
    from scipy.interpolate import PchipInterpolator  # type: ignore[import-untyped]

    curve = monotone(points)
    for rate, there in curve:
        if there == quality:
            return rate
    if len(curve) < 2 or not curve[0][1] < quality < curve[-1][1]:
        return None
    rates, qualities = np.array(curve, float).T
    return float(np.exp(PchipInterpolator(qualities, np.log(rates))(quality)))


def _keeps(rows: Sequence[AllocatorRow]) -> list[float]:
    """The keep ratios that were asked for, in order."""
    return sorted({row.keep for row in rows if row.keep is not None})


def _curve(rows: Sequence[AllocatorRow], clip: str, method: str, rate: str, quality: str) -> list[tuple[float, float]]:
    """(rate, quality) of a method on a clip with the two ends; MS-SSIM in dB."""
    points = []
    for row in rows:
        if row.clip == clip and row.method in (method, *ENDS):
            value = getattr(row, quality)
            points.append((float(getattr(row, rate)), ms_ssim_db(value) if quality == "ms_ssim_y" else float(value)))
    return points


def _at_tokens(rows: Sequence[AllocatorRow], row: AllocatorRow, tokens: int) -> dict[str, float]:
    """The row's figures at a number of tokens: as measured where it has that number, else read off its curves."""
    names = ("bytes", "psnr_y", "psnr_rgb", "ms_ssim_y")
    if row.tokens == tokens:
        return {"tokens": tokens, **{name: getattr(row, name) for name in names}}
    found: dict[str, float] = {"tokens": tokens}
    for name in names:
        counts, values = np.array(sorted(_curve(rows, row.clip, row.method, "tokens", name))).T
        value = float(np.interp(np.log(tokens), np.log(counts), values))
        found[name] = 1 - 10 ** (-value / 10) if name == "ms_ssim_y" else value
    return found


def _seconds(
    here: dict[str, AllocatorRow], ours: dict[str, AllocatorRow], plain: dict[str, AllocatorRow]
) -> dict[str, float | None]:
    """Means and ratios of a method's seconds over the clips it was measured on."""

    def total(rows: dict[str, AllocatorRow], name: str) -> float:
        return sum(float(getattr(rows[clip], name)) for clip in here)

    allocate = total(here, "allocate_seconds")
    return {
        "allocate_seconds": allocate / len(here),
        "total_seconds": total(here, "total_seconds") / len(here),
        "allocate_ratio": allocate / total(ours, "allocate_seconds"),
        "allocate_cpu_ratio": total(here, "allocate_cpu_seconds") / total(ours, "allocate_cpu_seconds"),
        "allocate_ratio_least": min(row.allocate_seconds / ours[clip].allocate_seconds for clip, row in here.items()),
        "allocate_ratio_threshold": allocate / total(plain, "allocate_seconds")
        if all(clip in plain for clip in here)
        else None,
        "total_ratio": total(here, "total_seconds") / total(ours, "total_seconds"),
        "decodes": total(here, "decodes") / len(here),
    }
