"""What the benchmarks' commands share: options, checks of lists, tables on standard error, figures as JSON."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.options.numbers import finite_between
from latcomp.cli.places import check_paths
from latcomp.cli.standard import STANDARD, error_console, note, print_json
from latcomp.errors import UsageError
from latcomp.output import output_file

if TYPE_CHECKING:
    from rich.table import Table


def _plot_file(value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise typer.BadParameter(f"{value} is no plot: give it a name that ends in .png, .svg or .pdf")
    return value


Clips = Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Videos to measure on.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="OUT.json", help="Write the figures to this file, - for standard output."),
]
PlotFile = Annotated[
    Path | None, typer.Option("--plot", callback=_plot_file, metavar="OUT.png", help="Plot what was measured.")
]
TokenizerName = Annotated[
    str | None,
    typer.Option("--tokenizer", metavar="NAME|PATH", help="A tokenizer at hand (see latcomp models) or its folder."),
]
Square = Annotated[
    int | None,
    typer.Option(
        "--square", min=16, metavar="SIDE", help="Scale clips to this shorter side, cut the square out of their middle."
    ),
]


def _group_list(value: list[str] | None) -> list[str] | None:
    for text in value or ():
        name, _, clips = text.partition("=")
        if not name.strip() or not all(part.strip() for part in clips.split(",")):
            raise typer.BadParameter(f"{text!r} is not a group: write NAME=clip,clip")
    return value


Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        callback=_group_list,
        metavar="NAME=CLIP,...",
        help="Clips to give a mean of their own; may be repeated.",
    ),
]


def groups_of(options: list[str] | None) -> dict[str, tuple[str, ...]]:
    """Names of clips by the name of their group."""
    return {
        name.strip(): tuple(part.strip() for part in members.split(","))
        for name, _, members in (text.partition("=") for text in options or ())
    }


def keep_list(value: str) -> str:
    """The list as it is, when it holds shares above 0 and up to 1. Raises `BadParameter`."""
    try:
        keeps = [float(part) for part in value.split(",")]
    except ValueError:
        keeps = []
    if not keeps or not all(0 < keep <= 1 for keep in keeps):
        raise typer.BadParameter(f"{value!r} is not a list of shares: write 0.2,0.3,0.5")
    return value


def numbers(value: str) -> list[float]:
    """The numbers of a list with commas, each once. Raises `BadParameter`."""
    try:
        found = [float(part) for part in value.split(",")]
    except ValueError:
        found = []
    if not found or not all(math.isfinite(number) for number in found):
        raise typer.BadParameter(f"{value!r} is not a list of numbers: write 1,3,5")
    return list(dict.fromkeys(found))


def quality_list(value: str) -> str:
    """The list as it is, when it holds qualities from 0 to 10. Raises `BadParameter`."""
    for quality in numbers(value):
        finite_between(0, 10)(quality)
    return value


def checked(clips: list[Path]) -> list[Path]:
    """The clips, when all are files. Raises `UsageError`."""
    for clip in clips:
        if not clip.is_file():
            raise UsageError(f"{clip} is not a file")
    return clips


def show(table: Table) -> None:
    """The table on standard error, never narrower than its columns need: a log file has no width of its own."""
    console = error_console()
    if not console.is_terminal:
        console.width = 140
    console.print(table)


def plain_table(*headings: str, title: str) -> Table:
    """A table without lines: words to the left, numbers to the right."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for heading in headings:
        table.add_column(heading, justify="left" if heading in ("clip", "codec", "method") else "right")
    return table


def check_outputs(clips: list[Path], force: bool, *outputs: Path | None) -> None:
    """Refuse, before any work, outputs that exist, cannot be written or are clips. Raises `UsageError` and
    `OutputError`.
    """
    for clip in clips:
        for output in outputs:
            if output is not None:
                check_paths(clip, output, force)


def measure_each(clips: list[Path], measure: Callable[[Path, Callable[[str], None] | None], int], quiet: bool) -> None:
    """Measure clips one after the other: a line for a person when one is done, and what goes on now where a terminal
    shows it.

    measure: given a clip and what to call with a few words on what it does now; gives the number of its points.
    """
    console = error_console()
    for clip in clips:
        began = time.perf_counter()
        if quiet or not console.is_terminal:
            points = measure(clip, None)
        else:
            with console.status(clip.stem) as status:
                points = measure(clip, status.update)
        if not quiet:
            note(f"{clip.stem}: {points} points in {time.perf_counter() - began:.0f} s")


def finish(figures: dict[str, Any], out: Path | None) -> None:
    """Write the figures where they were asked for."""
    if out is None:
        return
    if str(out) == STANDARD:
        print_json(figures)
    else:
        write_figures(figures, out)


def write_figures(figures: dict[str, Any], out: Path) -> None:
    """The figures as JSON in a file. Raises `OutputError`."""
    import json

    with output_file(out, force=True) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
