"""A plot of one comparison: PSNR, SSIM, VMAF of every frame over time, with their means."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latcomp.errors import OutputError, UsageError
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
    "xpsnr": ("XPSNR", "#009E73", "-."),
    "vmaf": ("VMAF", "#D55E00", "-"),
}
_PANELS = {
    "PSNR, dB": (("psnr_y", "psnr_rgb", "xpsnr"), "{:.2f} dB"),
    "SSIM": (("ssim_y", "ms_ssim_y"), "{:.4f}"),
    "VMAF": (("vmaf",), "{:.2f}"),
}
_NOT_DRAWN = {"st-lpips"}  # it is known of a few frames only
_FEW = 60  # up to this many frames, each has its own dot


def check_plot_path(target: Path, metrics: Iterable[str] = ("psnr",)) -> None:
    """Raise `OutputError` when the name does not end like a plot that can be written, `UsageError` when none of the
    metrics can be drawn over time.
    """
    if not set(metrics) - _NOT_DRAWN:
        raise UsageError(
            "st-lpips is not drawn over time: add one to metrics that is, such as psnr", settings=("metrics",)
        )
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
    panels = []
    for label, (names, words) in _PANELS.items():
        there = tuple(name for name in names if name in figures["per_frame"])
        if there:
            panels.append((label, there, words))
    figure = Figure(figsize=(11, 3 * max(2, len(panels))), dpi=130, layout="constrained")
    rows = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
    for axes, (label, names, words) in zip(rows, panels, strict=True):
        _draw(axes, figures, seconds, names, label, words)
    rows[-1].set_xlabel("seconds")
    equal = sum(value >= PSNR_CAP_DB for value in figures["per_frame"].get("psnr_y", ()))
    if equal:
        rows[0].set_title(f"{equal} frames are equal and count as {PSNR_CAP_DB:g} dB", fontsize=9, loc="right")
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
