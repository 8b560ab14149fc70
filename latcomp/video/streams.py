"""What a file says about its streams before and beside decoding: which one is the video, its rate, its duration, its
oddities.
"""

import struct
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.sidedata.sidedata import Type as SideDataType
from av.stream import Disposition, Stream
from av.video.stream import VideoStream

from latcomp.errors import NotAVideoError
from latcomp.printable import counted
from latcomp.video.color import MATRIX_RGB, SCALER_MATRIX
from latcomp.video.info import UNSPECIFIED, ColorTags, default_matrix

_FURTHER = "further video"
HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


def time_base_of(stream: VideoStream | AudioStream) -> Fraction:
    """Return the seconds per unit of the stream's times; NotAVideoError where a broken file has none."""
    if not stream.time_base:
        raise NotAVideoError("a stream has no unit of time")
    return Fraction(stream.time_base)


def left_out(container: InputContainer, video: VideoStream) -> Iterator[str]:
    """Yield one line that counts the streams which are not read: all but `video` and audio; nothing when there are
    none.
    """
    counts = Counter(
        _kind_of(stream) for stream in container.streams if stream.index != video.index and stream.type != "audio"
    )
    if container.chapters() and counts["data"] and container.format.name.startswith("mov"):
        counts["data"] -= 1  # the texts of the chapters, which are kept
        counts = +counts
    if counts:
        parts = [counted(count, f"{kind} stream") for kind, count in counts.items()]
        choice = "; video_track chooses another track" if counts[_FURTHER] else ""
        yield f"left out: {', '.join(parts)}{choice}"


def _kind_of(stream: Stream) -> str:
    if stream.type == "video":
        return "cover picture" if stream.disposition & Disposition.attached_pic else _FURTHER
    return str(stream.type)  # subtitle, data, attachment


def is_mirrored(frame: av.VideoFrame) -> bool:
    """Tell whether the display matrix of `frame` turns the picture over, which no angle can say."""
    side_data: Any = frame.side_data  # its stub names other keys than it has
    matrix = side_data.get(SideDataType.DISPLAYMATRIX)
    if matrix is None:
        return False
    a, b, _, c, d, *_ = struct.unpack("=9i", bytes(matrix))
    return bool(a * d - b * c < 0)


def average_rate(stream: VideoStream) -> Fraction | None:
    """Return frames per second over the whole stream, or None where neither the file nor FFmpeg's guess says."""
    rate, guessed = stream.average_rate or stream.guessed_rate, stream.guessed_rate
    if rate and guessed and stream.container.format.name == "avi" and abs(rate - 2 * guessed) < Fraction(1, 100):
        rate = guessed  # H.264 copied to avi by FFmpeg: places for fields, every other one empty
    return Fraction(rate) if rate else None


def counts_late(container: InputContainer, stream: VideoStream) -> bool:
    """Tell whether FFmpeg's presentation times of frames are guesses, and their decoding times those they are shown at.

    avi has no presentation times; for the codecs that may store frames in another order FFmpeg makes them up from what
    it finds in a few frames."""
    return container.format.name == "avi" and stream.codec_context.name in ("h264", "hevc", "vvc")


def duration_of(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Return the duration in seconds that the file declares, or None."""
    if stream.duration is not None and stream.duration > 0:
        return Fraction(stream.duration * time_base_of(stream))
    if container.duration is not None and container.duration > 0:
        return Fraction(container.duration, av.time_base)
    return None


def has_alpha_beside(stream: VideoStream) -> bool:
    """Tell whether a file says that transparency is coded beside the picture, as WebM has it for VP8 and VP9: FFmpeg
    leaves it out.
    """
    return any(name.lower() == "alpha_mode" and text.strip() == "1" for name, text in stream.metadata.items())


def notes_on(frame: av.VideoFrame, tags: ColorTags, *, alpha_beside: bool = False) -> Iterator[str]:
    """Yield a line for each thing about the pixels that does not come through as it was.

    `alpha_beside`: whether there is transparency that is not in the frame.
    """
    pixel_format = frame.format
    deep = max(component.bits for component in pixel_format.components) > 8
    extras = any(
        tag in pixel_format.name for tag in ("444", "440", "422", "yuva", "rgba", "bgra", "gbra", "argb", "abgr")
    )
    if any(component.is_alpha for component in pixel_format.components) or alpha_beside:
        yield "transparency is lost: every pixel is read as opaque"
    if deep or extras:
        yield f"{pixel_format.name} is read as 8-bit RGB, and written as 8-bit 4:2:0 unless another codec is chosen"
    if tags.transfer in HDR_TRANSFERS:
        yield f"HDR ({HDR_TRANSFERS[tags.transfer]}) is kept as tagged but in 8 bits; nothing is tone-mapped"
    if tags.matrix not in SCALER_MATRIX and tags.matrix not in (MATRIX_RGB, UNSPECIFIED):
        yield f"colour matrix {tags.matrix} cannot be converted exactly; {default_matrix(frame.height)} is used instead"
    if frame.interlaced_frame:
        yield "the video is interlaced; its frames are kept woven as they are"


def reason_of(error: Exception) -> str:
    """Return FFmpeg's words for an error without the number and the file name."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return str(words)[:1].lower() + str(words)[1:]
