"""One file or several on the command line: each is reported by itself, and one that fails does not stop the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import typer

from latcomp.cli.exit_codes import exit_code
from latcomp.cli.messages import message_of
from latcomp.cli.standard import STANDARD, note, print_json, shown_name
from latcomp.errors import DamagedFileError, LatcompError, LimitError, OutputError, UnsupportedFileError, UsageError


def each_file(sources: Sequence[Path], tell: Callable[[Path], LatcompError | None], json: bool = False) -> None:
    """Call `tell` with every file, in order; it returns what was wrong with one that it reported all the same.

    The error of a single file is raised. Of several, each failure is a line on standard error, and one that `tell`
    raised, with `json`, an object with `path`, `error` and `exit_code` on standard output; the command then ends with
    the exit code of the first file that failed. Raises `UsageError` when standard input is named twice."""
    if sum(str(source) == STANDARD for source in sources) > 1:
        raise UsageError("standard input can be read only once: give - once")
    failed: list[LatcompError] = []
    for source in sources:
        try:
            with about(source):
                wrong = tell(source)
        except (UsageError, OutputError):
            raise  # not this file's fault
        except LatcompError as error:
            if len(sources) == 1:
                raise
            wrong = error
            if json:
                print_json({"path": str(source), "error": message_of(error), "exit_code": exit_code(error)})
        if wrong is None:
            continue
        if len(sources) == 1:
            raise wrong
        note(f"error: {message_of(wrong)}")
        failed.append(wrong)
    if failed:
        raise typer.Exit(exit_code(failed[0]))


@contextmanager
def about(source: Path) -> Iterator[None]:
    """Let errors inside that speak of a .lat file name it, where they do not yet."""
    try:
        yield
    except (DamagedFileError, UnsupportedFileError, LimitError) as error:
        name = shown_name(source)
        if name not in str(error) and str(source.name) not in str(error):
            error.args = (f"{name}: {error}",)
        raise
