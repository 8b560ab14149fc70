"""What the commands of `latcomp bench` share: the run over clips, tables on standard error, figures as JSON."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from latcomp.cli.standard import error_console, note

if TYPE_CHECKING:
    from rich.table import Table


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


@contextmanager
def waiting(label: str, quiet: bool) -> Iterator[Callable[[str], None] | None]:
    """A line that says what goes on now, where a terminal shows it: what to call with a few words, or None."""
    console = error_console()
    if quiet or not console.is_terminal:
        yield None
        return
    with console.status(label) as status:
        yield status.update


def measure_each(clips: list[Path], measure: Callable[[Path, Callable[[str], None] | None], int], quiet: bool) -> None:
    """Measure clips one after the other: a line for a person when one is done, and what goes on now where a terminal
    shows it.

    measure: given a clip and what to call with a few words on what it does now; gives the number of its points.
    """
    for clip in clips:
        began = time.perf_counter()
        with waiting(clip.stem, quiet) as watch:
            points = measure(clip, watch)
        if not quiet:
            note(f"{clip.stem}: {points} points in {time.perf_counter() - began:.0f} s")
