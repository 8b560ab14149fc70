"""The members of a .lat file's header, declared as data: name, kind and range of each, which writing, reading and
printing follow.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from latcomp.container.format import REQUIREMENTS
from latcomp.latents.step_scale import SCALE_MAX, SCALE_MIN
from latcomp.latents.steps import STEP_MAX, STEP_MIN

Rational = tuple[int, int]
CODINGS = ("int", "lossless")
REFERENCES = ("kept", "previous")
UNITS = (1, 2, 4)
SIDE_MAX = 2**24  # pixels
NUMBER_MAX = 2**31 - 1  # of rationals, as FFmpeg has them
GROUP_FRAMES_MAX = 2**16 - 1  # a group's frame count is stored in two bytes
GROUP_LATENT_FRAMES_MAX = 255
FACTOR_MAX = 256  # pixels of a position, frames of a latent frame
CHANNELS_MAX = 2**16
SPACES = ("raw", "normalised", "scaled")
ESTIMATORS = ("mode", "sample", "moments")
LAYOUTS = ("CFHW", "BCFHW")
DTYPES = ("float32", "float16", "bfloat16")
AUDIO_STREAMS_MAX = 256  # an audio chunk says its stream in one byte


class MisfitError(ValueError):
    """A value that does not belong into its field; becomes a named error where the file or the caller is known."""


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise MisfitError(f"{value!r:.60} is not a whole number from {low} to {high}")
        return value

    return check


def _units(value: Any) -> int:
    if _whole(1, max(UNITS))(value) not in UNITS:
        raise MisfitError(f"{value!r:.60} is not 1, 2 or 4")
    return int(value)


def _number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise MisfitError(f"{value!r:.60} is not a number from {low:g} to {high:g}")
        return float(value)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise MisfitError(f"{value!r:.60} is not a text of at most 1000 letters")
    return value


def _choice(*names: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in names:
            raise MisfitError(f"{value!r:.60} is not one of {', '.join(names)}")
        return str(value)

    return check


def _rational(low: int) -> Callable[[Any], Rational]:
    def check(value: Any) -> Rational:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise MisfitError(f"{value!r:.60} is not a pair of whole numbers")
        return _whole(low, NUMBER_MAX)(value[0]), _whole(1, NUMBER_MAX)(value[1])

    return check


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise MisfitError(f"{value!r:.80} is not a SHA-256 in hexadecimal")
    return value


def _steps(value: Any) -> dict[str, Any]:
    """Steps and scales: both are numbers above zero, as many of one as of the other."""
    found = _record(channel_step=_numbers(STEP_MIN, STEP_MAX), channel_scale=_numbers(STEP_MIN, STEP_MAX))(value)
    steps, scales = ([float(number) for number in found[name]] for name in ("channel_step", "channel_scale"))
    if len(steps) != len(scales):
        raise MisfitError(f"{len(steps)} steps and {len(scales)} scales")
    return {**found, "channel_step": steps, "channel_scale": scales}


def _numbers(low: float, high: float) -> Callable[[Any], list[float]]:
    def check(value: Any) -> list[float]:
        if not isinstance(value, list | tuple) or not 1 <= len(value) <= CHANNELS_MAX:
            raise MisfitError(f"{value!r:.60} is not a list of numbers")
        return [_number(low, high)(number) for number in value]

    return check


def _record(**members: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    return _members(members, ())


def _model(*maybe: str, **members: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """What names a model, and more members, of which some may be missing; files of before there were fingerprints have
    none."""
    return _members({"name": _text, "sha256": _sha256, "fingerprint": _sha256, **members}, ("fingerprint", *maybe))


def _members(members: dict[str, Callable[[Any], Any]], maybe: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise MisfitError(f"{value!r:.60} is not an object")
        for name, member in members.items():
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


def _objects(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
        raise MisfitError(f"{value!r:.60} is not a list of objects")
    if len(value) > AUDIO_STREAMS_MAX:
        raise MisfitError(f"{len(value)} streams, there may be {AUDIO_STREAMS_MAX}")
    return list(value)


def _streams(value: Any) -> list[dict[str, Any]]:
    """Audio streams. Their members are the video side's business; those that count or measure must do so for every
    reader.
    """
    streams = _objects(value)
    for number, stream in enumerate(streams):
        for name, check in _STREAM_NUMBERS.items():
            if name in stream:
                try:
                    check(stream[name])
                except MisfitError as error:
                    raise MisfitError(f"{name} of stream {number}: {error}") from None
    return streams


_STREAM_NUMBERS = {"time_base": _rational(1), "sample_rate": _whole(0, NUMBER_MAX), "channels": _whole(0, NUMBER_MAX)}


def _or_null(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


def _requirements(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(name in REQUIREMENTS for name in map(_text, value)):
        raise MisfitError(f"{value!r:.60} is not a list of what this version knows")
    if len(set(value)) < len(value):
        raise MisfitError(f"{value!r:.60} names something twice")
    return tuple(value)


REQUIRED = object()


@dataclass(frozen=True)
class HeaderField:
    """One member of the header's JSON object."""

    name: str
    kind: str
    """The JSON type in words, as FORMAT.md prints it."""
    check: Callable[[Any], Any]
    """Gives the Python value of a JSON value; raises on one that does not fit."""
    meaning: str
    default: Any = REQUIRED
    """What a header without this member means by that."""
    unsaid: bool = False
    """Whether a writer leaves the member out where it has that value."""


