"""Times on the command line: seconds, or [HH:]MM:SS[.fff] as players show them."""

from __future__ import annotations

import re

import typer

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d{1,2}(?:\.\d*)?)")
WORDS = "seconds, or [HH:]MM:SS[.fff]"


def seconds_of(text: str | float) -> float:
    """The seconds of a time: '83.5', '1:23.5', '00:01:23.5'. Raises `typer.BadParameter` for what is none.

    Minutes behind hours, and seconds behind minutes, stay below 60. The range is left to who asks: 'nan' and '-1' are
    numbers too."""
    if isinstance(text, float | int):
        return float(text)
    words = text.strip()
    found = _CLOCK.fullmatch(words)
    if found is None:
        try:
            return float(words)
        except ValueError:
            raise typer.BadParameter(f"{text!r} is not a time: write {WORDS}, such as 83.5 or 1:23.5") from None
    hours, minutes, seconds = found[1], int(found[2]), found[3]
    if float(seconds) >= 60 or (hours is not None and minutes >= 60):
        raise typer.BadParameter(f"{text!r} is not a time: minutes and seconds go to 59 in {WORDS.split('or ')[1]}")
    whole, _, part = seconds.partition(".")
    # put together as text: 0:01.1 is the number that 1.1 is
    return float(f"{(int(hours or 0) * 60 + minutes) * 60 + int(whole)}.{part or 0}")
