"""`latcomp bench length`: memory and speed over hours of video."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.bench.common import plain_table, show, waiting
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQuality, PlottedOptions
from latcomp.cli.options.shared import Device
from latcomp.cli.standard import STANDARD


def _size(value: str) -> str:
    if not re.fullmatch(r"\d{1,5}x\d{1,5}", value):
        raise typer.BadParameter(f"{value!r} is not a size: write 64x48")
    return value


@takes_groups
def length(
    frames: Annotated[
        int, typer.Option(min=1, metavar="N", help="Frames of the stream; 172800 are two hours at 24 per second.")
    ] = 172800,
    size: Annotated[str, typer.Option(callback=_size, metavar="WxH", help="Size of its frames.")] = "64x48",
    rate: Annotated[int, typer.Option(min=1, max=240, metavar="N", help="Frames per second.")] = 24,
    pan: Annotated[
        int, typer.Option(min=0, metavar="PX", help="Pixels by which the camera turns from frame to frame.")
    ] = 0,
    quality: BenchQuality = 5.0,
    device: Device = "auto",
    *,
    output: PlottedOptions,
) -> None:
    """Memory and speed over the length of a stream that is made as it is encoded."""
    from latcomp.bench.length.measure import Stream, measure

    width, _, height = size.partition("x")
    stream = Stream(int(width), int(height), frames, rate, pan)
    output.check([Path(STANDARD)])

    with waiting("encode", output.quiet) as watch:
        told = None if watch is None else lambda name, now, of: watch(f"{name}: {now} of {of} frames")
        figures = measure(stream, quality, device, told)
    if output.plot is not None:
        from latcomp.bench.length.plot import save_plot

        save_plot(figures, output.plot)
    if not output.quiet:
        _show(figures)
    output.write(figures)


def _show(figures: dict[str, Any]) -> None:
    table = plain_table(
        "",
        "frames/s",
        "peak MB",
        "MB early",
        "MB late",
        "ms a frame early",
        "late",
        title=f"{figures['frames']} frames of {figures['width']}x{figures['height']}, {figures['bytes']} bytes, "
        f"camera followed at {figures['pixels_per_frame']:.1f} pixels a frame",
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