HEADER_FIELDS = (
    HeaderField(
        "requires",
        "[string, ...]",
        _requirements,
        "what a reader must understand to read the file: section 3.2; missing: nothing",
        (),
        unsaid=True,
    ),
    HeaderField("width", "integer", _whole(1, SIDE_MAX), "frame width in pixels, as stored (before rotation)"),
    HeaderField("height", "integer", _whole(1, SIDE_MAX), "frame height in pixels"),
    HeaderField("time_base", "[integer, integer]", _rational(1), "seconds of one pts unit: numerator, denominator"),
    HeaderField(
        "average_rate",
        "[integer, integer] or null",
        _or_null(_rational(0)),
        "frames per second as the source declared; 0: not known",
    ),
    HeaderField(
        "sample_aspect_ratio",
        "[integer, integer]",
        _rational(0),
        "width over height of one pixel; a width of 0: square",
    ),
    HeaderField("rotation", "integer", _whole(-360, 360), "degrees by which a player turns the picture"),
    HeaderField(
        "color",
        "object",
        _record(**dict.fromkeys(("primaries", "transfer", "matrix", "range"), _whole(0, 2**15))),
        "colour tags in FFmpeg's numbering: primaries, transfer, matrix, range",
    ),
    HeaderField(
        "audio",
        "[object, ...]",
        _streams,
        "one object an audio stream (at most 256), made and understood by the video side",
    ),
    HeaderField(
        "tokenizer",
        "object",
        _model(
            "first_frames",
            "sha256",
            channels=_whole(1, CHANNELS_MAX),
            spatial=_whole(1, FACTOR_MAX),
            temporal=_whole(1, FACTOR_MAX),
            first_frames=_whole(1, FACTOR_MAX),
        ),
        "the tokenizer: name, sha256 of its weights, fingerprint, channels, pixels a position (spatial), frames a "
        "latent frame (temporal), frames of a segment's first latent frame (first_frames; missing: temporal)",
    ),
    HeaderField(
        "steps",
        "object or null",
        _or_null(_steps),
        "steps and scales of the tokenizer's channels: section 3.3; missing: null",
        None,
        unsaid=True,
    ),
    HeaderField(
        "latents",
        "object or null",
        _or_null(
            _members(
                {
                    "space": _choice(*SPACES),
                    "estimator": _choice(*ESTIMATORS),
                    "layout": _choice(*LAYOUTS),
                    "dtype": _choice(*DTYPES),
                    "architecture": _text,
                },
                ("architecture",),
            )
        ),
        "what the latents were that the file was made of: section 3.4; missing: null",
        None,
        unsaid=True,
    ),
    HeaderField("lit", "object or null", _or_null(_model()), "the LIT: name, sha256 of its weights, fingerprint"),
    HeaderField(
        "prior",
        "object or null",
        _or_null(_model()),
        "the prior that tokens and masks are coded under: name, sha256 of its weights, fingerprint; missing: null",
        None,
    ),
    HeaderField("units", "integer", _units, "whole units of a symbol that make a step: 1, 2 or 4; missing: 1", 1),
    HeaderField("quality", "number or null", _or_null(_number(-1000, 1000)), "the quality that was asked for"),
    HeaderField(
        "step_scale",
        "number",
        _number(SCALE_MIN, SCALE_MAX),
        "latent = symbol / units x step of the channel (tokenizer's config, or `steps`) x step_scale",
    ),
    HeaderField(
        "coding", "string", _choice(*CODINGS), "`int`: tokens are integers; `lossless`: tokens are float32 latents"
    ),
    HeaderField("threshold", "number or null", _or_null(_number(0, 1e30)), "the threshold tokens were kept by"),
    HeaderField("keep", "number or null", _or_null(_number(0, 1)), "the part of the tokens that was asked for"),
    HeaderField(
        "target_bpp",
        "number or null",
        _or_null(_number(0, 1e30)),
        "the bits per pixel without audio that were asked for; missing: null",
        None,
    ),
    HeaderField(
        "min_psnr",
        "number or null",
        _or_null(_number(0, 1e30)),
        "the PSNR-Y in dB that was asked for; missing: null",
        None,
    ),
    HeaderField(
        "reference", "string", _choice(*REFERENCES), "what differences were taken against: `kept` or `previous`"
    ),
    HeaderField("group_latent_frames", "integer", _whole(1, GROUP_LATENT_FRAMES_MAX), "most latent frames of a group"),
    HeaderField("segment_groups", "integer", _whole(1, 2**31 - 1), "groups of a normal segment"),
    HeaderField("created_by", "string", _text, "program and version that wrote the file"),
    HeaderField(
        "metadata",
        "object or null",
        _or_null(_record()),
        "what the source said of itself in words: section 3.1; missing: null",
        None,
        unsaid=True,
    ),
)

