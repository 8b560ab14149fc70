"""The header of a .lat file: the object of its members, its bytes before the first chunk, and its words for people."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from latcomp.container.format import CRC, MAGIC, PRELUDE, REQUIREMENTS, VERSION, VERSION_REQUIRING
from latcomp.container.header_fields import CODINGS, HEADER_FIELDS, LATENTS_WORDS, REFERENCES, VIDEO_FIELDS, checked
from latcomp.container.header_values import MisfitError, Rational
from latcomp.container.limits import Limits
from latcomp.container.zstd import compress, decompress
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError, UsageError
from latcomp.latents import Box, GroupView
from latcomp.latents.frame_rule import FrameRule

NUMBER_BYTES = 4  # of a symbol or latent in memory


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
    requires: tuple[str, ...] = ()
    steps: dict[str, Any] | None = None
    latents: dict[str, Any] | None = None
    optimise: str | None = None

    def __post_init__(self) -> None:
        """Raise `UsageError` naming the member when a value does not fit."""
        try:
            values = checked({field.name: getattr(self, field.name) for field in fields(self)})
        except MisfitError as error:
            raise UsageError(f"header: {error}") from None
        for name, value in values.items():
            object.__setattr__(self, name, value)

    @property
    def version(self) -> int:
        """Format version of the file."""
        return VERSION_REQUIRING if self.requires else VERSION

    @property
    def channels(self) -> int:
        """Latent channels C."""
        return int(self.tokenizer["channels"])

    @property
    def temporal(self) -> int:
        """Frames of one latent frame."""
        return int(self.tokenizer["temporal"])

    def rule_of(self, key: bool) -> FrameRule:
        """The frame rule of a group. key: whether it starts a segment, and with it a stream of the tokenizer."""
        rule = FrameRule(self.temporal, int(self.tokenizer.get("first_frames", self.temporal)))
        return rule if key else rule.inside

    def view_of(self, key: bool, frames: int, offsets: np.ndarray | None) -> GroupView:
        """What a group of so many frames shows of the world. key: whether it starts a segment; offsets: (frames, 2) of
        the camera, None where every frame is at the world's corner."""
        rule = self.rule_of(key)
        if offsets is None:
            return GroupView.whole(rule.latent_frames(frames), self.grid)
        return GroupView.of(offsets, rule, self.height, self.width, int(self.tokenizer["spatial"]))

    def window_of(self, offsets: np.ndarray | None) -> Box:
        """The rectangle around all that frames at these offsets show; found without making anything for it."""
        if offsets is None:
            return Box(0, 0, *self.grid)
        ends = [(int(end[0]), int(end[1])) for end in (offsets.min(axis=0), offsets.max(axis=0))]
        return Box.around(Box.shown(end, self.height, self.width, int(self.tokenizer["spatial"])) for end in ends)

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
        return {
            field.name: values[field.name]
            for field in HEADER_FIELDS
            if not (field.unsaid and values[field.name] == field.default)
        }


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
    front = PRELUDE.pack(magic=MAGIC, version=header.version, header_bytes=len(frame)) + frame
    return front + CRC.pack(crc=zlib.crc32(front))


def header_length(prelude: bytes, limits: Limits) -> int:
    """Bytes of header frame and CRC-32 that follow the prelude.

    Raises `DamagedFileError` when this is no .lat file, `UnsupportedFileError` for another version, `LimitError` for an
    absurd length."""
    if len(prelude) < PRELUDE.size or prelude[: len(MAGIC)] != MAGIC:
        if not prelude:
            raise DamagedFileError("not a .lat file: it is empty")
        cut = MAGIC.startswith(prelude[: len(MAGIC)])
        raise DamagedFileError("a .lat file cut off inside its first bytes" if cut else "not a .lat file")
    found = PRELUDE.unpack(prelude)
    if found["version"] not in (VERSION, VERSION_REQUIRING):
        raise UnsupportedFileError(
            f"a .lat file of format version {found['version']}; this latcomp reads versions {VERSION} and "
            f"{VERSION_REQUIRING}: use a newer latcomp"
        )
    if found["header_bytes"] > limits.max_header_bytes:
        raise LimitError(
            f"the header claims {found['header_bytes']} bytes, {limits.max_header_bytes} are allowed "
            "(raise with max_header_bytes)",
            settings=("max_header_bytes",),
        )
    return found["header_bytes"] + CRC.size


