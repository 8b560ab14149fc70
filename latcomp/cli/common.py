"""What the commands share: options, `-` for standard input and output, messages, JSON, the progress bar."""

from __future__ import annotations

import math
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Annotated, BinaryIO

import typer

from latcomp.cli.choices import DEVICES, FILLS, completes, did_you_mean, one_of
from latcomp.cli.clock import WORDS, seconds_of
from latcomp.cli.commands import DEVICE, OUTPUT, PART, QUALITY
from latcomp.cli.direction import refuse_named_video
from latcomp.cli.standard import STANDARD as STANDARD
from latcomp.cli.standard import STDERR, STDOUT, is_closed, refuse_terminal, standard_input, standard_output
from latcomp.cli.standard import error_console as error_console
from latcomp.cli.standard import note as note
from latcomp.cli.standard import notes as notes
from latcomp.cli.standard import print_json as print_json
from latcomp.errors import OutputError, UsageError
from latcomp.files import descriptor_of, is_stream, same_file, spool
from latcomp.sources import open_source


def finite_between(
    low: float, high: float = math.inf, *, open_low: bool = False
) -> Callable[[float | None], float | None]:
    """A check for a number option: finite, at least `low` (above it with `open_low`) and at most `high`.

    Typer's own `min` and `max` let NaN through.
    """
    if math.isinf(high):
        wanted = f"a number above {low:g}" if open_low else f"a number of at least {low:g}"
    else:
        wanted = f"a number above {low:g} and up to {high:g}" if open_low else f"a number from {low:g} to {high:g}"

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
LatInputs = Annotated[
    list[Path], typer.Argument(metavar="IN.lat...", help="The .lat files, or - for standard input.", show_default=False)
]
Force = Annotated[bool, typer.Option("-f", "--force", rich_help_panel=OUTPUT, help="Replace an existing output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print nothing but errors.")]
Json = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=OUTPUT, help="Print the figures as one JSON object on standard output."),
]
Device = Annotated[
    str,
    typer.Option(
        callback=_device_name,
        autocompletion=completes(DEVICES),
        metavar="NAME",
        rich_help_panel=DEVICE,
        show_default=False,
        help="auto (default: a GPU if there is one), cpu, cuda or cuda:N.",
    ),
]
Start = Annotated[
    float | None,
    typer.Option(
        parser=seconds_of,
        metavar="TIME",
        rich_help_panel=PART,
        help=f"Begin at this time: {WORDS}, from the first frame on.",
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(parser=seconds_of, metavar="TIME", rich_help_panel=PART, help="Stop after so long, written likewise."),
]
NoAudio = Annotated[bool, typer.Option("--no-audio", rich_help_panel=PART, help="Leave the audio out.")]
Fill = Annotated[
    str,
    typer.Option(
        callback=one_of(FILLS),
        autocompletion=completes(FILLS),
        metavar="auto|lit|hold",
        rich_help_panel=QUALITY,
        show_default=False,
        help="What dropped positions are filled by: lit, a network; hold, the last kept value; auto (default), as the "
        "encoder chose.",
    ),
]
TokenizerFolder = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer",
        metavar="PATH",
        rich_help_panel=DEVICE,
        help="Folder of the tokenizer, for a file that was encoded with one that is not shipped.",
    ),
]


def input_file(path: Path) -> Path | BinaryIO:
    """The path itself, or standard input for `-`. Raises `UsageError` when standard input is closed or a terminal."""
    return standard_input() if str(path) == STANDARD else path


def output_place(path: Path, *, json_on_stdout: bool = False) -> Path | BinaryIO:
    """The path itself, or standard output for `-`.

    Raises `UsageError` for a terminal and where JSON goes to the same place, `OutputError` for a standard stream that
    is closed."""
    number = STDOUT if str(path) == STANDARD else descriptor_of(path)
    if json_on_stdout and (number == STDOUT or _is_standard_output(path)):
        raise UsageError(f"--json and an output of {path} both want standard output: give the output a file name")
    if str(path) == STANDARD:
        return standard_output()
    if number is not None and is_closed(number):
        raise OutputError(
            f"{path}: standard {'error' if number == STDERR else 'output'} is closed: give the output a file name"
        )
    with suppress(OSError):
        if stat.S_ISCHR(path.stat().st_mode):
            with path.open("wb", buffering=0) as device:
                refuse_terminal(device)
    return path


def _is_standard_output(path: Path) -> bool:
    """Whether a pipe or terminal is the one that standard output goes to."""
    try:
        there, here = path.stat(), os.fstat(STDOUT)
    except OSError:
        return False
    return stat.S_ISFIFO(there.st_mode) and os.path.samestat(there, here)


def check_paths(source: Path, target: Path, force: bool) -> None:
    """Refuse, before any work, an output that is the input, or that cannot or may not be written.

    Raises `UsageError` for input == output and `OutputError` for the rest.
    """
    if str(target) == STANDARD:
        return
    if is_stream(target):
        if (
            str(source) != STANDARD and source.is_file() and same_file(source, target)
        ):  # a descriptor of the input itself
            raise UsageError(f"{target} is both input and output: give the output another name")
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
def open_lat(path: Path, *, or_video: bool = False) -> Iterator[BinaryIO]:
    """The bytes of a .lat file, or standard input for `-`, as a binary file object.

    Raises `DamagedFileError` when there is no such file, when it cannot be read, or when it is a video and `or_video`
    is not given."""
    source = input_file(path)
    with open_source(source) as file:
        if isinstance(source, Path) and not or_video:
            refuse_named_video(path, file)
        yield file


@contextmanager
def open_seekable_lat(path: Path, *, or_video: bool = False) -> Iterator[BinaryIO]:
    """As `open_lat`, for readers that go back: standard input is copied to a temporary file first."""
    with open_lat(path, or_video=or_video) as file:
        if file.seekable():
            yield file
            return
        with spool() as copy:
            shutil.copyfileobj(file, copy)
            copy.seek(0)
            yield copy
