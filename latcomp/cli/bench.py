"""`latcomp bench`: measurements over clips, as tables for people and JSON for everything else."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.common import (
    STANDARD,
    Device,
    Force,
    Quiet,
    check_paths,
    error_console,
    finite_between,
    note,
    print_json,
)
from latcomp.errors import OutputError, UsageError
from latcomp.files import output_file

if TYPE_CHECKING:
    from rich.table import Table

    from latcomp.bench.rd import RdBench

app = typer.Typer(help="Measure latcomp on clips.", no_args_is_help=False)

Clips = Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Videos to measure on.")]
JsonFile = Annotated[
    Path | None, typer.Option("--json", metavar="OUT.json", help="Write the figures to this file, - for standard output.")
]


def _keep_list(value: str) -> str:
    try:
        keeps = [float(part) for part in value.split(",")]
    except ValueError:
        keeps = []
    if not keeps or not all(0 < keep <= 1 for keep in keeps):
        raise typer.BadParameter(f"{value!r} is not a list of shares: write 0.2,0.3,0.5")
    return value


def _checked(clips: list[Path]) -> list[Path]:
    for clip in clips:
        if not clip.is_file():
            raise UsageError(f"{clip} is not a file")
    return clips


def _show(table: Table) -> None:
    """The table on standard error, never narrower than its columns need: a log file has no width of its own."""
    console = error_console()
    if not console.is_terminal:
        console.width = 140
    console.print(table)


def _finish(figures: dict[str, Any], out: Path | None) -> None:
    if out is None:
        return
    if str(out) == STANDARD:
        print_json(figures)
    else:
        _write(figures, out)


def _write(figures: dict[str, Any], out: Path) -> None:
    import json

    with output_file(out, force=True) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


@app.command("summary")
def summary(clips: Clips, device: Device = "auto", json: JsonFile = None) -> None:
    """Default setting, best setting and round trip of every clip."""
    from rich.table import Table

    from latcomp.bench.summary import bench_summary

    table = Table(box=None, pad_edge=False)
    for heading in ("clip", "bpp", "kept", "PSNR-Y", "MS-SSIM", "best", "exact", "-Q 9", "raw/-Q 9", "same", "repeats"):
        table.add_column(heading, justify="left" if heading == "clip" else "right")
    figures = bench_summary(_checked(clips), device)
    for row in [*figures["rows"], {"clip": "mean", **figures["mean"]}]:
        table.add_row(
            row["clip"], f"{row['bpp']:.4f}", f"{100 * row['keep_ratio']:.1f} %", f"{row['psnr_y']:.2f}",
            f"{row['ms_ssim_y']:.4f}", f"{row['best_psnr_y']:.2f}", f"{row['exact_psnr_y']:.2f}",
            f"{row['fine_psnr_y']:.2f}", f"{row['fine_ratio_to_raw']:.1f}",
            *("" if name not in row else "yes" if row[name] else "NO" for name in ("round_trip", "repeats")),
        )  # fmt: skip
    _show(table)
    _finish(figures, json)


@app.command("fill")
def fill(
    clips: Clips,
    quality: Annotated[
        float, typer.Option("-Q", "--quality", callback=finite_between(0, 10), metavar="0..10", help="Quality to fill at.")
    ] = 5.0,
    keeps: Annotated[
        str, typer.Option("--keep", callback=_keep_list, metavar="F,F,...", help="Keep ratios to measure at.")
    ] = "0.1,0.2,0.3,0.4,0.5,0.7",
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Hold, linear interpolation and the LIT at the same mask."""
    from rich.table import Table

    from latcomp.bench.fill import FILLS, bench_fill

    figures = bench_fill(_checked(clips), quality, [float(part) for part in keeps.split(",")], device)
    table = Table(box=None, pad_edge=False)
    table.add_column("clip")
    table.add_column("kept", justify="right")
    for name in FILLS:
        table.add_column(f"{name}, dB over hold", justify="right")
        table.add_column("PSNR-Y", justify="right")
    cells: dict[tuple[str, float], list[str]] = {}
    for row in [*figures["rows"], *({"clip": "mean", **row} for row in figures["mean"])]:
        cells.setdefault((row["clip"], row["keep"]), []).extend((f"{row['gain_db']:+.2f}", f"{row['psnr_y']:.2f}"))
    for (clip, keep), values in cells.items():
        table.add_row(clip, f"{100 * keep:.0f} %", *values)
    _show(table)
    _finish(figures, json)


def _numbers(value: str) -> list[float]:
    """The numbers of a list with commas, each once. Raises `BadParameter`."""
    try:
        found = [float(part) for part in value.split(",")]
    except ValueError:
        found = []
    if not found or not all(math.isfinite(number) for number in found):
        raise typer.BadParameter(f"{value!r} is not a list of numbers: write 1,3,5")
    return list(dict.fromkeys(found))