def unpack_header(prelude: bytes, rest: bytes, limits: Limits) -> Header:
    """The header of prelude and what follows it (frame and CRC-32).

    Raises `DamagedFileError` when cut off, damaged or not as declared, `UnsupportedFileError` for a coding or a
    requirement that is not known, `LimitError` for sizes above the limits."""
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
    _refuse_unknown_requirements(values.get("requires"))
    _refuse_unknown_words(values, {"coding": CODINGS, "reference": REFERENCES})
    if isinstance(values.get("latents"), dict):
        _refuse_unknown_words(values["latents"], LATENTS_WORDS)
    try:
        header = Header(**checked(values))
    except MisfitError as error:
        raise DamagedFileError(f"the header is damaged: {error}") from None
    version = PRELUDE.unpack(prelude)["version"]
    if version != header.version:
        raise DamagedFileError(f"the header is damaged: it is one of format version {header.version}, not {version}")
    check_header_limits(header, limits)
    return header


def _refuse_unknown_requirements(requires: Any) -> None:
    """Raise `UnsupportedFileError` naming what a header requires of its readers and this one does not know."""
    for name in requires if isinstance(requires, list) else ():
        if isinstance(name, str) and name not in REQUIREMENTS:
            raise UnsupportedFileError(
                f"the file requires {name!r:.40}, which this latcomp does not know: use a newer one"
            )


def _refuse_unknown_words(values: dict[str, Any], known: dict[str, tuple[str, ...]]) -> None:
    """Raise `UnsupportedFileError` naming a word of a header that this version does not know. known: words by
    member."""
    for name, words in known.items():
        if isinstance(values.get(name), str) and values[name] not in words:
            raise UnsupportedFileError(f"the file uses the {name} {values[name]!r:.40}: use a newer latcomp")


def check_header_limits(header: Header, limits: Limits) -> None:
    """Raise `LimitError` when the header claims more than the limits allow."""
    pixels = header.width * header.height
    if pixels > limits.max_pixels:
        raise LimitError(
            f"{header.width}x{header.height} is {pixels} pixels per frame, {limits.max_pixels} are allowed "
            "(raise with max_pixels)",
            settings=("max_pixels",),
        )
    rows, columns = header.grid
    tokens = header.group_latent_frames * rows * columns
    shape = f"a group of {header.group_latent_frames} latent frames of {rows} x {columns}"
    check_group_limits(shape, tokens, header.channels, limits)


def check_group_limits(what: str, tokens: int, channels: int, limits: Limits) -> None:
    """Raise `LimitError` when a group has more tokens, or numbers in them, than the limits allow. what: the group in
    words."""
    if tokens > limits.max_group_tokens:
        raise LimitError(
            f"{what} has {tokens} tokens, {limits.max_group_tokens} are allowed (raise with max_group_tokens)",
            settings=("max_group_tokens",),
        )
    size = tokens * channels * NUMBER_BYTES
    if size > limits.max_group_bytes:
        raise LimitError(
            f"{what} and {channels} channels takes {size} bytes, {limits.max_group_bytes} are allowed "
            "(raise with max_group_bytes)",
            settings=("max_group_bytes",),
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
        return "/".join(str(part) for part in value) or "none"
    if isinstance(value, dict):
        return ", ".join(
            f"{name} {f'of {len(part)}' if isinstance(part, list) else part}" for name, part in value.items()
        )
    if isinstance(value, list):
        return f"{len(value)}" if value else "none"
    return str(value)
