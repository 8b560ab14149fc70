"""What the commands share: options, `-` for standard input and output, messages, JSON, the progress bar."""

from __future__ import annotations

import json
import math
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from latcomp.cli.choices import DEVICES, FILLS, completes, did_you_mean, one_of
from latcomp.cli.commands import DEVICE, OUTPUT, PART, QUALITY
from latcomp.errors import DamagedFileError, OutputError, UsageError
from latcomp.files import same_file

if TYPE_CHECKING:
    from rich.console import Console

STANDARD = "-"  # standard input or output, wherever a path stands


def finite_between(
    low: float, high: float = math.inf, *, open_low: bool = False
) -> Callable[[float | None], float | None]:
    """A check for a number option: finite, at least `low` (above it with `open_low`) and at most `high`.

    Typer's own `min` and `max` let NaN through.
    """
    if math.isinf(high):
        wanted = f"a number above {low:g}" if open_low else f"a number of at least {low:g}"
    else:
        wanted = (
            f"a number above {low:g} and up to {high:g}" if open_low else f"a number from {low:g} to {high:g}"
        )

    def check(value: float | None) -> float | None:
        if value is None:
            return None
        inside = low < value <= high if open_low else low <= value <= high
        if not (math.isfinite(value) and inside):
            raise typer.BadParameter(f"{value:g} is not {wanted}")
        return value

    return check


def _device_name(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", value):
        raise typer.BadParameter(
            f"{value!r} is not a device{did_you_mean(value, list(DEVICES)) or ': choose auto, cpu, cuda or cuda:N'}"
        )
    return value


LatInput = Annotated[Path, typer.Argument(metavar="IN.lat", help="The .lat file, or - for standard input.")]
Force = Annotated[bool, typer.Option("-f", "--force", rich_help_panel=OUTPUT, help="Replace an existing output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print nothing but errors.")]
Json = Annotated[
    bool, typer.Option("--json", rich_help_panel=OUTPUT, help="Print the figures as one JSON object on standard output.")
]
Device = Annotated[
    str,
    typer.Option(
        callback=_device_name, autocompletion=completes(DEVICES), metavar="NAME", rich_help_panel=DEVICE, show_default=False,
        help="auto (default: a GPU if there is one), cpu, cuda or cuda:N.",
    ),
]  # fmt: skip
Start = Annotated[
    float | None,
    typer.Option(callback=finite_between(0), metavar="S", rich_help_panel=PART, help="Begin at this time, in seconds."),
]
Duration = Annotated[
    float | None,
    typer.Option(
        callback=finite_between(0, open_low=True), metavar="S", rich_help_panel=PART, help="Stop after this many seconds."
    ),
]
NoAudio = Annotated[bool, typer.Option("--no-audio", rich_help_panel=PART, help="Leave the audio out.")]
Fill = Annotated[
    str,
    typer.Option(
        callback=one_of(FILLS), autocompletion=completes(FILLS), metavar="auto|lit|hold", rich_help_panel=QUALITY, show_default=False,
        help="What dropped positions are filled by: lit, a network; hold, the last kept value; auto (default), as the encoder chose.",
    ),
]  # fmt: skip
TokenizerFolder = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer", metavar="PATH", rich_help_panel=DEVICE,
        help="Folder of the tokenizer, for a file that was encoded with one that is not shipped.",
    ),
]  # fmt: skip

def input_file(path: Path) -> Path | BinaryIO:
    """The path itself, or standard input for `-`. Raises `UsageError` when standard input is a terminal."""
    if str(path) != STANDARD:
        return path
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("standard input is a terminal: give a file name, or pipe a file into the command")
    return sys.stdin.buffer


def output_place(path: Path, *, json_on_stdout: bool = False) -> Path | BinaryIO:
    """The path itself, or standard output for `-`.

    Raises `UsageError` when standard output is a terminal or already carries JSON, `OutputError` when it is closed.
    """
    if str(path) != STANDARD:
        return path
    if json_on_stdout:
        raise UsageError("--json and an output of - both want standard output: give the output a file name")
    if sys.stdout is None or sys.stdout.closed:
        raise OutputError("standard output is closed: give the output a file name")
    if sys.stdout.isatty():
        raise UsageError(
            "binary data is not written to a terminal: give a file name, or redirect standard output"
        )
    return sys.stdout.buffer


def check_paths(source: Path, target: Path, force: bool) -> None:
    """Refuse, before any work, an output that is the input, or that cannot or may not be written.

    Raises `UsageError` for input == output and `OutputError` for the rest.
    """
    if str(target) == STANDARD:
        return
    if str(source) != STANDARD and same_file(source, target):
        raise UsageError(f"{target} is both input and output: give the output another name")
    if target.is_dir():
        raise OutputError(f"{target} is a folder: give the output a file name")
    if not target.parent.is_dir():
        raise OutputError(f"the folder {target.parent} does not exist")
    if target.is_file() and not force:
        raise OutputError(f"{target} exists: choose another name, or replace it with --force")


@contextmanager
def open_lat(path: Path) -> Iterator[BinaryIO]:
    """The bytes of a .lat file, or standard input for `-`, as a binary file object.

    Raises `DamagedFileError` when there is no such file or it cannot be read.
    """
    source = input_file(path)
    if not isinstance(source, Path):
        yield source
        return
    try:
        file = source.open("rb")
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    with file:
        yield file


@contextmanager
def open_seekable_lat(path: Path) -> Iterator[BinaryIO]:
    """As `open_lat`, for readers that go back: standard input is copied to a temporary file first."""
    with open_lat(path) as file:
        if file.seekable():
            yield file
            return
        with tempfile.TemporaryFile(prefix="latcomp-") as copy:
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            yield copy


def note(text: str) -> None:
    """One line for a person, on standard error."""
    print(f"latcomp: {text}", file=sys.stderr, flush=True)


def notes(lines: Iterable[str], quiet: bool) -> None:
    """A line each on standard error for what was converted or dropped, unless quiet."""
    for line in () if quiet else lines:
        note(f"note: {line}")


def print_json(data: Mapping[str, Any]) -> None:
    """One JSON object on one line of standard output; numbers that JSON cannot hold (infinite, NaN) become null."""
    sys.stdout.write(json.dumps(_finite(data), allow_nan=False) + "\n")
    sys.stdout.flush()


def _finite(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def error_console() -> Console:
    """A rich console on standard error."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)
