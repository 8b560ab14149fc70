"""A plot of one comparison: PSNR and SSIM of every frame over time, with their means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latcomp.errors import OutputError
from latcomp.metrics.luma import PSNR_CAP_DB
from latcomp.output import output_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")

# Okabe and Ito's colours, which people with any common colour blindness tell apart; line styles say the same again.
_LOOKS = {
    "psnr_y": ("PSNR-Y", "#D55E00", "-"),
    "psnr_rgb": ("PSNR RGB", "#0072B2", "--"),
    "ssim_y": ("SSIM", "#D55E00", "-"),
    "ms_ssim_y": ("MS-SSIM", "#0072B2", "--"),
}
_FEW = 60  # up to this many frames, each has its own dot


def check_plot_path(target: Path) -> None:
    """Raise `OutputError` when the name does not end like a plot that can be written."""
    if target.suffix.lower() not in SUFFIXES:
        raise OutputError(f"{target}: a plot is written as {' or '.join(SUFFIXES)}")


def save_comparison_plot(
    figures: Mapping[str, Any], seconds: Sequence[float], title: str, target: Path, force: bool = False
) -> None:
    """Write the plot of `figures`, the object of `compare --json`, as the PNG or SVG that the suffix asks for.

    seconds: the time of each frame. Raises `OutputError` for another suffix and when the target exists without `force`.
    """
    from matplotlib.figure import Figure

    check_plot_path(target)
    figure = Figure(figsize=(11, 6), dpi=130, layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True)
    _draw(upper, figures, seconds, ("psnr_y", "psnr_rgb"), "PSNR, dB", "{:.2f} dB")
    _draw(lower, figures, seconds, ("ssim_y", "ms_ssim_y"), "SSIM", "{:.4f}")
    lower.set_xlabel("seconds")
    equal = sum(value >= PSNR_CAP_DB for value in figures["per_frame"]["psnr_y"])
    if equal:
        upper.set_title(f"{equal} frames are equal and count as {PSNR_CAP_DB:g} dB", fontsize=9, loc="right")
    bpp = "" if figures.get("bpp") is None else f", {figures['bpp']:.4f} bits per pixel"
    figure.suptitle(f"{title} ({figures['frames']} frames{bpp})", fontsize=12)
    with output_file(target, force) as temporary:
        figure.savefig(temporary, format=target.suffix.lower().lstrip("."))


def _draw(
    axes: Axes, figures: Mapping[str, Any], seconds: Sequence[float], names: Sequence[str], label: str, words: str
) -> None:
    """A curve and a level line at the mean for each of the names."""
    for name in names:
        text, color, line = _LOOKS[name]
        values = figures["per_frame"][name]
        marker = "o" if len(values) <= _FEW else ""
        mean = f"{text}, mean {words.format(figures[name])}"
        axes.plot(seconds, values, color=color, linestyle=line, linewidth=1.5, marker=marker, markersize=3, label=mean)
        axes.axhline(figures[name], color=color, linestyle=":", linewidth=1)
    axes.set_ylabel(label)
    axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.legend(loc="best", fontsize=9, frameon=False)
