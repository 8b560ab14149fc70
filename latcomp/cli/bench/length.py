"""`latcomp bench length`: memory and speed over hours of video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.bench.common import JsonFile, PlotFile, check_outputs, finish, plain_table, show
from latcomp.cli.options.numbers import finite_between
from latcomp.cli.options.shared import Device, Force, Quiet
from latcomp.cli.standard import STANDARD, error_console


def _size(value: str) -> str:
    if not re.fullmatch(r"\d{1,5}x\d{1,5}", value):
        raise typer.BadParameter(f"{value!r} is not a size: write 64x48")
    return value


def length(
    frames: Annotated[
        int, typer.Option(min=1, metavar="N", help="Frames of the stream; 172800 are two hours at 24 a second.")
    ] = 172800,
    size: Annotated[str, typer.Option(callback=_size, metavar="WxH", help="Size of its picture.")] = "64x48",
    rate: Annotated[int, typer.Option(min=1, max=240, metavar="N", help="Frames a second.")] = 24,
    quality: Annotated[
        float,
        typer.Option(
            "-Q", "--quality", callback=finite_between(0, 10), metavar="0..10", help="Quality to encode with."
        ),
    ] = 5.0,
    device: Device = "auto",
    json: JsonFile = None,
    plot: PlotFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Memory and speed over the length of a stream that is made as it is encoded."""
    from latcomp.bench.length.measure import Stream, measure
    from latcomp.report.extras import need_report_extra

    width, _, height = size.partition("x")
    stream = Stream(int(width), int(height), frames, rate)
    need_report_extra(*(["matplotlib"] if plot else []))
    check_outputs([Path(STANDARD)], force, json, plot)

    console = error_console()
    if quiet or not console.is_terminal:
        figures = measure(stream, quality, device)
    else:
        with console.status("encode") as status:
            figures = measure(
                stream, quality, device, lambda name, now, of: status.update(f"{name}: {now} of {of} frames")
            )
    if plot is not None:
        from latcomp.bench.length.plot import save_plot

        save_plot(figures, plot)
    if not quiet:
        _show(figures)
    finish(figures, json)


def _show(figures: dict[str, Any]) -> None:
    table = plain_table(
        "",
        "frames/s",
        "peak MB",
        "MB early",
        "MB late",
        "ms a frame early",
        "late",
        title=f"{figures['frames']} frames of {figures['width']}x{figures['height']}, {figures['bytes']} bytes",
    )
    for name in ("encode", "decode"):
        one = figures[name]
        cells = [
            one["rss_bytes_early"],
            one["rss_bytes_late"],
            one["cpu_seconds_a_frame_early"],
            one["cpu_seconds_a_frame_late"],
        ]
        texts = [
            "-" if cell is None else f"{cell * factor:.{digits}f}"
            for cell, factor, digits in zip(cells, (1e-6, 1e-6, 1e3, 1e3), (0, 0, 2, 2), strict=True)
        ]
        table.add_row(name, f"{one['frames_per_second']:.1f}", f"{one['peak_bytes'] / 1e6:.0f}", *texts)
    table.add_row(f"a second from {figures['seek']['start_seconds']:g} s on", f"{figures['seek']['seconds']:.2f} s")
    show(table)
