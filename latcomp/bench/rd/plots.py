"""Rate-distortion plots: a PNG for each clip and for each mean, PSNR-Y and MS-SSIM side by side over the rate."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from latcomp.bench.rd.figures import MEAN, MEASURES, RdRow, clips_of, curve_codecs, mean_key, mean_rows, quality_of
from latcomp.output import output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours, which people with any common colour blindness tell apart; markers and line styles say the
# same again.
_LOOKS: dict[str, tuple[str, str, str]] = {
    "latcomp": ("#D55E00", "o", "-"),
    "x264": ("#000000", "s", "--"),
    "x265": ("#0072B2", "^", "-."),
    "svtav1": ("#009E73", "D", ":"),
    "raw-fp16": ("#CC79A7", "", "-"),
    "int8-zstd": ("#CC79A7", "", ":"),
}
_OTHER = ("#56B4E9", "v", "-")
_LABELS = {"psnr_y": "PSNR-Y, dB", "ms_ssim_y": "MS-SSIM, dB: -10 log10(1 - MS-SSIM)"}
_SUFFIX = ".png"


def plot_paths(target: Path, clips: Sequence[str], groups: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """The file of each plot, by the name of its clip or mean.

    target: a path that ends in .png gets the mean alone, any other one is a folder that gets `mean.png`,
    `mean-of-GROUP.png` and a file for each clip."""
    if target.suffix.lower() == _SUFFIX:
        return {MEAN: target}
    names = [MEAN, *map(mean_key, groups), *clips]
    return {name: target / (re.sub(r"[^\w.-]+", "-", name) + _SUFFIX) for name in names}


def save_plots(rows: Sequence[RdRow], target: Path, groups: Mapping[str, Sequence[str]]) -> list[Path]:
    """Write the plots of `plot_paths` and return their paths; a folder is made where there is none. Raises
    `OutputError`.
    """
    paths = plot_paths(target, clips_of(rows), groups)
    if target.suffix.lower() != _SUFFIX:
        target.mkdir(parents=True, exist_ok=True)
    for name, path in paths.items():
        chosen = [row for row in rows if row.clip == name]
        if name == MEAN:
            chosen = mean_rows(rows)
        for group, members in groups.items():
            if name == mean_key(group):
                chosen = mean_rows([row for row in rows if row.clip in members])
        _save(chosen, _title(name, rows, groups), path)
    return list(paths.values())


def _title(name: str, rows: Sequence[RdRow], groups: Mapping[str, Sequence[str]]) -> str:
    counts = {MEAN: len(clips_of(rows)), **{mean_key(group): len(members) for group, members in groups.items()}}
    return name if name not in counts else f"{name} ({counts[name]} clip{'' if counts[name] == 1 else 's'})"


def _save(rows: Sequence[RdRow], title: str, path: Path) -> None:
    """One plot of the rows of one clip or mean."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.8), dpi=130, layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, measure in zip((left, right), MEASURES, strict=True):
        _draw(axes, rows, measure)
    figure.suptitle(title, fontsize=12)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9, frameon=False)
    with output_file(path, force=True) as temporary:
        figure.savefig(temporary)


def _draw(axes: Axes, rows: Sequence[RdRow], measure: str) -> None:
    """Curves of the codecs that have one, and a level line for the quality of latents kept whole, far to the right of
    the curves.
    """
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    with_curve = curve_codecs(rows)
    for codec in with_curve:
        points = sorted((row.bpp, quality_of(row, measure)) for row in rows if row.codec == codec)
        color, marker, line = _LOOKS.get(codec, _OTHER)
        width = 2.2 if codec == "latcomp" else 1.5
        axes.plot(
            *zip(*points, strict=True),
            color=color,
            marker=marker,
            linestyle=line,
            linewidth=width,
            markersize=5,
            label=codec,
        )
    for row in rows:
        if row.codec not in with_curve:
            color, _, line = _LOOKS.get(row.codec, _OTHER)
            label = f"{row.codec}, at {row.bpp:.2f} bits per pixel"
            axes.axhline(quality_of(row, measure), color=color, linestyle=line, linewidth=1.2, label=label)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel(_LABELS[measure])
    axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
