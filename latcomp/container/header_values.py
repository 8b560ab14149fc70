"""What a member of a .lat file's header may be: each check gives the Python value of a JSON value, or raises.

`header_fields` says which member has which."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from latcomp.container.format import REQUIREMENTS
from latcomp.latents.steps import STEP_MAX, STEP_MIN

Rational = tuple[int, int]
UNITS = (1, 2, 4)
NUMBER_MAX = 2**31 - 1  # of rationals, as FFmpeg has them
CHANNELS_MAX = 2**16
AUDIO_STREAMS_MAX = 256  # an audio chunk says its stream in one byte


class MisfitError(ValueError):
    """A value that does not belong into its field; becomes a named error where the file or the caller is known."""


def whole(low: int, high: int) -> Callable[[Any], int]:
    """A whole number from `low` to `high`."""

    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise MisfitError(f"{value!r:.60} is not a whole number from {low} to {high}")
        return value

    return check


def units(value: Any) -> int:
    """Units of a step."""
    if whole(1, max(UNITS))(value) not in UNITS:
        raise MisfitError(f"{value!r:.60} is not 1, 2 or 4")
    return int(value)


def number(low: float, high: float) -> Callable[[Any], float]:
    """A number from `low` to `high`, which no infinity is."""

    def check(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise MisfitError(f"{value!r:.60} is not a number from {low:g} to {high:g}")
        return float(value)

    return check


def text(value: Any) -> str:
    """A text of at most 1000 letters."""
    if not isinstance(value, str) or len(value) > 1000:
        raise MisfitError(f"{value!r:.60} is not a text of at most 1000 letters")
    return value


def choice(*names: str) -> Callable[[Any], str]:
    """One of some words."""

    def check(value: Any) -> str:
        if value not in names:
            raise MisfitError(f"{value!r:.60} is not one of {', '.join(names)}")
        return str(value)

    return check


def rational(low: int) -> Callable[[Any], Rational]:
    """A pair of whole numbers: one of at least `low`, and one of at least 1."""

    def check(value: Any) -> Rational:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise MisfitError(f"{value!r:.60} is not a pair of whole numbers")
        return whole(low, NUMBER_MAX)(value[0]), whole(1, NUMBER_MAX)(value[1])

    return check


def sha256(value: Any) -> str:
    """A SHA-256 in hexadecimal."""
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise MisfitError(f"{value!r:.80} is not a SHA-256 in hexadecimal")
    return value


def steps(value: Any) -> dict[str, Any]:
    """Steps and scales: both are numbers above zero, as many of one as of the other."""
    found = record(channel_step=numbers(STEP_MIN, STEP_MAX), channel_scale=numbers(STEP_MIN, STEP_MAX))(value)
    found_steps, scales = ([float(one) for one in found[name]] for name in ("channel_step", "channel_scale"))
    if len(found_steps) != len(scales):
        raise MisfitError(f"{len(found_steps)} steps and {len(scales)} scales")
    return {**found, "channel_step": found_steps, "channel_scale": scales}


def numbers(low: float, high: float) -> Callable[[Any], list[float]]:
    """A list of one number or more, each from `low` to `high`; as many as there may be channels."""

    def check(value: Any) -> list[float]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= CHANNELS_MAX:
            raise MisfitError(f"{value!r:.60} is not a list of numbers")
        return [number(low, high)(one) for one in value]

    return check


def record(**wanted: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """An object with these members, and maybe others."""
    return members(wanted, ())


def model(*maybe: str, **wanted: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """What names a model, and more members, of which some may be missing; files of before there were fingerprints have
    none."""
    return members({"name": text, "sha256": sha256, "fingerprint": sha256, **wanted}, ("fingerprint", *maybe))


def members(wanted: dict[str, Callable[[Any], Any]], maybe: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    """An object with these members, of which some may be missing, and maybe others."""

    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise MisfitError(f"{value!r:.60} is not an object")
        for name, member in wanted.items():
            if name not in value:
                if name in maybe:
                    continue
                raise MisfitError(f"{name} is missing")
            try:
                member(value[name])
            except MisfitError as error:
                raise MisfitError(f"{name}: {error}") from None
        return dict(value)

    return check


def objects(value: Any) -> list[dict[str, Any]]:
    """A list of objects, one a stream."""
    if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
        raise MisfitError(f"{value!r:.60} is not a list of objects")
    if len(value) > AUDIO_STREAMS_MAX:
        raise MisfitError(f"{len(value)} streams, there may be {AUDIO_STREAMS_MAX}")
    return list(value)


def streams(value: Any) -> list[dict[str, Any]]:
    """Audio streams. Their members are the video side's business; those that count or measure must do so for every
    reader.
    """
    streams = objects(value)
    for number, stream in enumerate(streams):
        for name, check in _STREAM_NUMBERS.items():
            if name in stream:
                try:
                    check(stream[name])
                except MisfitError as error:
                    raise MisfitError(f"{name} of stream {number}: {error}") from None
    return streams


_STREAM_NUMBERS = {"time_base": rational(1), "sample_rate": whole(0, NUMBER_MAX), "channels": whole(0, NUMBER_MAX)}


def or_null(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What `check` takes, or null."""
    return lambda value: None if value is None else check(value)


def requirements(value: Any) -> tuple[str, ...]:
    """What a file requires, each once."""
    if not isinstance(value, list | tuple) or not all(name in REQUIREMENTS for name in map(text, value)):
        raise MisfitError(f"{value!r:.60} is not a list of what this version knows")
    if len(set(value)) < len(value):
        raise MisfitError(f"{value!r:.60} names something twice")
    return tuple(value)
