"""The plot of `bench allocators`: quality over the share of tokens, and seconds of the decision beside latcomp's; means
over the clips.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from latcomp.bench.allocators.figures import (
    ELASTIC,
    ENDS,
    INFOTOK,
    LATCOMP,
    METHODS,
    RANDOM,
    THRESHOLD,
    UNIFORM,
    AllocatorRow,
    at_ratio,
)
from latcomp.metrics.bdrate import ms_ssim_db
from latcomp.output import output_file
from latcomp.printable import counted

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito's colours; markers and line styles say the same again
_LOOKS: dict[str, tuple[str, str, str]] = {
    LATCOMP: ("#D55E00", "o", "-"),
    THRESHOLD: ("#E69F00", "P", "-"),
    ELASTIC: ("#0072B2", "^", "-."),
    INFOTOK: ("#009E73", "D", ":"),
    UNIFORM: ("#000000", "s", "--"),
    RANDOM: ("#CC79A7", "v", "--"),
}
_LABELS = {"psnr_y": "PSNR-Y, dB", "ms_ssim_y": "MS-SSIM, dB: -10 log10(1 - MS-SSIM)"}


def save_plot(rows: Sequence[AllocatorRow], path: Path) -> None:
    """Write the plot. Raises `OutputError`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.8), dpi=130, layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    for axes, measure in ((left, "psnr_y"), (middle, "ms_ssim_y")):
        _draw_quality(axes, rows, measure)
    _draw_seconds(right, rows)
    clips = len({row.clip for row in rows})
    figure.suptitle(
        f"The same tokenizer, LIT and decoder under each mask, mean of {counted(clips, 'clip')}", fontsize=12
    )
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=6, fontsize=9, frameon=False)
    with output_file(path, force=True) as temporary:
        figure.savefig(temporary, format=path.suffix[1:] or "png")


def _draw_quality(axes: Axes, rows: Sequence[AllocatorRow], measure: str) -> None:
    """A curve for each method between the two ends that all share."""
    ends = [_mean([row for row in rows if row.method == end], measure) for end in ENDS]
    for method in METHODS:
        if method == THRESHOLD:
            continue  # the masks are the budget's
        keeps = sorted({row.keep for row in rows if row.method == method and row.keep is not None})
        points = [_mean([row for row in rows if row.method == method and row.keep == keep], measure) for keep in keeps]
        if points:
            color, marker, line = _LOOKS[method]
            both = sorted([*points, *ends])
            axes.plot(
                *zip(*both, strict=True), color=color, linestyle=line, linewidth=2.2 if method == LATCOMP else 1.5
            )
            axes.plot(
                *zip(*points, strict=True), color=color, linestyle=line, marker=marker, markersize=5, label=method
            )
    axes.set_xlabel("share of tokens kept")
    axes.set_ylabel(_LABELS[measure])
    axes.grid(True, color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)


def _mean(rows: Sequence[AllocatorRow], measure: str) -> tuple[float, float]:
    """(share kept, quality) of some rows, means."""
    values = [getattr(row, measure) for row in rows]
    quality = ms_ssim_db(float(np.mean(values))) if measure == "ms_ssim_y" else float(np.mean(values))
    return float(np.mean([row.keep_ratio for row in rows])), quality


def _draw_seconds(axes: Axes, rows: Sequence[AllocatorRow]) -> None:
    """Bars: the mean seconds of a decision, on a logarithmic axis, with its ratio to latcomp's."""
    lines = at_ratio(rows)
    methods = [method for method in METHODS if any(line["method"] == method for line in lines)]
    seconds = [
        float(np.mean([line["allocate_seconds"] for line in lines if line["method"] == method])) for method in methods
    ]
    places = np.arange(len(methods))[::-1]
    axes.barh(places, seconds, color=[_LOOKS[method][0] for method in methods], height=0.6)
    ours = seconds[methods.index(LATCOMP)]
    for place, value in zip(places, seconds, strict=True):
        axes.annotate(f" {value:.3g} s, {value / ours:.3g}x", (value, place), va="center", fontsize=9)
    axes.set_yticks(places, methods)
    axes.set_xscale("log")
    axes.set_xlim(min(seconds) / 2, max(seconds) * 60)
    axes.set_xlabel("seconds from latents to mask, a clip")
