"""The library's messages in the words of the command line: flags where the library names settings."""

from __future__ import annotations

import re
from collections.abc import Sequence

from latcomp.errors import LatcompError

_FLAGS = {
    "start_seconds": "--start",
    "form": "--as",
    "duration_seconds": "--duration",
    "max_group_tokens": "--max-tokens",
    "max_group_bytes": "--max-bytes",
    "max_chunk_bytes": "--max-bytes",
    "max_attachment_bytes": "--max-bytes",
    "max_header_bytes": "--max-bytes",
}  # of the settings whose flags have other names
SETTINGS_OF_NOTES = ("deinterlace", "keep_going", "video_track")
"""What the notes of an encoding or decoding may tell a person to set."""


def flag_of(setting: str) -> str:
    """The flag of a setting: `--target-bpp` of `target_bpp`."""
    return _FLAGS.get(setting, f"--{setting.replace('_', '-')}")


def message_of(error: LatcompError) -> str:
    """The message of an error, with flags in the place of the settings it names."""
    return in_flags(str(error), error.settings)


def in_flags(text: str, settings: Sequence[str]) -> str:
    """A message in which each of these settings is named by its flag.

    `quality` becomes `--quality`, `force=True` `--force`, `audio=False` `--no-audio`, `device='cpu'` `--device cpu`.
    Parts of longer words and of paths are left as they are.
    """
    if not settings:
        return text
    forms = [re.escape(one) if "=" in one else rf"{one}(?:=(?:True|False|'[^']*'))?" for one in settings]
    return re.sub(rf"(?<![\w./\\-])(?:{'|'.join(forms)})(?![\w/\\-]|\.\w)", _flag, text)


def _flag(found: re.Match[str]) -> str:
    name, _, value = found[0].partition("=")
    flag = flag_of(name)
    if value in ("", "True"):
        return flag
    return flag.replace("--", "--no-", 1) if value == "False" else f"{flag} {value[1:-1]}"
