"""The picture of `stats --plot`: kept tokens, bytes by kind, and the speed of a camera that was followed, over the time
of a file. Needs matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latcomp.errors import UsageError
from latcomp.output import output_file
from latcomp.printable import printable
from latcomp.report.series import Column, GroupRow, columns_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SUFFIXES = (".png", ".svg")
COLUMNS_MOST = 1000  # more steps than this no picture shows
# Okabe and Ito's colours, which people with any common colour blindness tell apart
KEPT_COLOR = "#D55E00"
CAMERA_COLOR = "#009E73"
KIND_LOOKS = (("tokens", "#0072B2"), ("keep masks", "#E69F00"), ("the rest", "#999999"))
HEADROOM = 1.25  # the height of an axis over its highest value: legends stand there
KILO_FROM = 2000.0  # bits per second from which the axis counts thousands


def check_plot(path: Path) -> None:
    """Raise `UsageError` when the name of a plot does not end in .png or .svg, or matplotlib is not installed."""
    if path.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{path}: the name of a plot must end in {' or '.join(SUFFIXES)}")
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise UsageError("plots need matplotlib, which is not installed: pip install 'latcomp[report]'")


def save_plot(figures: dict[str, Any], rows: Sequence[GroupRow], name: str, path: Path, force: bool = False) -> None:
    """Write the plot of a file; its suffix chooses PNG or SVG.

    figures: of `stats_dict`; rows: of `group_rows`; name: what the title calls the file. Raises `UsageError` as
    `check_plot` does, `OutputError` when the path exists and `force` is not given, or cannot be written."""
    check_plot(path)
    import matplotlib
    from matplotlib.figure import Figure

    columns = columns_of(rows, COLUMNS_MOST)
    moves = any(column.pixels_per_frame for column in columns)
    figure = Figure(figsize=(9, 7.2 if moves else 5.4), dpi=130, layout="constrained")
    heights = (3, 3, 2) if moves else (1, 1)
    above, below, *lowest = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _draw_kept(above, columns, figures["keep_ratio"])
    _draw_bytes(below, columns)
    for axes in lowest:
        _draw_camera(axes, columns, figures["camera"]["pixels_per_frame"])
    (lowest or [below])[-1].set_xlabel("seconds")
    shown = _shortened(printable(name))
    figure.suptitle(
        f"{shown}: {figures['tokens_kept']} of {figures['tokens_total']} tokens kept, {figures['bpp']:.4f} bits a "
        "pixel",
        fontsize=11,
        parse_math=False,
    )
    metadata = {"Date": None} if path.suffix.lower() == ".svg" else {}
    # the same file gives the same bytes, and text stays text
    with (
        output_file(path, force) as temporary,
        matplotlib.rc_context({"svg.hashsalt": "latcomp", "svg.fonttype": "none"}),
    ):
        figure.savefig(temporary, metadata=metadata)


def _shortened(name: str, most: int = 60) -> str:
    return name if len(name) <= most else f"{name[: most // 2]}…{name[-most // 2 :]}"


def _draw_kept(axes: Axes, columns: Sequence[Column], mean: float) -> None:
    """The share of kept tokens as steps, and its mean as a line."""
    for run in _runs(columns):
        edges = [column.start_seconds for column in run] + [run[-1].end_seconds]
        values = [100 * column.keep_ratio for column in run]
        axes.stairs(values, edges, fill=True, color=KEPT_COLOR, alpha=0.25)
        axes.stairs(values, edges, color=KEPT_COLOR, linewidth=1.8, baseline=None)
    if columns:
        axes.axhline(100 * mean, color="#000000", linestyle="--", linewidth=1, label=f"mean {mean:.1%}")
        axes.legend(loc="upper right", fontsize=9, frameon=False)
    axes.set_ylabel("tokens kept, %")
    axes.set_ylim(0, HEADROOM * 100 * max((column.keep_ratio for column in columns), default=1.0) or 1.0)
    _grid(axes)


def _draw_bytes(axes: Axes, columns: Sequence[Column]) -> None:
    """Bits per second by kind, stacked, as steps."""
    peak = max((sum(column.bits_per_second) for column in columns), default=0.0)
    unit, scale = ("kbit/s", 1000.0) if peak >= KILO_FROM else ("bit/s", 1.0)
    for first, run in enumerate(_runs(columns)):
        edges = [column.start_seconds for column in run] + [run[-1].end_seconds]
        base = [0.0] * len(run)
        for place, (label, color) in enumerate(KIND_LOOKS):
            top = [low + column.bits_per_second[place] / scale for low, column in zip(base, run, strict=True)]
            axes.stairs(top, edges, baseline=base, fill=True, color=color, label=None if first else label)
            base = top
    if columns:
        axes.legend(loc="upper right", fontsize=9, frameon=False, ncols=len(KIND_LOOKS))
    axes.set_ylabel(f"{unit}, without audio")
    axes.set_ylim(0, HEADROOM * peak / scale or 1.0)
    axes.margins(x=0.01)
    _grid(axes)


def _draw_camera(axes: Axes, columns: Sequence[Column], mean: float) -> None:
    """The camera's speed as steps, and its mean as a line."""
    for run in _runs(columns):
        edges = [column.start_seconds for column in run] + [run[-1].end_seconds]
        values = [column.pixels_per_frame for column in run]
        axes.stairs(values, edges, fill=True, color=CAMERA_COLOR, alpha=0.25)
        axes.stairs(values, edges, color=CAMERA_COLOR, linewidth=1.8, baseline=None)
    axes.axhline(mean, color="#000000", linestyle="--", linewidth=1, label=f"mean {mean:.1f}")
    axes.legend(loc="upper right", fontsize=9, frameon=False)
    axes.set_ylabel("camera,\npixels per frame")
    axes.set_ylim(0, HEADROOM * max(column.pixels_per_frame for column in columns))
    axes.margins(x=0.01)
    _grid(axes)


def _runs(columns: Sequence[Column]) -> list[list[Column]]:
    """The columns in runs without a gap between them, so that lost groups stay empty; columns in which no time passes
    are left out.
    """
    runs: list[list[Column]] = []
    for column in columns:
        if column.end_seconds <= column.start_seconds:
            continue
        if runs and abs(runs[-1][-1].end_seconds - column.start_seconds) < 1e-6:
            runs[-1].append(column)
        else:
            runs.append([column])
    return runs


def _grid(axes: Axes) -> None:
    axes.grid(True, which="major", color="#dddddd", linewidth=0.8)
    axes.set_axisbelow(True)
