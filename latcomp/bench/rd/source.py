"""The frames that every codec of a comparison gets: 8-bit 4:2:0, as stored or scaled to a square, and what they are
measured against.

A clip is held in memory whole, so that the seconds of an encoder or decoder are its own and not those of reading.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

from latcomp.errors import LimitError, NotAVideoError, UsageError
from latcomp.video import ColorTags, open_video
from latcomp.video.choice import choose_video
from latcomp.video.color import SCALER_MATRIX, ToRgb, is_rgb
from latcomp.video.info import RANGE_FULL
from latcomp.video.streams import reason_of

PIXELS_MOST = 2**29  # pixels of all frames of a clip; they take 4.5 bytes each, 2.4 GB
SQUARE_LEAST = 16  # pixels per side
_FALLBACK_RATE = Fraction(25)
_STORED = ("yuv420p", "yuvj420p")  # formats whose planes are taken as they are
_SCALER = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP

Planes = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Y (H, W), U and V (ceil(H/2), ceil(W/2)), uint8."""


@dataclass(frozen=True)
class SourceClip:
    """One clip as all codecs see it."""

    name: str
    path: Path
    """A file with exactly these frames, for latcomp to read: the clip itself, or a lossless copy of what was made of
    it.
    """
    planes: list[Planes]
    rgb: list[np.ndarray]
    """The frames as latcomp reads them and as they are measured, (H, W, 3) uint8."""
    width: int
    height: int
    color: ColorTags
    rate: Fraction
    """Frames per second; the other codecs get frames at this even pace whatever their times."""
    to_rgb: LikeFile
    """Planes of this size to what latcomp would read, had the file held them."""

    def __repr__(self) -> str:
        return f"SourceClip({self.name!r}, {len(self.planes)} frames of {self.width}x{self.height})"

    @property
    def pixels(self) -> int:
        """Pixels of all frames: what bits are divided by."""
        return len(self.planes) * self.width * self.height


def read_clip(path: Path, folder: Path, square: int | None = None) -> SourceClip:
    """The clip at `path`; with `square` scaled (bicubic) to that shorter side and cut to the square in its middle.

    folder: where a lossless copy is put for latcomp to read, when the frames are no longer those of the file. Raises
    `NotAVideoError` when the file cannot be read, `LimitError` when it does not fit in memory, `UsageError` for a
    square that is odd or under 16 pixels."""
    if square is not None and (square < SQUARE_LEAST or square % 2):
        raise UsageError(f"square {square} is not an even number from {SQUARE_LEAST} on", settings=("square",))
    with open_video(path, audio=False) as reader:
        info = reader.info
    width, height = (square, square) if square else (info.width, info.height)
    shape = _Shape(info.width, info.height, square, info.color)
    planes: list[Planes] = []
    rate = info.average_rate or _FALLBACK_RATE
    try:
        with av.open(f"file:{path}", "r") as container:
            stream = choose_video(container, str(path))
            stream.thread_type = "AUTO"
            for frame in container.decode(stream):
                planes.append(shape(frame))
                if len(planes) * width * height > PIXELS_MOST:
                    raise LimitError(
                        f"{path}: has more than {PIXELS_MOST // (width * height)} frames of {width}x{height}, and "
                        "clips are held in memory "
                        "to compare codecs: cut it shorter"
                    )
    except (av.FFmpegError, ValueError) as error:
        raise NotAVideoError(f"{path}: cannot be read as video: {reason_of(error)}") from None
    seen = path
    if shape.changed:
        seen = folder / f"{path.stem}.mp4"
        _write_lossless(seen, planes, rate, info.color)
    to_rgb = LikeFile(seen, width, height, info.color)
    return SourceClip(
        path.stem, seen, planes, [to_rgb(item) for item in planes], width, height, info.color, rate, to_rgb
    )


class LikeFile:
    """Turns planes into RGB as frames of one file are turned.

    The scaler goes by where a frame says its chroma lies. H.264 and AV1 say different things of the same planes, and
    PyAV cannot set it, so every frame goes through one that was decoded from the file."""

    def __init__(self, path: Path, width: int, height: int, color: ColorTags) -> None:
        self._convert = ToRgb(width, height, color)
        with av.open(f"file:{path}", "r") as container:
            self._frame = next(container.decode(choose_video(container, str(path))))

    def __call__(self, planes: Planes) -> np.ndarray:
        """(H, W, 3) uint8 RGB of the planes of a frame."""
        _fill(self._frame, planes)
        return self._convert(self._frame)


