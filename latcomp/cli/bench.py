"""`latcomp bench`: measurements over clips, as tables for people and JSON for everything else."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.common import STANDARD, Device, error_console, finite_between, print_json
from latcomp.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

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
    import json

    if out is None:
        return
    if str(out) == STANDARD:
        print_json(figures)
    else:
        out.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


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
