"""From measured points to figures: BD-rates, means over clips, and qualities at given rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from latcomp.metrics.bdrate import Point, bd_rate, mean_of, ms_ssim_db, quality_at
from latcomp.metrics.choice import MEMBERS

MEASURES = ("psnr_y", "ms_ssim_y")
"""Measures of every row."""
FURTHER = tuple(MEMBERS.values())
"""Measures of rows where they are asked for."""
LOWER_IS_BETTER = ("st_lpips",)
MEAN = "mean"


@dataclass(frozen=True)
class RdRow:
    """One clip, coded by one codec at one setting."""

    clip: str
    codec: str
    preset: str
    """The encoder's preset; for latcomp and latents the tokenizer."""
    setting: float | None
    """latcomp: quality; x264, x265, svtav1: CRF; None where there is nothing to set."""
    bpp: float
    """Bits per pixel of the video alone."""
    psnr_rgb: float
    """dB, mean of the frames' dB."""
    psnr_y: float
    ms_ssim_y: float
    """0 to 1, mean of the frames'."""
    encode_seconds: float
    decode_seconds: float
    vmaf: float | None = None
    """0 to 100; this and the next ones are None where they were not asked for."""
    xpsnr: float | None = None
    """dB of luma."""
    st_lpips: float | None = None
    """0 for equal pictures, the mean of a few frames."""


def measures_of(rows: Iterable[RdRow]) -> tuple[str, ...]:
    """`MEASURES`, and those of `FURTHER` that the rows have."""
    listed = list(rows)
    return (*MEASURES, *(name for name in FURTHER if any(getattr(row, name) is not None for row in listed)))


def quality_of(row: RdRow, measure: str) -> float:
    """Quality of a row as curves are drawn, higher is better: dB, VMAF as it is, ST-LPIPS with its sign changed."""
    value = float(getattr(row, measure))
    if measure in LOWER_IS_BETTER:
        return -value
    return ms_ssim_db(value) if measure == "ms_ssim_y" else value


def curve(rows: Iterable[RdRow], clip: str, codec: str, measure: str) -> list[Point]:
    """(bits per pixel, dB) of one codec on one clip, as measured."""
    return [(row.bpp, quality_of(row, measure)) for row in rows if row.clip == clip and row.codec == codec]


def clips_of(rows: Iterable[RdRow]) -> list[str]:
    """Names of the clips, in order."""
    return list(dict.fromkeys(row.clip for row in rows))


def curve_codecs(rows: Sequence[RdRow]) -> list[str]:
    """The codecs that have a setting, and so a curve, in order."""
    return list(dict.fromkeys(row.codec for row in rows if row.setting is not None))


def mean_key(group: str) -> str:
    """How the mean over a group is called."""
    return f"mean of {group}"


def mean_rows(rows: Sequence[RdRow], name: str = MEAN) -> list[RdRow]:
    """A row for each codec and setting: the arithmetic mean of every number over the clips, called `name`."""
    points: dict[tuple[str, float | None], list[RdRow]] = {}
    for row in rows:
        points.setdefault((row.codec, row.setting), []).append(row)
    numbers = ("bpp", "psnr_rgb", "psnr_y", "ms_ssim_y", "encode_seconds", "decode_seconds")
    return [
        RdRow(
            name,
            codec,
            same[0].preset,
            setting,
            *(float(np.mean([getattr(row, number) for row in same])) for number in numbers),
            *(mean_of(getattr(row, further) for row in same) for further in FURTHER),
        )
        for (codec, setting), same in points.items()
    ]


