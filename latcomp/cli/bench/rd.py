"""`latcomp bench rd`: rate and distortion against other codecs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.bench.common import plain_table, show, waiting
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import (
    BenchQualities,
    Clips,
    FiguresOptions,
    FurtherMetrics,
    Groups,
    Square,
    TokenizerName,
    groups_of,
    numbers,
)
from latcomp.cli.options.numbers import finite_between
from latcomp.cli.options.shared import Device
from latcomp.cli.places import check_paths
from latcomp.cli.standard import note
from latcomp.errors import OutputError
from latcomp.metrics.choice import DEFAULT_ST_LPIPS_FRAMES, FURTHER_METRICS, metrics_of

if TYPE_CHECKING:
    from latcomp.bench.rd.measure import RdBench


TITLES = {
    "psnr_rgb": "PSNR RGB",
    "psnr_y": "PSNR-Y",
    "ms_ssim_y": "MS-SSIM",
    "vmaf": "VMAF",
    "xpsnr": "XPSNR",
    "st_lpips": "st-lpips(alex)",
}
DIGITS = {"psnr_rgb": 2, "psnr_y": 2, "ms_ssim_y": 4, "vmaf": 2, "xpsnr": 2, "st_lpips": 4}


def _rate_list(value: str | None) -> str | None:
    for rate in numbers(value) if value else ():
        finite_between(0, open_low=True)(rate)
    return value


@takes_groups
def rd(
    clips: Clips,
    quality: BenchQualities = "1,3,5,7,9",
    codecs: Annotated[
        str,
        typer.Option(
            metavar="NAME,...",
            show_default=False,
            help="Codecs to measure, of latcomp, x264, x265, svtav1, raw-fp16, int8-zstd; all of them unless given.",
        ),
    ] = "latcomp,x264,x265,svtav1,raw-fp16,int8-zstd",
    square: Square = None,
    at: Annotated[
        str | None,
        typer.Option(
            callback=_rate_list, metavar="BPP,...", help="Bits per pixel to read qualities off the curves at."
        ),
    ] = None,
    group: Groups = None,
    tokenizer: TokenizerName = None,
    device: Device = "auto",
    metrics: FurtherMetrics = None,
    st_lpips_frames: Annotated[
        int, typer.Option("--st-lpips-frames", min=0, metavar="N", help="Frames of a clip for st-lpips, 0 for all.")
    ] = DEFAULT_ST_LPIPS_FRAMES,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR|OUT.png", help="Folder for a plot of each clip and of the means, or a file for the mean alone."
        ),
    ] = None,
    *,
    output: FiguresOptions,
) -> None:
    """Rate and distortion against x264, x265, SVT-AV1 and plain latents: BD-rates, points, plots."""
    groups = groups_of(group)
    output.check(clips, "scipy", *([] if plot is None else ["matplotlib"]))
    if plot is not None:
        _check_plots(clips, plot, groups, output.force)

    from latcomp.bench.rd.measure import RdBench, RdSettings

    settings = RdSettings(
        codecs=tuple(dict.fromkeys(name.strip() for name in codecs.split(","))),
        qualities=tuple(numbers(quality)),
        square=square,
        at=tuple(numbers(at)) if at else (),
        groups=groups,
        tokenizer=tokenizer,
        device=device,
        metrics=() if metrics is None else metrics_of(metrics, FURTHER_METRICS),
        st_lpips_frames=st_lpips_frames,
    )
    bench = RdBench(clips, settings)
    for name in () if output.quiet else bench.missing:
        note(f"{name} is left out: this PyAV is built without it")
    for clip in clips:
        _measure(bench, clip, output.quiet)
        output.write_so_far(bench.figures())
    figures = bench.figures()
    if plot is not None:
        from latcomp.bench.rd.plots import save_plots

        save_plots(bench.rows, plot, groups)
    if not output.quiet:
        _show_rd(bench, figures)
    output.write(figures)


def _check_plots(clips: list[Path], plot: Path, groups: dict[str, tuple[str, ...]], force: bool) -> None:
    """Refuse, before any work, plots that exist or cannot be written."""
    from latcomp.bench.rd.plots import plot_paths

    pictures = plot_paths(plot, [clip.stem for clip in clips], groups).values()
    if plot.exists() and plot not in pictures and not plot.is_dir():
        raise OutputError(f"{plot} is neither a folder nor ends in .png")
    for clip in clips:
        for picture in pictures:
            if picture == plot or picture.exists():  # the folder of the plots is made when they are
                check_paths(clip, picture, force)


def _measure(bench: RdBench, clip: Path, quiet: bool) -> None:
    """Measure one clip; a line for a person when it is done, and what goes on now where a terminal shows it."""
    before = len(bench.rows)
    with waiting(clip.stem, quiet) as watch:
        seconds = bench.run(clip, watch)
    if not quiet:
        each = ", ".join(f"{codec} {taken:.0f} s" for codec, taken in seconds.items())
        note(f"{clip.stem}: {len(bench.rows) - before} points in {sum(seconds.values()):.0f} s ({each})")


def _show_rd(bench: RdBench, figures: dict[str, Any]) -> None:
    """The points, the BD-rates and the qualities at rates, as tables."""
    from latcomp.bench.rd.figures import MEAN, clips_of, mean_rows, measures_of, without_overlap

    names, measures = clips_of(bench.rows), measures_of(bench.rows)
    shown = ["psnr_y", "psnr_rgb", *(name for name in measures if name != "psnr_y")]
    headings = ["codec", "setting", "bpp", *(TITLES[name] for name in shown), "encode s", "decode s"]
    points = plain_table(*headings, title=f"mean over the clips ({len(names)})")
    for row in mean_rows(bench.rows):
        points.add_row(
            row.codec,
            "" if row.setting is None else f"{row.setting:g}",
            f"{row.bpp:.4f}",
            *(_cell(name, getattr(row, name)) for name in shown),
            f"{row.encode_seconds:.2f}",
            f"{row.decode_seconds:.2f}",
        )
    show(points)
    rates = figures["bd_rate"]
    if rates:
        headings = [f"{codec} {TITLES[name]}" for codec in rates for name in measures]
        table = plain_table("clip", *headings, title="BD-rate of latcomp against")
        keys = [*names, *(key for key in next(iter(rates.values())) if key not in names)]
        for key in keys:
            values = [rates[codec][key][name] for codec in rates for name in measures]
            table.add_row(
                key,
                *("" if value is None else f"{value:+.1f} %" for value in values),
                style="bold" if key == MEAN else None,
            )
        show(table)
        for line in without_overlap(rates, names):
            note(line)
    if "at" in figures:
        columns = (*(TITLES[name] for name in ("psnr_rgb", *measures)), "clips")
        title = "at a rate; common: clips that all reach"
        table = plain_table("bpp", "codec", *columns, *(f"common {name}" for name in columns), title=title)
        for row in figures["at"]:
            table.add_row(
                f"{row['bpp']:g}", row["codec"], *_at_cells(row, measures), *_at_cells(row["common"], measures)
            )
        show(table)
        for row in figures["at"]:
            if row["missing"]:
                note(f"{row['codec']} does not reach {row['bpp']:g} bpp on {', '.join(row['missing'])}")


def _cell(measure: str, value: float | None) -> str:
    """A quality with as many digits as its measure deserves; empty where there is none."""
    return "" if value is None else f"{value:.{DIGITS[measure]}f}"


def _at_cells(means: dict[str, Any], measures: Sequence[str]) -> list[str]:
    """Cells of means at a rate; empty where no clip reaches it."""
    return [*(_cell(name, means[name]) for name in ("psnr_rgb", *measures)), str(means["clips"])]
