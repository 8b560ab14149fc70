"""What `latcomp batch` shows to people: bars while it runs, a table at its end; all on standard error."""

from __future__ import annotations

import os
import stat
import sys
import time
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING

from latcomp.cli.standard import error_console
from latcomp.printable import bytes_text, printable

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from latcomp.batch import Outcome

_NAME_COLUMNS = 40  # of a file's name beside its bar


class Board:
    """A bar over the files, and one over the frames of each file in work; nothing where nobody watches.

    That is when quiet, when standard error is no terminal, and when JSON goes to a terminal, or into a pipe at whose
    end most likely a program writes to it: such lines would cut through the bars."""

    def __init__(self, files: int | None, quiet: bool, json: bool) -> None:
        """files: how many there are; None where that is not known before all of them are done."""
        self.seconds = 0.0
        """How long the block ran, once it ended."""
        self._files = files
        self._shown = not quiet and sys.stderr.isatty() and not (json and _may_reach_terminal())
        self._bars: Progress | None = None
        self._all: TaskID | None = None
        self._rows: dict[str, TaskID] = {}

    def __enter__(self) -> Board:
        self._began = time.monotonic()
        if self._shown:
            from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

            # standard output carries data: only what goes to standard error is put above the bars
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.fields[count]}"),
                TimeElapsedColumn(),
                console=error_console(),
                transient=True,
                redirect_stdout=False,
            )
            self._all = self._bars.add_task("files", total=self._files, count=self._count(0))
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()
        self.seconds = time.monotonic() - self._began

    def step(self, name: str, frames: int, total: int | None) -> None:
        """Show how many frames of a file are done."""
        if self._bars is None:
            return
        if name not in self._rows:
            shown = printable(name)
            short = shown if len(shown) <= _NAME_COLUMNS else "…" + shown[1 - _NAME_COLUMNS :]
            self._rows[name] = self._bars.add_task(short, total=None, count="")
        count = f"{frames} of {total} frames" if total else f"{frames} frames" if frames else ""
        self._bars.update(self._rows[name], completed=frames, total=total, count=count)

    def finish(self, name: str) -> None:
        """A file has ended, well or not."""
        if self._bars is None or self._all is None:
            return
        if name in self._rows:
            self._bars.remove_task(self._rows.pop(name))
        done = int(self._bars.tasks[0].completed) + 1
        self._bars.update(self._all, completed=done, count=self._count(done))

    def _count(self, done: int) -> str:
        return f"{done}" if self._files is None else f"{done} of {self._files}"


def _may_reach_terminal() -> bool:
    """Whether standard output is a terminal or a pipe, not a file."""
    try:
        return sys.stdout.isatty() or stat.S_ISFIFO(os.fstat(sys.stdout.fileno()).st_mode)
    except (OSError, ValueError, AttributeError):
        return False


def print_summary(outcomes: Iterable[Outcome], seconds: float) -> None:
    """Print a row for each way that files ended: how many, with how many frames, bytes and bits per pixel; and how long
    all took.
    """
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("files", "frames", "size", "bpp", "tokens kept"):
        table.add_column(heading, justify="right")
    every = list(outcomes)
    for status in ("done", "skipped", "failed"):
        chosen = [outcome for outcome in every if outcome.status == status]
        figures = [outcome.figures for outcome in chosen if outcome.figures is not None]
        if not figures:
            table.add_row(status, str(len(chosen)))
            continue
        pixels = sum(one["frames"] * one["width"] * one["height"] for one in figures)
        plain = sum(one["bytes_total"] - one["bytes_audio"] for one in figures)
        kept, total = (sum(one[name] for one in figures) for name in ("tokens_kept", "tokens_total"))
        table.add_row(
            status,
            str(len(chosen)),
            str(sum(one["frames"] for one in figures)),
            bytes_text(sum(one["bytes_total"] for one in figures)),
            f"{plain * 8 / max(pixels, 1):.4f}",
            f"{kept / max(total, 1):.1%}",
        )
    console = error_console()
    console.print(table)
    frames = sum(outcome.figures["frames"] for outcome in every if outcome.status == "done" and outcome.figures)
    speed = f", {frames / max(seconds, 1e-9):.1f} fps" if frames else ""
    console.print(f"{seconds:.1f} s{speed}")
