"""`latcomp bench growth`: how the time of a frame grows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.bench.common import plain_table, show, waiting
from latcomp.cli.choices import CAMERAS, word_of
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQuality, PlottedOptions, TokenizerName
from latcomp.cli.options.shared import Device


@takes_groups
def growth(
    clip: Annotated[Path, typer.Argument(metavar="CLIP", show_default=False, help="The video to measure on.")],
    quality: BenchQuality = 5.0,
    repeats: Annotated[int, typer.Option(min=1, metavar="N", help="Runs of each point; their median counts.")] = 3,
    camera: Annotated[
        str, typer.Option(**word_of(CAMERAS), help="Whether a moving camera is followed (auto), or not (off).")
    ] = "auto",
    tokenizer: TokenizerName = None,
    device: Device = "auto",
    *,
    output: PlottedOptions,
) -> None:
    """How the time of a frame grows with a clip's length, the size of its frames and the share of kept tokens."""
    output.check([clip])

    from latcomp.bench.growth.measure import GrowthSettings, measure

    with waiting(clip.stem, output.quiet) as watch:
        figures = measure(clip, GrowthSettings(quality, repeats, camera, tokenizer, device), watch)
    if output.plot is not None:
        from latcomp.bench.growth.plot import save_plot

        save_plot(figures, output.plot)
    if not output.quiet:
        _show(figures)
    output.write(figures)


def _show(figures: dict[str, Any]) -> None:
    title = f"{figures['clip']}, quality {figures['quality']:g}: milliseconds a frame on {figures['device']}"
    table = plain_table("by", "frames", "size", "kept", "encode", "decode", title=title)
    for point in figures["points"]:
        costs = (f"{1e3 * point[f'{name}_seconds'] / point['frames']:.1f}" for name in ("encode", "decode"))
        size = f"{point['width']}x{point['height']}"
        table.add_row(point["by"], str(point["frames"]), size, f"{point['keep_ratio']:.0%}", *costs)
    show(table)
