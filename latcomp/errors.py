"""The named errors of latcomp: each says what went wrong and what to do about it.

Messages name settings as Python does (`quality`, `max_pixels`, `force=True`). The command line maps every class to an
exit code in one place, `latcomp.cli.exit_codes`, and settings to flags in another, `latcomp.cli.messages`.
"""

from __future__ import annotations


class LatcompError(Exception):
    """Base of all errors that latcomp raises on purpose; its message is one line for a person."""

    def __init__(self, message: object = "", *, settings: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.settings = settings
        """Names of the settings that the message speaks of: keyword arguments of `latcomp.encode` and `decode`, fields
        of `Limits`. One whose name is also a word of the message stands with its value, as `audio=False`.
        """


class UsageError(LatcompError):
    """A setting is out of its range, or two settings exclude each other."""


class NotAVideoError(LatcompError):
    """The input cannot be read as video: missing, not a video, no video stream, no frames, cut off."""


class NotACacheError(LatcompError):
    """The input cannot be read as a cache of latents: missing, of no known format, cut off, with code in it."""


class DamagedFileError(LatcompError):
    """The bytes are not a .lat file, or a .lat file that is damaged or cut off."""


class UnsupportedFileError(LatcompError):
    """A .lat file of a version, tokenizer, LIT or prior that is not available here."""


class OutputError(LatcompError):
    """The output exists, cannot be written, or its format cannot hold the streams."""


class LimitError(LatcompError):
    """A limit on pixels, frames, tokens or bytes was exceeded; `settings` and the message name the one to raise."""


class DeviceError(LatcompError):
    """The compute device is not available or ran out of memory."""
