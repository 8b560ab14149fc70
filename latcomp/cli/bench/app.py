"""`latcomp bench`: measurements over clips, as tables for people and JSON for everything else."""

from __future__ import annotations

from typing import Annotated

import typer

from latcomp.cli.bench.ablation import ablation
from latcomp.cli.bench.allocators import allocators
from latcomp.cli.bench.common import (
    Clips,
    JsonFile,
    PlotFile,
    TokenizerName,
    check_outputs,
    checked,
    finish,
    keep_list,
    measure_each,
    numbers,
    quality_list,
    show,
)
from latcomp.cli.bench.length import length
from latcomp.cli.bench.rd import rd
from latcomp.cli.bench.speed import speed
from latcomp.cli.bench.training import training
from latcomp.cli.options.numbers import finite_between
from latcomp.cli.options.shared import Device, Force, Quiet

app = typer.Typer(help="Measure latcomp on clips.", no_args_is_help=False)
app.command("rd")(rd)
app.command("allocators")(allocators)
app.command("ablation")(ablation)
app.command("length")(length)
app.command("training")(training)
app.command("speed")(speed)


@app.command("summary")
def summary(clips: Clips, device: Device = "auto", json: JsonFile = None) -> None:
    """Default setting, best setting and round trip of every clip."""
    from rich.table import Table

    from latcomp.bench.summary import bench_summary

    table = Table(box=None, pad_edge=False)
    for heading in ("clip", "bpp", "kept", "PSNR-Y", "MS-SSIM", "best", "exact", "-Q 9", "raw/-Q 9", "same", "repeats"):
        table.add_column(heading, justify="left" if heading == "clip" else "right")
    figures = bench_summary(checked(clips), device)
    for row in [*figures["rows"], {"clip": "mean", **figures["mean"]}]:
        table.add_row(
            row["clip"],
            f"{row['bpp']:.4f}",
            f"{100 * row['keep_ratio']:.1f} %",
            f"{row['psnr_y']:.2f}",
            f"{row['ms_ssim_y']:.4f}",
            f"{row['best_psnr_y']:.2f}",
            f"{row['exact_psnr_y']:.2f}",
            f"{row['fine_psnr_y']:.2f}",
            f"{row['fine_ratio_to_raw']:.1f}",
            *("" if name not in row else "yes" if row[name] else "NO" for name in ("round_trip", "repeats")),
        )
    show(table)
    finish(figures, json)


@app.command("fill")
def fill(
    clips: Clips,
    quality: Annotated[
        float,
        typer.Option("-Q", "--quality", callback=finite_between(0, 10), metavar="0..10", help="Quality to fill at."),
    ] = 5.0,
    keeps: Annotated[
        str, typer.Option("--keep", callback=keep_list, metavar="F,F,...", help="Keep ratios to measure at.")
    ] = "0.1,0.2,0.3,0.5,0.7",
    device: Device = "auto",
    json: JsonFile = None,
    plot: PlotFile = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Hold, linear interpolation and the LIT at the same mask."""
    from rich.table import Table

    from latcomp.report.extras import need_report_extra

    need_report_extra(*(["matplotlib"] if plot else []))
    check_outputs(checked(clips), force, json, plot)

    from latcomp.bench.fill.measure import FILLS, FillBench

    bench = FillBench(quality, numbers(keeps), device)
    measure_each(clips, lambda clip, watch: len(bench.run(clip, watch)), quiet)
    figures = bench.figures()
    if plot is not None:
        from latcomp.bench.fill.plots import save_plot

        save_plot(bench.rows, plot)
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
    if not quiet:
        table.title, table.title_justify = "latents at dropped positions in dB over hold, and the decoded video", "left"
        show(table)
    finish(figures, json)


@app.command("coding")
def coding(
    clips: Clips,
    quality: Annotated[
        str, typer.Option("-Q", "--quality", callback=quality_list, metavar="Q,Q,...", help="Qualities to measure at.")
    ] = "3,5,7",
    tokenizer: TokenizerName = None,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Bytes of the same tokens and masks under each coding, and the coder's speed."""
    from rich.table import Table

    from latcomp.bench.coding import bench_coding

    figures = bench_coding(checked(clips), numbers(quality), tokenizer, device)
    table = Table(box=None, pad_edge=False)
    table.add_column("clip")
    for heading in (
        "-Q",
        "order 0",
        "zstd",
        "context",
        "saved",
        "by prediction",
        "mask zstd",
        "mask",
        "saved",
        "M values/s",
    ):
        table.add_column(heading, justify="right")
    for row in figures["rows"]:
        table.add_row(
            row["clip"],
            f"{row['quality']:g}",
            f"{row['tokens_order0']}",
            f"{row['tokens_zstd']}",
            f"{row['tokens_prior']}",
            f"{100 * (1 - row['tokens_prior'] / max(row['tokens_zstd'], 1)):.1f} %",
            f"{100 * (1 - row['ideal_predicted'] / max(row['ideal_held'], 1)):.1f} %",
            f"{row['mask_packed']}",
            f"{row['mask_prior']}",
            f"{100 * (1 - row['mask_prior'] / max(row['mask_packed'], 1)):.1f} %",
            f"{row['encode_speed']:.1f} / {row['decode_speed']:.1f}",
        )
    for name, mean in (*((f"{row['quality']:g}", row) for row in figures["mean"]), ("all", figures["mean_of_all"])):
        table.add_row(
            "mean",
            name,
            "",
            "",
            "",
            f"{mean['tokens_saved_percent']:.1f} %",
            f"{mean['prediction_saved_percent']:.1f} %",
            "",
            "",
            f"{mean['mask_saved_percent']:.1f} %",
            f"{mean['encode_speed']:.1f} / {mean['decode_speed']:.1f}",
        )
    show(table)
    finish(figures, json)
