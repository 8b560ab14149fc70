"""`latcomp bench tokens`: how few tokens a quality needs."""

from __future__ import annotations

from typing import Annotated

import typer

from latcomp.cli.bench.common import measure_each, plain_table, show
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQualities, Clips, PlottedOptions, numbers
from latcomp.cli.options.shared import Device, Duration
from latcomp.errors import UsageError


@takes_groups
def tokens(
    clips: Clips,
    quality: BenchQualities = "2,4,6,8",
    duration: Duration = None,
    fast: Annotated[bool, typer.Option("--fast", help="Decode as the encoder chose to fill alone.")] = False,
    device: Device = "auto",
    *,
    output: PlottedOptions,
) -> None:
    """PSNR-Y against the share of tokens kept, for the fewest bits and for the fewest tokens."""
    output.check(clips, "scipy")
    if len(numbers(quality)) < 2:
        raise UsageError("--quality: a comparison at equal PSNR-Y needs two qualities or more")

    from latcomp.bench.tokens import figures_of, rows_of, save_plot
    from latcomp.codec.settings import FILLS

    rows = []

    def measure(clip: object, watch: object) -> int:
        fills = ("auto",) if fast else FILLS
        found = rows_of(clip, numbers(quality), device, duration, fills)  # type: ignore[arg-type]
        rows.extend(found)
        return len(found)

    measure_each(clips, measure, output.quiet)
    figures = figures_of(rows)
    if output.plot is not None:
        save_plot(rows, output.plot)
    if not output.quiet:
        table = plain_table("clip", "tokens", "bits", title="percent more of --optimise tokens at equal PSNR-Y")
        for clip, found in figures["fewer"].items():
            table.add_row(clip, *("-" if value is None else f"{value:+.1f}" for value in found.values()))
        show(table)
    output.write(figures)
