"""Checks of what callers hand over: a value of a wrong type or out of range is a `UsageError` that names it."""

from __future__ import annotations

import io
import json
import math
from numbers import Real
from pathlib import Path
from typing import Any

from latcomp.errors import UsageError


def checked_number(name: str, value: object, low: float, high: float, advice: str, *, above: bool = False) -> float:
    """A finite number from `low` (above it with `above`) to `high`, as Python's own; NumPy's and fractions are taken.

    advice: what to choose instead, the end of the message of the `UsageError` for all others."""
    number = _float_of(value)
    if number is None:
        raise _wrong(name, value, "is not a number", advice)
    if not (math.isfinite(number) and (low < number if above else low <= number) and number <= high):
        raise UsageError(f"{name} {number:g} is out of range: {advice}", settings=(name,))
    return number


def _float_of(value: object) -> float | None:
    """A number as a float; infinite where it is too large for one; None for what is no number."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return None
    try:
        return float(value)
    except OverflowError:
        return -math.inf if value < 0 else math.inf


def check_whole(name: str, value: object, low: int, advice: str) -> None:
    """Raise `UsageError` unless a value is a whole number of at least `low`."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(name, value, "is not a whole number", advice)
    if value < low:
        raise UsageError(f"{name} {value} is out of range: {advice}", settings=(name,))


def check_word(name: str, value: object, known: tuple[str, ...]) -> None:
    """Raise `UsageError` unless a word is one of those known."""
    if not isinstance(value, str) or value not in known:
        choices = f"{', '.join(known[:-1])} or {known[-1]}"
        raise UsageError(f"{name} {value!r:.60} is unknown: choose {choices}", settings=(name,))


def check_text(name: str, value: object) -> None:
    """Raise `UsageError` unless a value is a text."""
    if not isinstance(value, str):
        raise _wrong(name, value, "is not a text", "give its name")


def check_flag(name: str, value: object) -> None:
    """Raise `UsageError` unless a value is True or False: an empty list or the text 'no' may be meant either way."""
    if not isinstance(value, bool):
        raise _wrong(name, value, "is not a flag", "choose True or False")


def check_source(name: str, value: object) -> None:
    """Raise `UsageError` unless a value is a path or something that bytes can be read from."""
    _check_place(name, value, "read")


def check_target(name: str, value: object) -> None:
    """Raise `UsageError` unless a value is a path or something that bytes can be written to."""
    _check_place(name, value, "write")


def check_path(name: str, value: object) -> None:
    """Raise `UsageError` unless a value is a path."""
    if not isinstance(value, str | Path):
        raise _wrong(name, value, "is not a path", "give a str or a pathlib.Path")


def _check_place(name: str, value: object, method: str) -> None:
    if isinstance(value, str | Path):
        return
    if isinstance(value, io.TextIOBase) or not callable(getattr(value, method, None)):
        raise _wrong(
            name, value, "is neither a path nor a binary file", f"give a str, a pathlib.Path or what can {method} bytes"
        )


def _wrong(name: str, value: object, what: str, advice: str) -> UsageError:
    return UsageError(f"{name} {value!r:.60} {what}: {advice}", settings=(name,))


def parsed_json(data: bytes) -> Any:
    """The value of a JSON text in UTF-8, with or without a byte order mark. Raises `ValueError` for what is none, for
    the NaN and Infinity that Python would take, numbers that no float holds, and nesting too deep."""
    try:
        return json.loads(data.decode("utf-8-sig"), parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _finite(text: str) -> float:
    return float(text) if math.isfinite(float(text)) else _no_number(text)


def _no_number(text: str) -> float:
    raise ValueError(f"{text:.20} is no number in JSON")
