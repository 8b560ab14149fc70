"""The named errors of latcomp: each says what went wrong and what to do about it.

The command line maps every class to an exit code in one place, `latcomp.cli.exit_codes`.
"""


class LatcompError(Exception):
    """Base of all errors that latcomp raises on purpose; its message is one line for a person."""


class UsageError(LatcompError):
    """A setting is out of its range, or two settings exclude each other."""


class NotAVideoError(LatcompError):
    """The input cannot be read as video: missing, not a video, no video stream, no frames, cut off."""


class DamagedFileError(LatcompError):
    """The bytes are not a .lat file, or a .lat file that is damaged or cut off."""


class UnsupportedFileError(LatcompError):
    """A .lat file of a version, tokenizer or LIT that is not at hand."""


class OutputError(LatcompError):
    """The output exists, cannot be written, or its format cannot hold the streams."""


class LimitError(LatcompError):
    """A limit on pixels, frames, tokens or bytes was passed; the message names the flag that raises it."""


class DeviceError(LatcompError):
    """The compute device is not available or ran out of memory."""
