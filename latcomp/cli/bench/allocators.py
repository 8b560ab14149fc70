"""`latcomp bench allocators`: which tokens are kept, and what the decision costs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.bench.common import measure_each, plain_table, show
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import BenchQuality, Clips, PlottedOptions, Square, TokenizerName, keep_list, numbers
from latcomp.cli.options.shared import Device, Duration
from latcomp.cli.standard import note

if TYPE_CHECKING:
    from latcomp.bench.allocators.measure import AllocatorBench


@takes_groups
def allocators(
    clips: Clips,
    quality: BenchQuality = 5.0,
    at: Annotated[
        str, typer.Option(callback=keep_list, metavar="F,F,...", help="Fractions of the tokens to keep.")
    ] = "0.2,0.3,0.5",
    methods: Annotated[
        str, typer.Option(metavar="NAME,...", help="What to measure.")
    ] = "latcomp,latcomp-threshold,elastictok-cv,infotok,uniform,random",
    square: Square = None,
    duration: Duration = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Seed of the random masks.")] = 0,
    tokenizer: TokenizerName = None,
    device: Device = "auto",
    *,
    output: PlottedOptions,
) -> None:
    """Temporal selection against ElasticTok, InfoTok, uniform and random masks: tokens, bytes, quality, seconds."""
    output.check(clips, "scipy")

    from latcomp.bench.allocators.measure import AllocatorBench, AllocatorSettings

    settings = AllocatorSettings(
        keeps=tuple(numbers(at)),
        quality=quality,
        methods=tuple(dict.fromkeys(name.strip() for name in methods.split(","))),
        square=square,
        duration_seconds=duration,
        seed=seed,
        tokenizer=tokenizer,
        device=device,
    )
    bench = AllocatorBench(clips, settings)

    def measure(clip: Path, watch: Any) -> int:
        points = len(bench.run(clip, watch))
        output.write_so_far(bench.figures())
        return points

    measure_each(clips, measure, output.quiet)
    if output.plot is not None:
        from latcomp.bench.allocators.plots import save_plot

        save_plot(bench.rows, output.plot)
    if not output.quiet:
        _show(bench)
    output.write(bench.figures())


def _show(bench: AllocatorBench) -> None:
    """The means at each keep ratio and at latcomp's PSNR-Y, as tables."""
    figures = bench.figures()
    headings = (
        "kept",
        "tokens",
        "kB",
        "PSNR-Y",
        "PSNR RGB",
        "MS-SSIM",
        "allocate s",
        "x latcomp",
        "CPU x",
        "x threshold",
        "total s",
        "x latcomp",
        "decodes",
    )
    table = plain_table(
        "method", *headings, title=f"at the same number of tokens, mean over the clips ({len(figures['sources'])})"
    )
    for row in figures["at_ratio"]:
        table.add_row(
            row["method"],
            f"{100 * row['keep']:g} %",
            _cell(row["tokens"], ".0f"),
            _cell(_kilo(row["bytes"]), ".1f"),
            _cell(row["psnr_y"], ".2f"),
            _cell(row["psnr_rgb"], ".2f"),
            _cell(row["ms_ssim_y"], ".4f"),
            _cell(row["allocate_seconds"], ".4f"),
            _cell(row["allocate_ratio"], ".3g"),
            _cell(row["allocate_cpu_ratio"], ".3g"),
            _cell(row["allocate_ratio_threshold"], ".3g"),
            _cell(row["total_seconds"], ".2f"),
            _cell(row["total_ratio"], ".3g"),
            _cell(row["decodes"], ".0f"),
        )
    show(table)
    table = plain_table(
        "method", "kept", "PSNR-Y", "tokens x latcomp", "bytes x latcomp", "clips", title="at latcomp's PSNR-Y"
    )
    for row in figures["at_psnr"]:
        table.add_row(
            row["method"],
            f"{100 * row['keep']:g} %",
            _cell(row["psnr_y"], ".2f"),
            _cell(row["tokens_ratio"], ".2f"),
            _cell(row["bytes_ratio"], ".2f"),
            str(row["clips"]),
        )
    show(table)
    for row in figures["at_psnr"]:
        if row["missing"]:
            clips = ", ".join(row["missing"])
            note(
                f"{row['method']} does not reach the PSNR-Y of {100 * row['keep']:g} % on {clips}; left out of the "
                "means"
            )


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def _kilo(value: float | None) -> float | None:
    return None if value is None else value / 1000