def _quality_list(value: str) -> str:
    for quality in _numbers(value):
        finite_between(0, 10)(quality)
    return value


def _rate_list(value: str | None) -> str | None:
    for rate in _numbers(value) if value else ():
        finite_between(0, open_low=True)(rate)
    return value


def _group_list(value: list[str] | None) -> list[str] | None:
    for text in value or ():
        name, _, clips = text.partition("=")
        if not name.strip() or not all(part.strip() for part in clips.split(",")):
            raise typer.BadParameter(f"{text!r} is not a group: write NAME=clip,clip")
    return value


@app.command("coding")
def coding(
    clips: Clips,
    quality: Annotated[
        str, typer.Option("-Q", "--quality", callback=_quality_list, metavar="Q,Q,...", help="Qualities to measure at.")
    ] = "3,5,7",
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="A tokenizer at hand (see latcomp models) or its folder.")
    ] = None,
    device: Device = "auto",
    json: JsonFile = None,
) -> None:
    """Bytes of the same tokens and masks under each coding, and the coder's speed."""
    from rich.table import Table

    from latcomp.bench.coding import bench_coding

    figures = bench_coding(_checked(clips), _numbers(quality), tokenizer, device)
    table = Table(box=None, pad_edge=False)
    table.add_column("clip")
    for heading in ("-Q", "order 0", "zstd", "context", "saved", "by prediction", "mask zstd", "mask", "saved", "M values/s"):
        table.add_column(heading, justify="right")
    for row in figures["rows"]:
        table.add_row(
            row["clip"], f"{row['quality']:g}", f"{row['tokens_order0']}", f"{row['tokens_zstd']}", f"{row['tokens_prior']}",
            f"{100 * (1 - row['tokens_prior'] / max(row['tokens_zstd'], 1)):.1f} %",
            f"{100 * (1 - row['ideal_predicted'] / max(row['ideal_held'], 1)):.1f} %",
            f"{row['mask_packed']}", f"{row['mask_prior']}", f"{100 * (1 - row['mask_prior'] / max(row['mask_packed'], 1)):.1f} %",
            f"{row['encode_speed']:.1f} / {row['decode_speed']:.1f}",
        )  # fmt: skip
    for name, mean in (*((f"{row['quality']:g}", row) for row in figures["mean"]), ("all", figures["mean_of_all"])):
        table.add_row(
            "mean", name, "", "", "", f"{mean['tokens_saved_percent']:.1f} %", f"{mean['prediction_saved_percent']:.1f} %",
            "", "", f"{mean['mask_saved_percent']:.1f} %", f"{mean['encode_speed']:.1f} / {mean['decode_speed']:.1f}",
        )  # fmt: skip
    _show(table)
    _finish(figures, json)


@app.command("rd")
def rd(
    clips: Clips,
    quality: Annotated[
        str, typer.Option("-Q", "--quality", callback=_quality_list, metavar="Q,Q,...", help="Qualities of latcomp.")
    ] = "1,3,5,7,9",
    codecs: Annotated[
        str, typer.Option(metavar="NAME,...", help="What to measure.")
    ] = "latcomp,x264,x265,svtav1,raw-fp16,int8-zstd",
    square: Annotated[
        int | None,
        typer.Option(min=16, metavar="SIDE", help="Scale clips to this shorter side, cut the square out of the middle."),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(callback=_rate_list, metavar="BPP,...", help="Bits per pixel to read qualities off the curves at."),
    ] = None,
    group: Annotated[
        list[str] | None,
        typer.Option(callback=_group_list, metavar="NAME=CLIP,...", help="Clips to give a mean of their own; may be repeated."),
    ] = None,
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="A tokenizer at hand (see latcomp models) or its folder.")
    ] = None,
    device: Device = "auto",
    json: JsonFile = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="DIR|OUT.png", help="Folder for a plot of each clip and of the means, or a file for the mean alone."),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
) -> None:  # fmt: skip
    """Rate and distortion beside x264, x265, SVT-AV1 and plain latents: BD-rates, points, plots."""
    from latcomp.bench.bdrate import need_report_extra

    need_report_extra("scipy", *(["matplotlib"] if plot else []))
    groups = {
        name.strip(): tuple(part.strip() for part in members.split(","))
        for name, _, members in (text.partition("=") for text in group or ())
    }
    _check_outputs(_checked(clips), json, plot, groups, force)

    from latcomp.bench.rd import RdBench, RdSettings

    settings = RdSettings(
        codecs=tuple(dict.fromkeys(name.strip() for name in codecs.split(","))),
        qualities=tuple(_numbers(quality)),
        square=square,
        at=tuple(_numbers(at)) if at else (),
        groups=groups,
        tokenizer=tokenizer,
        device=device,
    )
    bench = RdBench(clips, settings)
    for name in () if quiet else bench.missing:
        note(f"{name} is left out: this PyAV is built without it")
    for clip in clips:
        _measure(bench, clip, quiet)
        if json is not None and str(json) != STANDARD:
            _write(bench.figures(), json)
    figures = bench.figures()
    if plot is not None:
        from latcomp.bench.rd_plots import save_plots

        save_plots(bench.rows, plot, groups)
    if not quiet:
        _show_rd(bench, figures)
    if str(json) == STANDARD:
        print_json(figures)


