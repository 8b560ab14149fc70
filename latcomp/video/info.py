"""What a video is beside its pixels: `VideoInfo`, `AudioInfo`, `ColorTags`, and the JSON they become in a .lat
header.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np

from latcomp.errors import DamagedFileError
from latcomp.video import ebml
from latcomp.video.metadata import Metadata

UNSPECIFIED = 2  # FFmpeg's number for "not said" in primaries, transfer and matrix
FALLBACK_RATE = Fraction(25)
"""Frames per second where a source does not say how many it has."""
RANGE_UNSPECIFIED, RANGE_LIMITED, RANGE_FULL = 0, 1, 2
MATRIX_BT709, MATRIX_SMPTE170M = 1, 6


@dataclass(frozen=True)
class ColorTags:
    """The four colour tags of a video stream, numbered as FFmpeg does (ITU-T H.273; range: 0 not said, 1 limited, 2
    full).
    """

    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED
    matrix: int = UNSPECIFIED
    range: int = RANGE_UNSPECIFIED


def default_matrix(height: int) -> int:
    """Return the matrix (FFmpeg's number) that YUV without a tag is taken to have."""
    return MATRIX_SMPTE170M if height < 720 else MATRIX_BT709


@dataclass(frozen=True)
class AudioInfo:
    """One audio stream whose packets are copied: enough to write it again without the file it came from."""

    codec: str
    """FFmpeg's name of the codec, such as `aac`."""
    sample_rate: int
    """Samples a second."""
    channels: int
    layout: str
    """FFmpeg's name of the channel layout, such as `stereo`."""
    time_base: Fraction
    """Seconds per unit of the packets' times."""
    language: str | None
    """The language tag of the source, such as `eng`."""
    setup: bytes = field(repr=False)
    """The codec parameters with their extradata, as the header of a container that holds only this stream
    (`audio.py`).
    """


@dataclass(frozen=True)
class VideoInfo:
    """What a reader says about its video, and what a writer needs to write it again."""

    width: int
    """Stored pixels a row, before any rotation."""
    height: int
    """Stored rows, before any rotation."""
    time_base: Fraction
    """Seconds per unit of the frames' pts."""
    average_rate: Fraction | None
    """Frames per second over the whole stream; None where the file does not say."""
    sample_aspect_ratio: Fraction
    """Width of a pixel over its height; 1 where the file does not say."""
    rotation_degrees: int
    """Counter-clockwise turn a player applies before showing a frame; 0 when none."""
    color: ColorTags
    """Tags with matrix and range always said: where the source was silent, what was assumed for it."""
    audio: tuple[AudioInfo, ...] = ()
    frames_estimate: int | None = None
    """Frames to expect, from the file's own words; None when it has none."""
    duration_seconds: float | None = None
    metadata: Metadata = field(default_factory=Metadata)
    """What the file says in words."""
    notes: tuple[str, ...] = field(default=(), compare=False)
    """What was converted, assumed or dropped on opening: one line each, for people."""

    def to_header_fields(self) -> dict[str, Any]:
        """Return the part of a .lat header that describes this video, as JSON-able values."""
        return {
            "width": self.width,
            "height": self.height,
            "time_base": _pair(self.time_base),
            "average_rate": None if self.average_rate is None else _pair(self.average_rate),
            "sample_aspect_ratio": _pair(self.sample_aspect_ratio),
            "rotation": self.rotation_degrees,
            "color": {
                "primaries": self.color.primaries,
                "transfer": self.color.transfer,
                "matrix": self.color.matrix,
                "range": self.color.range,
            },
            "audio": [_audio_to_json(stream) for stream in self.audio],
            "metadata": self.metadata.to_json(),
        }

    @classmethod
    def from_header_fields(cls, fields: dict[str, Any]) -> "VideoInfo":
        """Return the VideoInfo that `to_header_fields` described; DamagedFileError when a value makes no sense."""
        try:
            color = fields["color"]
            rate = fields["average_rate"]
            info = cls(
                width=int(fields["width"]),
                height=int(fields["height"]),
                time_base=_positive(fields["time_base"]),
                average_rate=None if rate is None or rate[0] == 0 else _positive(rate),  # a rate of 0 is not known
                sample_aspect_ratio=_square_if_unsaid(fields["sample_aspect_ratio"]),
                rotation_degrees=int(fields["rotation"]),
                color=ColorTags(*(int(color[k]) for k in ("primaries", "transfer", "matrix", "range"))),
                audio=tuple(_audio_from_json(stream) for stream in fields["audio"]),
                metadata=Metadata.from_json(fields.get("metadata")),
            )
        except (KeyError, TypeError, AttributeError, ValueError, ArithmeticError) as error:
            raise DamagedFileError(f"the header's description of the video makes no sense: {error!r}") from error
        if info.width < 1 or info.height < 1:
            raise DamagedFileError(f"the header declares a video of {info.width}x{info.height} pixels")
        return info


@dataclass(frozen=True)
class Frame:
    """One picture and its presentation time."""

    pixels: np.ndarray
    """uint8 RGB, shape (H, W, 3)."""
    pts: int
    """Presentation time in units of `VideoInfo.time_base`."""

    def __repr__(self) -> str:
        return f"Frame(pixels={self.pixels.shape}, pts={self.pts})"


@dataclass(frozen=True)
class AudioPacket:
    """One packet of compressed audio, times in units of its `AudioInfo.time_base`."""

    stream: int
    """Index into `VideoInfo.audio`."""
    pts: int | None
    dts: int | None
    duration: int
    is_keyframe: bool
    data: bytes
    unheard_samples: int = 0
    """Samples at its end that a player throws away: a codec's last packet is filled up to its length."""

    def __repr__(self) -> str:
        return f"AudioPacket(stream={self.stream}, pts={self.pts}, {len(self.data)} bytes)"


def check_setups(info: VideoInfo) -> None:
    """Raise `DamagedFileError` when the parameters of an audio stream are no head of a Matroska or WAV file.

    Without PyAV, which alone can tell whether such a head is right: so that who only checks a file refuses what cannot
    be decoded."""
    for number, stream in enumerate(info.audio):
        if not any(stream.setup.startswith(magic) and inside in stream.setup for magic, inside in _SETUP_MARKS):
            raise DamagedFileError(f"the parameters of audio stream {number} are no head of a Matroska or WAV file")


_SETUP_MARKS = ((ebml.MAGIC, ebml.TRACKS), (b"RIFF", b"fmt "))  # how a file begins, and what it has of its track


def _pair(value: Fraction) -> list[int]:
    return [value.numerator, value.denominator]


def _square_if_unsaid(pair: Any) -> Fraction:
    """A sample aspect ratio; FFmpeg's word for one that is not said is a numerator of 0."""
    return Fraction(1) if pair[0] == 0 else _positive(pair)


def _positive(pair: Any) -> Fraction:
    numerator, denominator = pair
    value = Fraction(int(numerator), int(denominator))
    if value <= 0:
        raise ValueError(f"{numerator}/{denominator} is not positive")
    return value


def _audio_to_json(stream: AudioInfo) -> dict[str, Any]:
    return {
        "codec": stream.codec,
        "sample_rate": stream.sample_rate,
        "channels": stream.channels,
        "layout": stream.layout,
        "time_base": _pair(stream.time_base),
        "language": stream.language,
        "setup": stream.setup.hex(),
    }


def _audio_from_json(fields: dict[str, Any]) -> AudioInfo:
    language = fields.get("language")
    return AudioInfo(
        codec=str(fields["codec"]),
        sample_rate=int(fields["sample_rate"]),
        channels=int(fields["channels"]),
        layout=str(fields["layout"]),
        time_base=_positive(fields["time_base"]),
        language=None if language is None else str(language),
        setup=bytes.fromhex(fields["setup"]),
    )