class _Shape:
    """Turns decoded frames into planes of one size; `changed` says that some were not stored that way."""

    def __init__(self, width: int, height: int, square: int | None, color: ColorTags) -> None:
        self._square, self._color = square, color
        self._size = (width, height)
        if square:
            shorter = min(width, height)
            self._size = (_even(width * square / shorter), _even(height * square / shorter))
        self._scaler = VideoReformatter()
        self.changed = square is not None

    def __call__(self, frame: av.VideoFrame) -> Planes:
        """The planes of a frame."""
        if frame.format.name not in _STORED or (frame.width, frame.height) != self._size:
            self.changed = True
            matrix = SCALER_MATRIX[self._color.matrix]
            full = ColorRange.JPEG if self._color.range == RANGE_FULL else ColorRange.MPEG
            rgb = is_rgb(frame.format)
            frame = self._scaler.reformat(
                frame,
                *self._size,
                format="yuv420p",
                src_colorspace=None if rgb else matrix,
                dst_colorspace=matrix,
                src_color_range=ColorRange.JPEG if rgb else full,
                dst_color_range=full,
                interpolation=_SCALER,
                threads=1,
            )
        planes = planes_of(frame)
        return middle(planes, self._square) if self._square else planes


def _even(side: float) -> int:
    return round(side / 2) * 2


def middle(planes: Planes, side: int) -> Planes:
    """The square of `side` pixels (even) in the middle, moved by a pixel where that keeps chroma in place."""
    height, width = planes[0].shape
    top, left = (height - side) // 4 * 2, (width - side) // 4 * 2
    y, u, v = planes
    half, up, over = side // 2, top // 2, left // 2
    return (
        y[top : top + side, left : left + side],
        u[up : up + half, over : over + half],
        v[up : up + half, over : over + half],
    )


def planes_of(frame: av.VideoFrame) -> Planes:
    """The planes of a 4:2:0 frame, as copies."""
    y, u, v = (_pixels(plane).copy() for plane in frame.planes)
    return y, u, v


def frame_of(planes: Planes) -> av.VideoFrame:
    """A new yuv420p frame of some planes: no time, and no picture type that an encoder would take as an order."""
    height, width = planes[0].shape
    frame = av.VideoFrame(width, height, "yuv420p")
    _fill(frame, planes)
    return frame


def _fill(frame: av.VideoFrame, planes: Planes) -> None:
    """Put other pixels into a frame of the same size."""
    for plane, values in zip(frame.planes, planes, strict=True):
        _pixels(plane)[:] = values


def _pixels(plane: Any) -> np.ndarray:
    """The pixels of a plane of a frame as a view (H, W) that can be written to."""
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


def padded(planes: Planes, least: int) -> Planes:
    """The planes with edges repeated to even sides of at least `least` pixels: what encoders of 4:2:0 ask for."""
    height, width = planes[0].shape
    tall, wide = (max(least, side + side % 2) for side in (height, width))

    def grown(plane: np.ndarray, rows: int, columns: int) -> np.ndarray:
        return np.pad(plane, ((0, rows - plane.shape[0]), (0, columns - plane.shape[1])), mode="edge")

    y, u, v = planes
    return grown(y, tall, wide), grown(u, tall // 2, wide // 2), grown(v, tall // 2, wide // 2)


def cropped(planes: Planes, height: int, width: int) -> Planes:
    """The top left part of some planes: `padded` undone."""
    y, u, v = planes
    down, across = -(-height // 2), -(-width // 2)
    return y[:height, :width], u[:down, :across], v[:down, :across]


def _write_lossless(path: Path, planes: list[Planes], rate: Fraction, color: ColorTags) -> None:
    """The frames as FFV1 in mp4, which keeps 4:2:0 of any size bit for bit, its tags and even times."""
    height, width = planes[0][0].shape
    with av.open(f"file:{path}", "w") as container:
        stream = container.add_stream("ffv1", rate=rate, options={"level": "1"} if width < 16 else {})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        tag_context(stream.codec_context, color)
        for frame in frames_in_time(planes, rate):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def tag_context(context: av.VideoCodecContext, color: ColorTags) -> None:
    """Give an encoder the colour tags of the clip."""
    context.colorspace, context.color_range = color.matrix, color.range
    context.color_primaries, context.color_trc = color.primaries, color.transfer


def frames_in_time(planes: list[Planes], rate: Fraction) -> Iterator[av.VideoFrame]:
    """Frames of the planes, one a unit of 1/rate seconds."""
    for index, item in enumerate(planes):
        frame = frame_of(item)
        frame.pts, frame.time_base = index, 1 / rate
        yield frame
