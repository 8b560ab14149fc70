"""Makes the small videos that the tests of the video room read, with PyAV alone (never with the code under test)."""

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from latcomp.video import AudioPacket, Frame, VideoInfo, VideoReader, open_video, open_writer

MATRICES = {1: Colorspace.ITU709, 5: Colorspace.ITU601, 6: Colorspace.ITU601, 9: Colorspace.BT2020}


def pictures(count: int, width: int = 64, height: int = 48) -> list[np.ndarray]:
    """Smooth pictures (H, W, 3) that drift: each differs from its neighbours, and survives lossy coding well."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float64)
    made = []
    for i in range(count):
        planes = [np.sin(x / 9 + i * 0.9), np.cos(y / 7 - i * 0.5), np.sin((x + y) / 11 + i * 0.7)]
        made.append(np.stack([128 + 60 * p for p in planes], axis=-1).astype(np.uint8))
    return made


def flat(color: tuple[int, int, int], width: int = 64, height: int = 48) -> np.ndarray:
    """One picture of a single colour."""
    return np.full((height, width, 3), color, np.uint8)


def write(
    target: Path | BinaryIO,
    frames: Sequence[np.ndarray],
    *,
    format: str | None = None,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 12800),
    rate: Fraction = Fraction(25),
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    rotation: int = 0,
    pixel_aspect: Fraction | None = None,
    convert_as: int = 6,
    full_range: bool = False,
    tags: tuple[int, int, int] | None = None,
    audio: str | None = None,
    audio_rate: int = 48000,
    interlaced: bool = False,
) -> None:
    """Write a video; `convert_as` is the matrix of the pixels, `tags` (primaries, transfer, matrix) what the file
    says.
    """
    place: Any = str(target) if isinstance(target, Path) else target
    container = av.open(place, "w", format=format, container_options=container_options or {})
    height, width = frames[0].shape[:2]
    if options is None:
        options = {"crf": "1", "preset": "veryfast"} if codec == "libx264" else {}
    stream = container.add_stream(codec, rate=rate, options=options)
    stream.width, stream.height, stream.pix_fmt = width, height, pixel_format
    stream.codec_context.time_base = stream.time_base = time_base
    if pixel_aspect is not None:
        stream.codec_context.sample_aspect_ratio = pixel_aspect
    if rotation:
        stream.set_display_rotation(rotation)
    if tags is not None:
        stream.codec_context.color_primaries, stream.codec_context.color_trc, stream.codec_context.colorspace = tags
    if full_range:
        stream.codec_context.color_range = ColorRange.JPEG
    sound = None
    if audio is not None:
        sound = container.add_stream(audio, rate=audio_rate)
        sound.codec_context.layout = "stereo"
    if pts is None:
        step = round(1 / rate / time_base)
        pts = [i * step for i in range(len(frames))]
    container.start_encoding()
    if sound is not None:
        seconds = float((pts[-1] - pts[0]) * time_base + 1 / rate)
        _write_tone(container, sound, seconds, audio_rate)
    for picture, time in zip(frames, pts, strict=True):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
        rgb_out = av.VideoFormat(pixel_format, 16, 16).is_rgb
        frame = frame.reformat(
            format=pixel_format,
            dst_colorspace=None if rgb_out else MATRICES[convert_as],
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG if full_range or rgb_out else ColorRange.MPEG,
        )
        frame.pts, frame.time_base = time, time_base
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))
    container.close()


def _write_tone(container: Any, stream: Any, seconds: float, rate: int) -> None:
    samples = max(1, round(seconds * rate))
    tone = (8000 * np.sin(np.arange(samples) * 2 * np.pi * 440 / rate)).astype(np.int16)
    for start in range(0, samples, 1024):
        chunk = np.repeat(tone[start : start + 1024], 2)[None]
        frame = av.AudioFrame.from_ndarray(chunk, format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = rate, start, Fraction(1, rate)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def read(source: Any, **settings: Any) -> tuple[VideoReader, list[Frame], list[AudioPacket]]:
    """Read a video whole: its reader (closed), frames and audio packets."""
    with open_video(source, **settings) as reader:
        items = list(reader)
    return reader, [i for i in items if isinstance(i, Frame)], [i for i in items if isinstance(i, AudioPacket)]


def copy(
    source: Any,
    target: Any,
    *,
    info: VideoInfo | None = None,
    read_settings: dict[str, Any] | None = None,
    **settings: Any,
) -> Any:
    """Send a video through reader and writer; returns the closed writer."""
    with (
        open_video(source, **(read_settings or {})) as reader,
        open_writer(target, info or reader.info, **settings) as writer,
    ):
        for item in reader:
            if isinstance(item, Frame):
                writer.write_frame(item.pixels, item.pts)
            else:
                writer.write_audio(item)
    return writer


def seconds(reader: VideoReader, frames: Sequence[Frame]) -> list[Fraction]:
    """The frames' presentation times in seconds, exactly."""
    return [frame.pts * reader.info.time_base for frame in frames]


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    """Decibels between two pictures."""
    error = np.mean((first.astype(np.float64) - second.astype(np.float64)) ** 2)
    return 99.0 if error == 0 else float(10 * np.log10(255**2 / error))
