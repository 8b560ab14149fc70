"""The members of a .lat file's header, declared as data: name, kind and range of each, which writing, reading and
printing follow.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from latcomp.container.header_values import (
    CHANNELS_MAX,
    MisfitError,
    choice,
    members,
    model,
    number,
    or_null,
    rational,
    record,
    requirements,
    steps,
    streams,
    text,
    units,
    whole,
)
from latcomp.latents.step_scale import SCALE_MAX, SCALE_MIN

CODINGS = ("int", "lossless")
REFERENCES = ("kept", "previous")
SIDE_MAX = 2**24  # pixels
GROUP_FRAMES_MAX = 2**16 - 1  # a group's frame count is stored in two bytes
GROUP_LATENT_FRAMES_MAX = 255
FACTOR_MAX = 256  # pixels of a position, frames of a latent frame
SPACES = ("raw", "normalised", "scaled")
ESTIMATORS = ("mode", "sample", "moments")
LAYOUTS = ("CFHW", "BCFHW")
DTYPES = ("float32", "float16", "bfloat16")
LATENTS_WORDS = {"space": SPACES, "estimator": ESTIMATORS, "layout": LAYOUTS, "dtype": DTYPES}
"""What members of `latents` may say."""

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
        requirements,
        "what a reader must understand to read the file: section 3.2; missing: nothing",
        (),
        unsaid=True,
    ),
    HeaderField("width", "integer", whole(1, SIDE_MAX), "frame width in pixels, as stored (before rotation)"),
    HeaderField("height", "integer", whole(1, SIDE_MAX), "frame height in pixels"),
    HeaderField("time_base", "[integer, integer]", rational(1), "seconds of one pts unit: numerator, denominator"),
    HeaderField(
        "average_rate",
        "[integer, integer] or null",
        or_null(rational(0)),
        "frames per second as the source declared; 0: not known",
    ),
    HeaderField(
        "sample_aspect_ratio", "[integer, integer]", rational(0), "width over height of one pixel; a width of 0: square"
    ),
    HeaderField("rotation", "integer", whole(-360, 360), "degrees by which a player turns the picture"),
    HeaderField(
        "color",
        "object",
        record(**dict.fromkeys(("primaries", "transfer", "matrix", "range"), whole(0, 2**15))),
        "colour tags in FFmpeg's numbering: primaries, transfer, matrix, range",
    ),
    HeaderField(
        "audio",
        "[object, ...]",
        streams,
        "one object an audio stream (at most 256), made and understood by the video side",
    ),
    HeaderField(
        "tokenizer",
        "object",
        model(
            "first_frames",
            "sha256",
            channels=whole(1, CHANNELS_MAX),
            spatial=whole(1, FACTOR_MAX),
            temporal=whole(1, FACTOR_MAX),
            first_frames=whole(1, FACTOR_MAX),
        ),
        "the tokenizer: name, sha256 of its weights, fingerprint, channels, pixels a position (spatial), frames a "
        "latent frame (temporal), frames of a segment's first latent frame (first_frames; missing: temporal)",
    ),
    HeaderField(
        "steps",
        "object or null",
        or_null(steps),
        "steps and scales of the tokenizer's channels: section 3.3; missing: null",
        None,
        unsaid=True,
    ),
    HeaderField(
        "latents",
        "object or null",
        or_null(
            members(
                {**{name: choice(*words) for name, words in LATENTS_WORDS.items()}, "architecture": text},
                ("architecture",),
            )
        ),
        "what the latents were that the file was made of: section 3.4; missing: null",
        None,
        unsaid=True,
    ),
    HeaderField("lit", "object or null", or_null(model()), "the LIT: name, sha256 of its weights, fingerprint"),
    HeaderField(
        "prior",
        "object or null",
        or_null(model()),
        "the prior that tokens and masks are coded under: name, sha256 of its weights, fingerprint; missing: null",
        None,
    ),
    HeaderField("units", "integer", units, "whole units of a symbol that make a step: 1, 2 or 4; missing: 1", 1),
    HeaderField("quality", "number or null", or_null(number(-1000, 1000)), "the quality that was asked for"),
    HeaderField(
        "step_scale",
        "number",
        number(SCALE_MIN, SCALE_MAX),
        "latent = symbol / units x step of the channel (tokenizer's config, or `steps`) x step_scale",
    ),
    HeaderField(
        "coding", "string", choice(*CODINGS), "`int`: tokens are integers; `lossless`: tokens are float32 latents"
    ),
    HeaderField("threshold", "number or null", or_null(number(0, 1e30)), "the threshold tokens were kept by"),
    HeaderField("keep", "number or null", or_null(number(0, 1)), "the part of the tokens that was asked for"),
    HeaderField(
        "target_bpp",
        "number or null",
        or_null(number(0, 1e30)),
        "the bits per pixel without audio that were asked for; missing: null",
        None,
    ),
    HeaderField(
        "min_psnr",
        "number or null",
        or_null(number(0, 1e30)),
        "the PSNR-Y in dB that was asked for; missing: null",
        None,
    ),
    HeaderField(
        "optimise",
        "string or null",
        or_null(text),
        "what was to be least where tokens were chosen by what they save and cost: `bits` or `tokens`; missing: null",
        None,
        unsaid=True,
    ),
    HeaderField(
        "reference", "string", choice(*REFERENCES), "what differences were taken against: `kept` or `previous`"
    ),
    HeaderField("group_latent_frames", "integer", whole(1, GROUP_LATENT_FRAMES_MAX), "most latent frames of a group"),
    HeaderField("segment_groups", "integer", whole(1, 2**31 - 1), "groups of a normal segment"),
    HeaderField("created_by", "string", text, "program and version that wrote the file"),
    HeaderField(
        "metadata",
        "object or null",
        or_null(record()),
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
    """Raise `MisfitError` when `steps`, `latents`, prior and coding are not as what is required has them."""
    if "adaptive" in found["requires"] and (found["coding"] != "int" or found["prior"] is not None):
        raise MisfitError("`adaptive` is required of a coding of int without a prior alone")
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