def _check_outputs(clips: list[Path], json: Path | None, plot: Path | None, groups: dict[str, tuple[str, ...]], force: bool) -> None:
    """Refuse, before any work, outputs that exist or cannot be written."""
    from latcomp.bench.rd_plots import plot_paths

    outputs = [json] if json is not None else []
    if plot is not None:
        pictures = plot_paths(plot, [clip.stem for clip in clips], groups).values()
        if plot.exists() and plot not in pictures and not plot.is_dir():
            raise OutputError(f"{plot} is neither a folder nor ends in .png")
        # the folder of the plots is made when they are
        outputs += [path for path in pictures if path == plot or path.exists()]
    for clip in clips:
        for output in outputs:
            check_paths(clip, output, force)


def _measure(bench: RdBench, clip: Path, quiet: bool) -> None:
    """Measure one clip; a line for a person when it is done, and what goes on now where a terminal shows it."""
    console = error_console()
    before = len(bench.rows)
    if quiet or not console.is_terminal:
        seconds = bench.run(clip)
    else:
        with console.status(clip.stem) as status:
            seconds = bench.run(clip, status.update)
    if not quiet:
        each = ", ".join(f"{codec} {taken:.0f} s" for codec, taken in seconds.items())
        note(f"{clip.stem}: {len(bench.rows) - before} points in {sum(seconds.values()):.0f} s ({each})")


def _show_rd(bench: RdBench, figures: dict[str, Any]) -> None:
    """The points, the BD-rates and the qualities at rates, as tables."""
    from latcomp.bench.rd_figures import MEAN, clips_of, mean_rows, without_overlap

    names = clips_of(bench.rows)
    headings = ["codec", "setting", "bpp", "PSNR-Y", "PSNR RGB", "MS-SSIM", "encode s", "decode s"]
    points = _table(*headings, title=f"mean over the clips ({len(names)})")
    for row in mean_rows(bench.rows):
        points.add_row(
            row.codec, "" if row.setting is None else f"{row.setting:g}", f"{row.bpp:.4f}", f"{row.psnr_y:.2f}",
            f"{row.psnr_rgb:.2f}", f"{row.ms_ssim_y:.4f}", f"{row.encode_seconds:.2f}", f"{row.decode_seconds:.2f}",
        )  # fmt: skip
    _show(points)
    rates = figures["bd_rate"]
    if rates:
        headings = [f"{codec} {name}" for codec in rates for name in ("PSNR-Y", "MS-SSIM")]
        table = _table("clip", *headings, title="BD-rate of latcomp against")
        keys = [*names, *(key for key in next(iter(rates.values())) if key not in names)]
        for key in keys:
            values = [rates[codec][key][name] for codec in rates for name in ("psnr_y", "ms_ssim_y")]
            table.add_row(key, *("" if value is None else f"{value:+.1f} %" for value in values), style="bold" if key == MEAN else None)
        _show(table)
        for line in without_overlap(rates, names):
            note(line)
    if "at" in figures:
        columns = ("PSNR RGB", "PSNR-Y", "MS-SSIM", "clips")
        table = _table("bpp", "codec", *columns, *(f"common {name}" for name in columns), title="at a rate; common: clips that all reach")
        for row in figures["at"]:
            table.add_row(f"{row['bpp']:g}", row["codec"], *_at_cells(row), *_at_cells(row["common"]))
        _show(table)
        for row in figures["at"]:
            if row["missing"]:
                note(f"{row['codec']} does not reach {row['bpp']:g} bpp on {', '.join(row['missing'])}")


def _at_cells(means: dict[str, Any]) -> list[str]:
    """Cells of means at a rate; empty where no clip reaches it."""
    digits = {"psnr_rgb": 2, "psnr_y": 2, "ms_ssim_y": 4}
    cells = ["" if means[name] is None else f"{means[name]:.{count}f}" for name, count in digits.items()]
    return [*cells, str(means["clips"])]


def _table(*headings: str, title: str) -> Table:
    """A table without lines: words to the left, numbers to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("clip", "codec") else "right")
    return table