def bd_rates(
    rows: Sequence[RdRow], test: str, groups: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, dict[str, float | None]]]:
    """`{codec: {clip | "mean" | "mean of GROUP": {psnr_y, ms_ssim_y, psnr_rgb, ...}}}`: percent more bits of `test`
    than of each codec, by each of `measures_of(rows)` and by PSNR of RGB.

    None for a clip where the curves share no quality; it is left out of the means.
    """
    clips, measures = clips_of(rows), (*measures_of(rows), "psnr_rgb")
    codecs = curve_codecs(rows)
    if test not in codecs:
        return {}
    found: dict[str, dict[str, dict[str, float | None]]] = {}
    for codec in codecs:
        if codec == test:
            continue
        by_clip = {
            clip: {name: bd_rate(curve(rows, clip, codec, name), curve(rows, clip, test, name)) for name in measures}
            for clip in clips
        }
        means = {
            MEAN: clips,
            **{mean_key(group): [name for name in clips if name in members] for group, members in groups.items()},
        }
        found[codec] = by_clip | {
            key: {name: mean_of(by_clip[clip][name] for clip in members) for name in measures}
            for key, members in means.items()
        }
    return found


def without_overlap(rates: Mapping[str, Mapping[str, Mapping[str, float | None]]], clips: Iterable[str]) -> list[str]:
    """A line for each codec and measure that lacks clips: which ones are left out of its means."""
    lines = []
    for codec, by_clip in rates.items():
        for name in next(iter(by_clip.values()), {}):
            lost = [clip for clip in clips if clip in by_clip and by_clip[clip][name] is None]
            if lost:
                lines.append(f"{codec}, {name}: no quality in common on {', '.join(lost)}; left out of the means")
    return lines


def at_rates(rows: Sequence[RdRow], rates: Sequence[float]) -> list[dict[str, Any]]:
    """`[{codec, bpp, psnr_rgb, psnr_y, ms_ssim_y, ..., clips, missing, common}]`: means over clips of the quality at
    each rate, None for a further measure whose curves end before it.

    clips: how many the means are over; missing: those whose curve does not reach the rate; common: the same means, with
    their `clips`, over those that every codec reaches, for codecs to be compared by. MS-SSIM is interpolated in dB and
    averaged as it is, 0 to 1."""
    names, measures = clips_of(rows), ("psnr_rgb", *measures_of(rows))
    found: list[dict[str, Any]] = []
    for rate in rates:
        read = {
            codec: {clip: _read(rows, clip, codec, rate, measures) for clip in names} for codec in curve_codecs(rows)
        }
        common = [clip for clip in names if all(values[clip] for values in read.values())]
        for codec, values in read.items():
            missing = [clip for clip in names if values[clip] is None]
            means = _means(values, [clip for clip in names if clip not in missing], measures)
            found.append(
                {"codec": codec, "bpp": rate, **means, "missing": missing, "common": _means(values, common, measures)}
            )
    return found


def _read(
    rows: Sequence[RdRow], clip: str, codec: str, rate: float, measures: Sequence[str]
) -> dict[str, float | None] | None:
    """The qualities of one clip at a rate; None where the curve of PSNR or MS-SSIM does not reach it. A further measure
    may end before: VMAF stays at 100 from somewhere on.
    """
    found = {name: quality_at(curve(rows, clip, codec, name), rate) for name in measures}
    ms_ssim = found["ms_ssim_y"]
    if ms_ssim is None or any(value is None for name, value in found.items() if name not in FURTHER):
        return None
    signed = {name: -value for name, value in found.items() if name in LOWER_IS_BETTER and value is not None}
    return found | signed | {"ms_ssim_y": 1 - 10 ** (-ms_ssim / 10)}


def _means(
    values: Mapping[str, dict[str, float | None] | None], clips: Sequence[str], measures: Sequence[str]
) -> dict[str, Any]:
    """Means over some clips, and their number."""
    there = [found for clip in clips if (found := values[clip]) is not None]
    return {name: mean_of(found[name] for found in there) for name in measures} | {"clips": len(there)}


def figures_of(
    rows: Sequence[RdRow], test: str, groups: Mapping[str, Sequence[str]], rates: Sequence[float]
) -> dict[str, Any]:
    """`{"clips": [...], "bd_rate": {...}}`, and `"at"` where rates are asked for."""
    figures: dict[str, Any] = {"clips": [asdict(row) for row in rows], "bd_rate": bd_rates(rows, test, groups)}
    if rates:
        figures["at"] = at_rates(rows, rates)
    return figures