VIDEO_FIELDS = (
    "width",
    "height",
    "time_base",
    "average_rate",
    "sample_aspect_ratio",
    "rotation",
    "color",
    "audio",
    "metadata",
)


def checked(values: dict[str, Any]) -> dict[str, Any]:
    """Python values of a header's members. Members that this version does not know are left out."""
    found: dict[str, Any] = {}
    for field in HEADER_FIELDS:
        value = values.get(field.name, field.default)
        if value is REQUIRED:
            raise MisfitError(f"{field.name} is missing")
        try:
            found[field.name] = field.check(value)
        except MisfitError as error:
            raise MisfitError(f"{field.name}: {error}") from None
    if found["prior"] is None and found["units"] != 1:
        raise MisfitError("units of a step need a prior")
    if found["prior"] is not None and found["coding"] != "int":
        raise MisfitError("a prior is for a coding of int")
    tokenizer = found["tokenizer"]
    first_frames = tokenizer.get("first_frames", tokenizer["temporal"])
    if first_frames > tokenizer["temporal"]:
        raise MisfitError(f"first_frames of tokenizer: {first_frames} is more than its temporal")
    if (first_frames != tokenizer["temporal"]) != ("first_frames" in found["requires"]):
        raise MisfitError("a first_frames that is not temporal and a `requires` that names it need each other")
    _check_requiring(found)
    if found["group_latent_frames"] * tokenizer["temporal"] > GROUP_FRAMES_MAX:
        raise MisfitError(
            f"a group of {found['group_latent_frames']} latent frames has more than {GROUP_FRAMES_MAX} frames"
        )
    return found


def _check_requiring(found: dict[str, Any]) -> None:
    """Raise `MisfitError` when `steps` and `latents` are not as what is required has them."""
    tokenizer, steps = found["tokenizer"], found["steps"]
    for name in ("steps", "latents"):
        if (found[name] is not None) != (name in found["requires"]):
            raise MisfitError(f"{name} and a `requires` that names them need each other")
    if steps is not None and len(steps["channel_step"]) != tokenizer["channels"]:
        raise MisfitError(f"steps: {len(steps['channel_step'])} are said of {tokenizer['channels']} channels")
    if found["latents"] is None:
        if "sha256" not in tokenizer:
            raise MisfitError("tokenizer: sha256 is missing")
    elif steps is None and found["coding"] == "int":
        raise MisfitError("latents in whole numbers need steps")
