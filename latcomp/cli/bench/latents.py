"""`latcomp bench latents`: cached latents as .lat files beside what trainers keep them as."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.bench.common import plain_table, show, waiting
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.measuring import FiguresOptions, numbers


def _step_list(value: str) -> str:
    if not all(step > 0 for step in numbers(value)):
        raise typer.BadParameter(f"{value!r} is not a list of steps: write 0.05,0.1,0.2")
    return value


@takes_groups
def latents(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", help="safetensors files of latents (C, T, h, w) or (1, C, T, h, w)."),
    ],
    steps: Annotated[
        str,
        typer.Option(
            "--steps", callback=_step_list, metavar="STEP,...", help="Steps of the rivals, in units of the latents."
        ),
    ] = "0.05,0.1,0.2",
    *,
    output: FiguresOptions,
) -> None:
    """Bytes of cached latents: .lat files against bf16 and int8 under zstd, at an equal error."""
    from latcomp.bench.latents import bench_latents

    output.check(files)

    with waiting("measure", output.quiet) as watch:
        figures = bench_latents(files, numbers(steps), watch)
    if not output.quiet:
        table = plain_table(
            "file",
            "method",
            "step",
            "bytes",
            "ratio",
            "error",
            "keep",
            "encode s",
            "write s",
            "decode s",
            title="latents",
        )
        for row in figures["rows"]:
            cells = [
                ("-" if row[name] is None else format(row[name], style))
                for name, style in (
                    ("step", "g"),
                    ("bytes", "d"),
                    ("ratio", ".2f"),
                    ("relative_error", ".2e"),
                    ("keep_ratio", ".2f"),
                    ("encode_seconds", ".2f"),
                    ("write_seconds", ".2f"),
                    ("decode_seconds", ".2f"),
                )
            ]
            table.add_row(row["file"], row["method"], *cells)
        show(table)
    output.write(figures)
