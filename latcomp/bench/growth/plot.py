"""The plot of `bench growth`: milliseconds a frame over length and kept share, and over the pixels of a frame."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latcomp.output import output_file

_LOOKS = {"encode": ("#0072B2", "o-"), "decode": ("#D55E00", "s--")}  # Okabe and Ito's colours
_AXES = {"length": "frames", "size": "thousand pixels a frame", "kept": "share of tokens kept"}


def over(point: dict[str, Any]) -> float:
    """Where a point stands on its axis."""
    if point["by"] == "length":
        return float(point["frames"])
    if point["by"] == "size":
        return float(point["width"] * point["height"]) / 1e3
    return float(point["keep_ratio"])


def save_plot(figures: dict[str, Any], path: Path) -> None:
    """Write the plot of what `latcomp.bench.growth.measure.measure` gave. Raises `OutputError`."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(12, 3.8), dpi=130, layout="constrained")
    for axes, (by, label) in zip(figure.subplots(1, 3), _AXES.items(), strict=True):
        points = [point for point in figures["points"] if point["by"] == by]
        for name, (color, style) in _LOOKS.items():
            costs = [1e3 * point[f"{name}_seconds"] / point["frames"] for point in points]
            axes.plot([over(point) for point in points], costs, style, color=color, label=name, markersize=4)
        axes.set_xlabel(label)
        axes.set_xlim(left=0)
        axes.set_ylim(bottom=0)
        axes.grid(True, color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
        axes.set_ylabel("milliseconds a frame")
    axes.legend(frameon=False)
    figure.suptitle(f"{figures['clip']}, quality {figures['quality']:g}", fontsize=12)
    with output_file(path, force=True) as temporary:
        figure.savefig(temporary, format=path.suffix[1:] or "png")
