"""The one place where errors become exit codes."""

from __future__ import annotations

from latcomp.errors import (
    DamagedFileError,
    DeviceError,
    LatcompError,
    LimitError,
    NotACacheError,
    NotAVideoError,
    OutputError,
    UnsupportedFileError,
    UsageError,
)

DONE = 0
UNEXPECTED = 1
USAGE = 2
NOT_A_VIDEO = 3
DAMAGED = 4
UNSUPPORTED = 5
OUTPUT = 6
LIMIT = 7
DEVICE = 8
INTERRUPTED = 130
SIGNALLED = 128  # plus the number of the signal, as shells do

CODES: dict[type[LatcompError], int] = {
    UsageError: USAGE,
    NotAVideoError: NOT_A_VIDEO,
    NotACacheError: NOT_A_VIDEO,
    DamagedFileError: DAMAGED,
    UnsupportedFileError: UNSUPPORTED,
    OutputError: OUTPUT,
    LimitError: LIMIT,
    DeviceError: DEVICE,
}


def exit_code(error: LatcompError) -> int:
    """The exit code of an error: that of its nearest class in the table, 1 for one that is not there."""
    return next((CODES[kind] for kind in type(error).__mro__ if kind in CODES), UNEXPECTED)
