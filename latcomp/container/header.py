"""The header of a .lat file, declared as data: one list of fields drives writing, reading, printing and validation."""

from __future__ import annotations

import json
import math
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from latcomp.container.format import CRC, MAGIC, PRELUDE, VERSION
from latcomp.container.limits import Limits
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError, UsageError

Rational = tuple[int, int]
CODINGS = ("int", "lossless")
REFERENCES = ("kept", "previous")
NUMBER_MAX = 2**31 - 1  # of rationals, as FFmpeg has them
GROUP_FRAMES_MAX = 2**16 - 1  # a group's frame count is stored in two bytes
GROUP_LATENT_FRAMES_MAX = 255
AUDIO_STREAMS_MAX = 256  # an audio chunk says its stream in one byte
NUMBER_BYTES = 4  # of a symbol or latent in memory


class _Misfit(ValueError):
    """A value that does not belong into its field; becomes a named error where the file or the caller is known."""


UNITS = (1, 2, 4)


def _whole(low: int, high: int) -> Callable[[Any], int]:
    def check(value: Any) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise _Misfit(f"{value!r:.60} is not a whole number from {low} to {high}")
        return value

    return check


def _units(value: Any) -> int:
    if _whole(1, max(UNITS))(value) not in UNITS:
        raise _Misfit(f"{value!r:.60} is not 1, 2 or 4")
    return int(value)


def _number(low: float, high: float) -> Callable[[Any], float]:
    def check(value: Any) -> float:
        if not isinstance(value, int | float) or isinstance(value, bool) or not low <= value <= high:
            raise _Misfit(f"{value!r:.60} is not a number from {low:g} to {high:g}")
        return float(value)

    return check


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 1000:
        raise _Misfit(f"{value!r:.60} is not a text of at most 1000 letters")
    return value


def _choice(*names: str) -> Callable[[Any], str]:
    def check(value: Any) -> str:
        if value not in names:
            raise _Misfit(f"{value!r:.60} is not one of {', '.join(names)}")
        return str(value)

    return check


def _rational(low: int) -> Callable[[Any], Rational]:
    def check(value: Any) -> Rational:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise _Misfit(f"{value!r:.60} is not a pair of whole numbers")
        return _whole(low, NUMBER_MAX)(value[0]), _whole(1, NUMBER_MAX)(value[1])

    return check


