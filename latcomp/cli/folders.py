"""A folder as the output of `encode` and `decode`: the file in it is named after the input."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from latcomp.cli.standard import STANDARD, shown_name
from latcomp.errors import OutputError, UsageError
from latcomp.output import is_stream


def output_in(word: str, source: Path, suffix: str) -> Path:
    """The output that a word of the command line means: `DIR/NAME` for a folder, NAME being that of the input with
    `suffix`.

    A folder is what exists as one, and what ends in a slash. Raises `UsageError` where the input has no name to take.
    """
    target = Path(word)
    if word == STANDARD or not (word.endswith("/") or target.is_dir()):
        return target
    if str(source) == STANDARD or is_stream(source):
        raise UsageError(
            f"{word} is a folder, and {shown_name(source)} has no name to take: give the output a file name"
        )
    return target / f"{source.stem}{suffix}"


@contextlib.contextmanager
def made_folder(word: str, target: Path) -> Iterator[None]:
    """The folder that a word with a slash at its end asks for, made where it is missing; removed again when the block
    fails.

    Only the last folder is made, as by mkdir. Raises `OutputError` when that cannot be done.
    """
    folder = target.parent
    if not word.endswith("/") or folder.is_dir():
        yield
        return
    try:
        folder.mkdir()
    except FileNotFoundError:
        raise OutputError(f"the folder {folder.parent} does not exist") from None
    except OSError as error:
        raise OutputError(f"{folder}: cannot be made: {(error.strerror or str(error)).lower()}") from None
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError):  # something may have been written there after all
            folder.rmdir()
        raise
