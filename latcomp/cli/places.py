"""Inputs and outputs as the command line names them: paths, and `-` for standard input and output."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from latcomp.cli.direction import refuse_named_video
from latcomp.cli.standard import STANDARD, STDERR, STDOUT, is_closed, refuse_terminal, standard_input, standard_output
from latcomp.errors import OutputError, UsageError
from latcomp.output import descriptor_of, is_stream, same_file


def input_file(path: Path) -> Path | BinaryIO:
    """The path itself, or standard input for `-`. Raises `UsageError` when standard input is closed or a terminal."""
    return standard_input() if str(path) == STANDARD else path


def lat_input(path: Path) -> Path | BinaryIO:
    """As `input_file`, for a .lat file. Raises `DamagedFileError` for a video in its place, with what can be done."""
    source = input_file(path)
    if isinstance(source, Path):
        refuse_named_video(source)
    return source


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
