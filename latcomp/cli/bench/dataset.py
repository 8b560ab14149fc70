"""`latcomp bench dataset`: what training pays to read latents from .lat files."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from latcomp.cli.bench.common import plain_table, show, waiting
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQuality, Clips, FiguresOptions
from latcomp.cli.options.shared import Device
from latcomp.cli.standard import note
from latcomp.printable import counted


@takes_groups
def dataset(
    clips: Clips,
    quality: BenchQuality = 5.0,
    workers: Annotated[int, typer.Option(min=1, metavar="N", help="Worker processes of the DataLoader.")] = 4,
    latent_frames: Annotated[
        int, typer.Option("--latent-frames", min=1, metavar="N", help="Length of the random stretches.")
    ] = 8,
    items: Annotated[int, typer.Option(min=1, metavar="N", help="Samples an epoch; the clips take turns.")] = 48,
    repeats: Annotated[
        int, typer.Option(min=1, metavar="N", help="Epochs that are timed; minimum, median and maximum are shown.")
    ] = 3,
    device: Device = "auto",
    *,
    output: FiguresOptions,
) -> None:
    """Samples a second of LatDataset, and of torch.load of the same latents in bfloat16.

    Whole files, and random stretches, in worker processes. Files are read many times over, so they come from the
    system's cache: bytes say what a disk or a network would have to deliver."""
    output.check(clips)

    from latcomp.bench.dataset import DatasetBench, DatasetSettings

    bench = DatasetBench(DatasetSettings(quality, workers, latent_frames, items, repeats, device))
    with waiting("", output.quiet) as watch:
        bench.run(clips, watch)
    figures = bench.figures()
    if not output.quiet:
        _show(figures)
    output.write(figures)


def _show(figures: dict[str, Any]) -> None:
    table = plain_table(
        "samples",
        "files",
        "fill",
        "samples a second",
        "CPU ms a sample",
        "bytes a sample",
        "bits a pixel",
        title=f"{counted(figures['workers'], 'worker')} on {counted(figures['processors'], 'processor')}: median "
        f"(minimum to maximum) of {counted(figures['repeats'], 'epoch')} of {figures['items']} samples",
    )
    for row in figures["rows"]:
        rate = row["samples_per_second"]
        table.add_row(
            "whole" if row["items"] == "whole" else f"{figures['latent_frames']} latent frames",
            "torch.load" if row["files"] == "tensors" else f".lat, {row['files']}",
            row["fill"] or "",
            f"{rate['median']:.1f} ({rate['minimum']:.1f} to {rate['maximum']:.1f})",
            f"{row['cpu_milliseconds']:.1f}",
            f"{row['bytes']:.0f}",
            f"{row['bits_per_pixel']:.3f}",
        )
    show(table)
    for clip in figures["clips"]:
        note(
            f"{clip['clip']}: {clip['frames']} frames of {clip['width']}x{clip['height']}, "
            f"{clip['latent_frames']} latent frames, {100 * clip['keep_ratio']:.1f} % of tokens kept"
        )