def _sha256(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
        raise _Misfit(f"{value!r:.80} is not a SHA-256 in hexadecimal")
    return value


def _record(**members: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    return _members(members, ())


def _model(**members: Callable[[Any], Any]) -> Callable[[Any], dict[str, Any]]:
    """What names a model, and more members; files of before there were fingerprints have none."""
    return _members({"name": _text, "sha256": _sha256, "fingerprint": _sha256, **members}, ("fingerprint",))


def _members(members: dict[str, Callable[[Any], Any]], maybe: tuple[str, ...]) -> Callable[[Any], dict[str, Any]]:
    def check(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise _Misfit(f"{value!r:.60} is not an object")
        for name, member in members.items():
            if name not in value:
                if name in maybe:
                    continue
                raise _Misfit(f"{name} is missing")
            try:
                member(value[name])
            except _Misfit as error:
                raise _Misfit(f"{name}: {error}") from None
        return dict(value)

    return check


def _objects(value: Any) -> list[dict[str, Any]]:
    if not isinstance(value, list | tuple) or not all(isinstance(item, dict) for item in value):
        raise _Misfit(f"{value!r:.60} is not a list of objects")
    if len(value) > AUDIO_STREAMS_MAX:
        raise _Misfit(f"{len(value)} streams, there may be {AUDIO_STREAMS_MAX}")
    return list(value)


def _streams(value: Any) -> list[dict[str, Any]]:
    """Audio streams. Their members are the video side's business; those that count or measure must do so for every reader."""
    streams = _objects(value)
    for number, stream in enumerate(streams):
        for name, check in _STREAM_NUMBERS.items():
            if name in stream:
                try:
                    check(stream[name])
                except _Misfit as error:
                    raise _Misfit(f"{name} of stream {number}: {error}") from None
    return streams


_STREAM_NUMBERS = {"time_base": _rational(1), "sample_rate": _whole(0, NUMBER_MAX), "channels": _whole(0, NUMBER_MAX)}


def _or_null(check: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: None if value is None else check(value)


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


SIDE_MAX = 2**24

HEADER_FIELDS = (
    HeaderField("width", "integer", _whole(1, SIDE_MAX), "frame width in pixels, as stored (before rotation)"),
    HeaderField("height", "integer", _whole(1, SIDE_MAX), "frame height in pixels"),
    HeaderField("time_base", "[integer, integer]", _rational(1), "seconds of one pts unit: numerator, denominator"),
    HeaderField(
        "average_rate", "[integer, integer] or null", _or_null(_rational(0)), "frames a second as the source declared; 0: not known"
    ),
    HeaderField("sample_aspect_ratio", "[integer, integer]", _rational(0), "width over height of one pixel; a width of 0: square"),
    HeaderField("rotation", "integer", _whole(-360, 360), "degrees by which a player turns the picture"),
    HeaderField(
        "color", "object",
        _record(**dict.fromkeys(("primaries", "transfer", "matrix", "range"), _whole(0, 2**15))),
        "colour tags in FFmpeg's numbering: primaries, transfer, matrix, range",
    ),
    HeaderField("audio", "[object, ...]", _streams, "one object an audio stream (at most 256), made and understood by the video side"),
    HeaderField(
        "tokenizer", "object",
        _model(channels=_whole(1, 2**16), spatial=_whole(1, 256), temporal=_whole(1, 256)),
        "the tokenizer: name, sha256 of its weights, fingerprint, channels, pixels a position (spatial), frames a latent frame (temporal)",
    ),
    HeaderField(
        "lit", "object or null", _or_null(_model()), "the LIT: name, sha256 of its weights, fingerprint"
    ),
    HeaderField(
        "prior", "object or null", _or_null(_model()),
        "the prior that tokens and masks are coded under: name, sha256 of its weights, fingerprint; missing: null", None,
    ),
    HeaderField("units", "integer", _units, "whole units of a symbol that make a step: 1, 2 or 4; missing: 1", 1),
    HeaderField("quality", "number or null", _or_null(_number(-1000, 1000)), "the quality that was asked for"),
    HeaderField(
        "step_scale", "number", _number(1e-12, 1e12),
        "latent = symbol / units x step of the channel (tokenizer's config) x step_scale",
    ),
    HeaderField("coding", "string", _choice(*CODINGS), "`int`: tokens are integers; `lossless`: tokens are float32 latents"),
    HeaderField("threshold", "number or null", _or_null(_number(0, 1e30)), "the threshold tokens were kept by"),
    HeaderField("keep", "number or null", _or_null(_number(0, 1)), "the part of the tokens that was asked for"),
    HeaderField(
        "target_bpp", "number or null", _or_null(_number(0, 1e30)),
        "the bits a pixel without audio that were asked for; missing: null", None,
    ),
    HeaderField(
        "min_psnr", "number or null", _or_null(_number(0, 1e30)), "the PSNR-Y in dB that was asked for; missing: null", None
    ),
    HeaderField("reference", "string", _choice(*REFERENCES), "what differences were taken against: `kept` or `previous`"),
    HeaderField("group_latent_frames", "integer", _whole(1, GROUP_LATENT_FRAMES_MAX), "most latent frames of a group"),
    HeaderField("segment_groups", "integer", _whole(1, 2**31 - 1), "groups of a normal segment"),
    HeaderField("created_by", "string", _text, "program and version that wrote the file"),
    HeaderField(
        "metadata", "object or null", _or_null(_record()),
        "what the source said of itself in words: section 3.1; missing: null", None, unsaid=True,
    ),
)  # fmt: skip

VIDEO_FIELDS = ("width", "height", "time_base", "average_rate", "sample_aspect_ratio", "rotation", "color", "audio", "metadata")


@dataclass(frozen=True)
class Header:
    """What a .lat file says once, before its chunks. `HEADER_FIELDS` gives kind, range and meaning of each member."""

    width: int
    height: int
    time_base: Rational
    average_rate: Rational | None
    sample_aspect_ratio: Rational
    rotation: int
    color: dict[str, int]
    audio: list[dict[str, Any]]
    tokenizer: dict[str, Any]
    lit: dict[str, Any] | None
    quality: float | None
    step_scale: float
    coding: str
    threshold: float | None
    keep: float | None
    reference: str
    group_latent_frames: int
    segment_groups: int
    created_by: str
    prior: dict[str, Any] | None = None
    units: int = 1
    target_bpp: float | None = None
    min_psnr: float | None = None
    metadata: dict[str, Any] | None = None

    def __post_init__(self) -> None:
        """Raise `UsageError` naming the member when a value does not fit."""
        try:
            values = _checked({field.name: getattr(self, field.name) for field in fields(self)})
        except _Misfit as error:
            raise UsageError(f"header: {error}") from None
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def channels(self) -> int:
        """Latent channels C."""
        return int(self.tokenizer["channels"])

    @property
    def temporal(self) -> int:
        """Frames of one latent frame."""
        return int(self.tokenizer["temporal"])

    @property
    def grid(self) -> tuple[int, int]:
        """(h, w): rows and columns of positions."""
        spatial = int(self.tokenizer["spatial"])
        return -(-self.height // spatial), -(-self.width // spatial)

    def video_fields(self) -> dict[str, Any]:
        """The members that the video side makes and understands, by name."""
        return {name: getattr(self, name) for name in VIDEO_FIELDS}

    def to_dict(self) -> dict[str, Any]:
        """The JSON object, in the order of `HEADER_FIELDS`, without what is left unsaid."""
        values = {field.name: getattr(self, field.name) for field in HEADER_FIELDS}
        return {field.name: values[field.name] for field in HEADER_FIELDS if not (field.unsaid and values[field.name] == field.default)}


def _checked(values: dict[str, Any]) -> dict[str, Any]:
    """Python values of a header's members. Members that this version does not know are left out."""
    found: dict[str, Any] = {}
    for field in HEADER_FIELDS:
        value = values.get(field.name, field.default)
        if value is REQUIRED:
            raise _Misfit(f"{field.name} is missing")
        try:
            found[field.name] = field.check(value)
        except _Misfit as error:
            raise _Misfit(f"{field.name}: {error}") from None
    if found["prior"] is None and found["units"] != 1:
        raise _Misfit("units of a step need a prior")
    if found["prior"] is not None and found["coding"] != "int":
        raise _Misfit("a prior is for a coding of int")
    tokenizer = found["tokenizer"]
    if found["group_latent_frames"] * tokenizer["temporal"] > GROUP_FRAMES_MAX:
        raise _Misfit(f"a group of {found['group_latent_frames']} latent frames has more than {GROUP_FRAMES_MAX} frames")
    return found


def pack_header(header: Header) -> bytes:
    """The bytes before the first chunk: prelude, header frame, CRC-32 of both."""
    try:
        text = json.dumps(header.to_dict(), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(f"the header cannot be written as JSON: {error}") from None
    frame = compress(text.encode("utf-8"))
    most = Limits().max_header_bytes
    if len(frame) > most or len(text.encode("utf-8")) > most:
        raise LimitError(f"the header takes {len(text)} bytes, a .lat file holds {most}")
    front = PRELUDE.pack(magic=MAGIC, version=VERSION, header_bytes=len(frame)) + frame
    return front + CRC.pack(crc=zlib.crc32(front))


def header_length(prelude: bytes, limits: Limits) -> int:
    """Bytes of header frame and CRC-32 that follow the prelude.

    Raises `DamagedFileError` when this is no .lat file, `UnsupportedFileError` for another version, `LimitError` for an absurd length.
    """
    if len(prelude) < PRELUDE.size or prelude[: len(MAGIC)] != MAGIC:
        if not prelude:
            raise DamagedFileError("not a .lat file: it is empty")
        cut = MAGIC.startswith(prelude[: len(MAGIC)])
        raise DamagedFileError("a .lat file cut off inside its first bytes" if cut else "not a .lat file")
    found = PRELUDE.unpack(prelude)
    if found["version"] != VERSION:
        raise UnsupportedFileError(
            f"a .lat file of format version {found['version']}; this latcomp reads version {VERSION}: use a newer latcomp"
        )
    if found["header_bytes"] > limits.max_header_bytes:
        raise LimitError(f"the header claims {found['header_bytes']} bytes, {limits.max_header_bytes} are allowed (raise with --max-bytes)")
    return found["header_bytes"] + CRC.size


def unpack_header(prelude: bytes, rest: bytes, limits: Limits) -> Header:
    """The header of prelude and what follows it (frame and CRC-32).

    Raises `DamagedFileError` when cut off, damaged or not as declared, `UnsupportedFileError` for a coding that is not known, `LimitError`
    for sizes above the limits.
    """
    expected = header_length(prelude, limits)
    if len(rest) < expected:
        raise DamagedFileError(f"the file is cut off inside its header ({len(rest)} of {expected} bytes)")
    frame = rest[: expected - CRC.size]
    if CRC.unpack(rest, len(frame))["crc"] != zlib.crc32(frame, zlib.crc32(prelude)):
        raise DamagedFileError("the header is damaged (CRC-32)")
    text = decompress(frame, limits.max_header_bytes, "header")
    try:
        values = json.loads(text.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"the header is not JSON: {error}") from None
    if not isinstance(values, dict):
        raise DamagedFileError("the header is not a JSON object")
    for name, known in (("coding", CODINGS), ("reference", REFERENCES)):
        if isinstance(values.get(name), str) and values[name] not in known:
            raise UnsupportedFileError(f"the file uses the {name} {values[name]!r:.40}: use a newer latcomp")
    try:
        header = Header(**_checked(values))
    except _Misfit as error:
        raise DamagedFileError(f"the header is damaged: {error}") from None
    check_header_limits(header, limits)
    return header


def check_header_limits(header: Header, limits: Limits) -> None:
    """Raise `LimitError` when the header claims more than the limits allow."""
    pixels = header.width * header.height
    if pixels > limits.max_pixels:
        raise LimitError(
            f"{header.width}x{header.height} is {pixels} pixels a frame, {limits.max_pixels} are allowed (raise with --max-pixels)"
        )
    rows, columns = header.grid
    tokens = header.group_latent_frames * rows * columns
    shape = f"a group of {header.group_latent_frames} latent frames of {rows} x {columns}"
    if tokens > limits.max_group_tokens:
        raise LimitError(f"{shape} has {tokens} tokens, {limits.max_group_tokens} are allowed (raise with --max-tokens)")
    size = tokens * header.channels * NUMBER_BYTES
    if size > limits.max_group_bytes:
        raise LimitError(
            f"{shape} and {header.channels} channels takes {size} bytes, {limits.max_group_bytes} are allowed (raise with --max-bytes)"
        )


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a JSON number")


def describe(header: Header) -> list[tuple[str, str]]:
    """(name, value) in words of every member, for people."""
    return [(field.name, _words(getattr(header, field.name))) for field in HEADER_FIELDS]


def _words(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    if isinstance(value, tuple):
        return "/".join(str(part) for part in value)
    if isinstance(value, dict):
        return ", ".join(f"{name} {part}" for name, part in value.items())
    if isinstance(value, list):
        return f"{len(value)}" if value else "none"
    return str(value)
