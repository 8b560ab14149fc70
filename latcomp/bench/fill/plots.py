"""The plot of `bench fill`: latent error, PSNR-Y and MS-SSIM over the share of tokens kept, means over the clips."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from latcomp.bench.fill.measure import FILLS, FillRow
from latcomp.metrics.bdrate import ms_ssim_db
from latcomp.output import output_file
from latcomp.printable import counted

# Okabe and Ito's colours; markers and line styles say the same again
_LOOKS = {
    "hold": ("#000000", "s", "--"),
    "interpolate": ("#0072B2", "^", "-."),
    "lit": ("#009E73", "D", ":"),
    "auto": ("#D55E00", "o", "-"),
}
_LABELS = {
    "latent_mse": "latent error at dropped positions, steps squared",
    "psnr_y": "PSNR-Y, dB",
    "ms_ssim_y": "MS-SSIM, dB: -10 log10(1 - MS-SSIM)",
}


def save_plot(rows: Sequence[FillRow], path: Path) -> None:
    """Write the plot. Raises `OutputError`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(15, 4.8), dpi=130, layout="constrained")
    keeps = sorted({row.keep for row in rows})
    for axes, measure in zip(figure.subplots(1, 3), _LABELS, strict=True):
        for fill in FILLS:
            same = [[row for row in rows if row.fill == fill and row.keep == keep] for keep in keeps]
            shares = [float(np.mean([row.keep_ratio for row in points])) for points in same]
            values = [float(np.mean([getattr(row, measure) for row in points])) for points in same]
            color, marker, line = _LOOKS[fill]
            shown = [ms_ssim_db(value) for value in values] if measure == "ms_ssim_y" else values
            axes.plot(shares, shown, color=color, marker=marker, linestyle=line, markersize=5, label=fill)
        if measure == "latent_mse":
            axes.set_yscale("log")
        axes.set_xlabel("share of tokens kept")
        axes.set_ylabel(_LABELS[measure])
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    clips = len({row.clip for row in rows})
    figure.suptitle(f"Fill at the same mask, mean of {counted(clips, 'clip')}", fontsize=12)
    figure.legend(
        *axes.get_legend_handles_labels(), loc="outside lower center", ncols=len(FILLS), fontsize=9, frameon=False
    )
    with output_file(path, force=True) as temporary:
        figure.savefig(temporary, format=path.suffix[1:] or "png")
