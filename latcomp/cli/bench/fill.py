"""`latcomp bench fill`: ways to fill dropped positions, at the same masks."""

from __future__ import annotations

from typing import Annotated

import typer

from latcomp.cli.bench.common import measure_each, show
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQuality, Clips, PlottedOptions, keep_list, numbers
from latcomp.cli.options.shared import Device


@takes_groups
def fill(
    clips: Clips,
    quality: BenchQuality = 5.0,
    keeps: Annotated[
        str, typer.Option("--keep", callback=keep_list, metavar="F,F,...", help="Keep ratios to measure at.")
    ] = "0.1,0.2,0.3,0.5,0.7",
    device: Device = "auto",
    *,
    output: PlottedOptions,
) -> None:
    """Hold, linear interpolation and the LIT at the same mask."""
    from rich.table import Table

    output.check(clips)

    from latcomp.bench.fill.measure import FILLS, FillBench

    bench = FillBench(quality, numbers(keeps), device)
    measure_each(clips, lambda clip, watch: len(bench.run(clip, watch)), output.quiet)
    figures = bench.figures()
    if output.plot is not None:
        from latcomp.bench.fill.plots import save_plot

        save_plot(bench.rows, output.plot)
    table = Table(box=None, pad_edge=False)
    table.add_column("clip")
    table.add_column("kept", justify="right")
    for name in FILLS:
        for heading in (f"{name}, dB", "PSNR-Y", "MS-SSIM"):
            table.add_column(heading, justify="right")
    cells: dict[tuple[str, float], list[str]] = {}
    for row in [*figures["rows"], *({"clip": "mean", **row} for row in figures["mean"])]:
        values = (f"{row['gain_db']:+.2f}", f"{row['psnr_y']:.2f}", f"{row['ms_ssim_y']:.4f}")
        cells.setdefault((row["clip"], row["keep"]), []).extend(values)
    for (clip, keep), line in cells.items():
        table.add_row(clip, f"{100 * keep:g} %", *line)
    if not output.quiet:
        table.title, table.title_justify = "latents at dropped positions in dB over hold, and the decoded video", "left"
        show(table)
    output.write(figures)
