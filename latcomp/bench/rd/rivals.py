"""What other codecs make of a clip: H.264, H.265 and AV1 through PyAV, at their presets' own settings.

Only preset and CRF are set. GOP, B-frames, tuning and lookahead are the encoders' defaults, as `ffmpeg -c:v NAME
-preset P -crf N` has them; frames carry no picture types, and threads work on whole frames (PyAV's default, slices,
costs x264 bits)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import av
import numpy as np
from av.bitstream import BitStreamFilterContext

from latcomp.bench.rd.source import SourceClip, cropped, frames_in_time, padded, planes_of, tag_context
from latcomp.errors import OutputError
from latcomp.video.streams import reason_of

SVT_CRF_OF_FFMPEG = 63  # SVT-AV1 itself goes up to 70; without those it has no point as low as the others have


@dataclass(frozen=True)
class Rival:
    """One encoder, its preset, and the settings that span the qualities latcomp spans."""

    name: str
    """What the user calls it."""
    encoder: str
    """FFmpeg's name of the encoder."""
    decoder: str
    """FFmpeg's name of the decoder."""
    preset: str
    crfs: tuple[int, ...]
    """Constant rate factors, best quality first."""
    options: dict[str, str] = field(default_factory=dict)
    least_side: int = 2
    """Pixels per side below which frames are padded."""
    text_units: str = ""
    """NAL unit types that hold the encoder's text about itself, which is not counted; empty for none."""

    @property
    def at_hand(self) -> bool:
        """True when this PyAV has encoder and decoder."""
        return {self.encoder, self.decoder} <= av.codecs_available


RIVALS = {
    rival.name: rival
    for rival in (
        Rival("x264", "libx264", "h264", "medium", (15, 20, 25, 30, 35, 40, 45), text_units="6"),
        Rival(
            "x265",
            "libx265",
            "hevc",
            "medium",
            (15, 20, 25, 30, 35, 40, 45),
            options={"x265-params": "log-level=none"},
            least_side=64,  # x265 4.x writes past its buffers when both sides are under a coding unit of 64
            text_units="39-40",
        ),
        Rival(
            "svtav1",
            "libsvtav1",
            "libdav1d",
            "6",
            (15, 25, 35, 45, 55, 60, 65, 70),
            least_side=64,  # SVT-AV1 4.1 does not return from a frame of 130x20
        ),
    )
}


@dataclass(frozen=True)
class Coded:
    """A coded clip."""

    packets: list[av.Packet[Any]] = field(repr=False)
    """In the order of decoding."""
    encode_seconds: float

    @property
    def size_bytes(self) -> int:
        """Bytes of the packets, parameter sets within them, without a container and without text about the encoder."""
        return sum(packet.size for packet in self.packets)


def encode(rival: Rival, clip: SourceClip, crf: int) -> Coded:
    """The clip as the rival codes it. Raises `OutputError` when the encoder refuses it."""
    if rival.encoder == "libsvtav1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes to standard error by itself
    planes = clip.planes
    if clip.width % 2 or clip.height % 2 or min(clip.width, clip.height) < rival.least_side:
        planes = [padded(item, rival.least_side) for item in planes]
    height, width = planes[0][0].shape
    options = {"preset": rival.preset, **rival.options}
    if rival.encoder == "libsvtav1" and crf > SVT_CRF_OF_FFMPEG:
        options["svtav1-params"] = f"crf={crf}"
    else:
        options["crf"] = str(crf)
    began = time.perf_counter()
    try:
        context = _context(rival.encoder, "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.time_base, context.framerate = 1 / clip.rate, clip.rate
        context.options = options
        tag_context(context, clip.color)
        packets = [packet for frame in frames_in_time(planes, clip.rate) for packet in context.encode(frame)]
        packets += context.encode(None)
    except (av.FFmpegError, ValueError) as error:
        raise OutputError(f"{clip.name}: {rival.encoder} failed: {reason_of(error)}") from None
    seconds = time.perf_counter() - began
    return Coded(_without_text(rival, packets), seconds)


def _without_text(rival: Rival, packets: list[av.Packet[Any]]) -> list[av.Packet[Any]]:
    """The packets without the encoder's settings in words: 700 bytes of x264 and 2300 of x265, up to a tenth of a short
    clip.
    """
    if not rival.text_units:
        return packets
    strip = BitStreamFilterContext(f"filter_units=remove_types={rival.text_units}", rival.decoder)
    return [kept for packet in [*packets, None] for kept in strip.filter(packet)]


def _context(name: str, mode: Literal["r", "w"]) -> av.VideoCodecContext:
    """A codec whose threads work on whole frames."""
    context = cast(av.VideoCodecContext, av.CodecContext.create(name, mode))
    context.thread_type = "AUTO"
    return context


def decode(rival: Rival, coded: Coded) -> tuple[list[av.VideoFrame], float]:
    """(frames in order of presentation, seconds). Raises `OutputError` when the decoder refuses them."""
    began = time.perf_counter()
    try:
        context = _context(rival.decoder, "r")
        frames = [frame for packet in coded.packets for frame in context.decode(packet)]
        frames += context.decode(None)
    except av.FFmpegError as error:
        raise OutputError(f"{rival.decoder} cannot read what {rival.encoder} wrote: {reason_of(error)}") from None
    return frames, time.perf_counter() - began


def to_rgb(frames: list[av.VideoFrame], clip: SourceClip) -> Iterator[np.ndarray]:
    """Decoded frames as (H, W, 3) uint8 RGB by the conversion that the clip went through, any padding cut off."""
    for frame in frames:
        yield clip.to_rgb(cropped(planes_of(frame), clip.height, clip.width))
