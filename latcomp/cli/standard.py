"""Standard input, output and error: closed ones, what is said to people, JSON, and errors that name the stream at
fault.

Every line that is shown to a person goes through `say`, which escapes what a terminal must not get; a message that
cannot be written is lost and changes nothing else."""

from __future__ import annotations

import contextlib
import fcntl
import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, cast

from latcomp.cli.messages import SETTINGS_OF_NOTES, in_flags
from latcomp.errors import OutputError, UsageError
from latcomp.output import NamedOutput
from latcomp.printable import printable, utf8

if TYPE_CHECKING:
    from rich.console import Console

STANDARD = "-"  # standard input or output, wherever a path stands
STDIN, STDOUT, STDERR = 0, 1, 2  # descriptors
CLOSED_OUTPUT = "standard output is closed, and what was asked for goes there"
_closed: set[int] = set()  # those that were closed when the process began


def hold_closed_streams() -> None:
    """Put a null device in the place of each standard stream that is closed, so that no file which is opened later
    takes its number.

    Else libraries, and `print` itself, would write messages into the output. What is written to a closed standard
    output still fails."""
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            usable = descriptor != STDERR or fcntl.fcntl(descriptor, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
            os.fstat(descriptor)
        except OSError:
            usable = False
        if not usable:
            _closed.add(descriptor)
            # standard output can only be read, so that writing to it fails
            held = os.open(os.devnull, os.O_WRONLY if descriptor == STDERR else os.O_RDONLY)
            os.dup2(held, descriptor)  # inherited by workers, too
            if held != descriptor:
                os.close(held)
    if STDOUT in _closed and sys.stdout is None:
        sys.stdout = os.fdopen(STDOUT, "w", encoding="utf-8", closefd=False)
    if STDERR in _closed and sys.stderr is None:
        sys.stderr = os.fdopen(STDERR, "w", encoding="utf-8", errors="backslashreplace", closefd=False)


def is_closed(descriptor: int) -> bool:
    """Whether a standard stream was closed when the process began."""
    return descriptor in _closed


def shown_name(path: Path, stream: str = "standard input") -> str:
    """How messages call an input, or an output with `stream` "standard output"."""
    return stream if str(path) == STANDARD else str(path)


def standard_input() -> BinaryIO:
    """The bytes of standard input. Raises `UsageError` when it is closed or a terminal."""
    if is_closed(STDIN) or sys.stdin is None or sys.stdin.closed:
        raise UsageError("standard input is closed: give a file name, or pipe a file into the command")
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal: give a file name, or pipe a file into the command")
    return sys.stdin.buffer


def standard_output() -> BinaryIO:
    """Where bytes for standard output go. Raises `OutputError` when it is closed, `UsageError` when it is a
    terminal.
    """
    if is_closed(STDOUT) or sys.stdout is None or sys.stdout.closed:
        raise OutputError("standard output is closed: give the output a file name")
    refuse_terminal(sys.stdout)
    return cast(BinaryIO, NamedOutput(sys.stdout.buffer, "standard output"))


def refuse_terminal(stream: IO[Any]) -> None:
    """Raise `UsageError` when a stream for binary data is a terminal."""
    if stream.isatty():
        raise UsageError("binary data is not written to a terminal: give a file name, or redirect standard output")


@contextlib.contextmanager
def text_output() -> Iterator[IO[str]]:
    """Standard output for text, flushed at the end. Raises `OutputError` that names it when it cannot be written."""
    if is_closed(STDOUT) or sys.stdout is None:
        raise OutputError(CLOSED_OUTPUT)
    with output_named():
        yield sys.stdout
        sys.stdout.flush()


def flush_output() -> None:
    """Write what standard output still buffers. Raises `OutputError` that names it when it cannot be written."""
    if sys.stdout is not None and not sys.stdout.closed:
        with output_named():
            sys.stdout.flush()


@contextlib.contextmanager
def output_named() -> Iterator[None]:
    """Let errors of writing inside name standard output, which is all that is written there."""
    try:
        yield
    except BrokenPipeError:
        raise  # whoever read it has had enough
    except OSError as error:
        drop_output()
        raise OutputError(
            CLOSED_OUTPUT if is_closed(STDOUT) else f"standard output: cannot be written: {error.strerror or error}"
        ) from error


def drop_output() -> None:
    """Send what standard output still buffers nowhere: flushing it when the interpreter ends would fail once more."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def say(text: object) -> None:
    """One line for a person on standard error, escaped; lost when nobody takes it."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        print(printable(text), file=sys.stderr, flush=True)


def note(text: str) -> None:
    """One line for a person, on standard error, under the program's name."""
    say(f"latcomp: {text}")


def notes(lines: Iterable[str], quiet: bool) -> None:
    """A line each on standard error for what was converted or dropped, unless quiet."""
    for line in () if quiet else lines:
        note(f"note: {in_flags(line, SETTINGS_OF_NOTES)}")


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output, in ASCII.

    Numbers that JSON cannot hold (infinite, NaN) become null; bytes of names that are not UTF-8 are escaped as
    `printable` does."""
    with text_output() as out:
        out.write(json.dumps(_for_json(data), allow_nan=False) + "\n")


def _for_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _for_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_for_json(item) for item in value]
    if isinstance(value, str):
        return utf8(value)
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def error_console() -> Console:
    """A rich console on standard error. Text from outside goes into it as `rich.text.Text(printable(...))`."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
