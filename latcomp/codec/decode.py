"""A .lat file to video: container.reader -> fill -> tokenizer.decode -> video.writer, a group at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from latcomp import models
from latcomp.codec.ahead import ahead
from latcomp.codec.arguments import checks_arguments
from latcomp.codec.decode_stream import DecodeStream
from latcomp.codec.decoder import Decoder
from latcomp.codec.pieces import frames_at_once
from latcomp.codec.progress import Progress, ProgressCallback
from latcomp.codec.settings import DecodeSettings
from latcomp.codec.shift import moved_to_zero
from latcomp.container import Limits, Reader
from latcomp.container.coding import Prior
from latcomp.devices import pick_device
from latcomp.errors import DamagedFileError, OutputError, UsageError
from latcomp.kernels import fastest
from latcomp.latents.time_window import TimeWindow
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.output import is_stream, output_target
from latcomp.sources import open_source, source_name
from latcomp.stages import stage
from latcomp.video import AudioPacket, Frame, VideoInfo, VideoWriter, check_output, format_of_path, open_writer
from latcomp.video.metadata import Metadata


@dataclass(frozen=True)
class DecodeResult:
    """What a decoding made."""

    frames: int
    width: int
    height: int
    decode_seconds: float
    frames_per_second: float
    device: str
    notes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    """What was damaged in the file, one line each; empty for an intact one."""


def priors_on(device: str, tokenizer: str | Path | None = None) -> Callable[[str, str], Prior]:
    """`models.prior_finder` for priors that multiply as fast as they can beside networks on a device."""
    return models.prior_finder(tokenizer, lambda: fastest(str(pick_device(device))))


@checks_arguments
def decode_frames(
    source: str | Path | BinaryIO,
    *,
    fill: str = "auto",
    device: str = "auto",
    start_seconds: float | None = None,
    duration_seconds: float | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
    tokenizer: str | Path | None = None,
) -> Iterator[Frame]:
    """Decoded frames of a .lat file in order. Raises `DamagedFileError` at the first damage, once the frames before it
    were given.
    """
    window = TimeWindow.of(start_seconds, duration_seconds)
    with ExitStack() as stack:
        file = stack.enter_context(open_source(source))
        reader = Reader(file, limits or Limits(max_pixels=max_pixels), priors_on(device, tokenizer))
        stream = DecodeStream(reader, Decoder(reader.header, device, fill, tokenizer), window)
        for item in stream:
            if reader.damage:
                break  # what comes now may be held for what was lost
            if isinstance(item, Frame):
                yield item
        if reader.damage:
            raise DamagedFileError(f"{source_name(source)} is damaged: {reader.damage[0]}")


@checks_arguments
def decode(
    source: str | Path | BinaryIO,
    target: str | Path | BinaryIO,
    *,
    tokenizer: str | Path | None = None,
    device: str = "auto",
    force: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> DecodeResult:
    """Decode a .lat file into a video file or stream.

    source, target: paths or binary file objects. settings: fields of `DecodeSettings` (fill, start_seconds,
    duration_seconds, codec, crf, format, audio). tokenizer: folder of the file's tokenizer, where it is not one that is
    shipped. limits: what the file may claim; those of `Limits` and `max_pixels` unless given.

    Damaged segments are skipped: their frames are the last good frame held, and `damage` of the result says what
    happened. Raises `DamagedFileError` when nothing could be decoded, `UsageError` for settings out of range and when
    the chosen time holds no frame, `UnsupportedFileError` when a model is not found, `OutputError` when the format
    cannot hold the streams (before anything is decoded)."""
    chosen = DecodeSettings(**settings)
    began = time.monotonic()
    window, audio = chosen.window, chosen.audio
    with ExitStack() as stack:
        file = stack.enter_context(open_source(source))
        reader = Reader(file, limits or Limits(max_pixels=max_pixels), priors_on(device, tokenizer))
        info = VideoInfo.from_header_fields(reader.header.video_fields())
        if not window.whole:
            info = replace(info, metadata=_metadata_of_part(info, reader, window))
        container = chosen.format or _format_of(target)
        notes = check_output(container, chosen.codec, info, crf=chosen.crf, audio=audio)
        decoder = Decoder(reader.header, device, chosen.fill, tokenizer)
        place: str | Path | BinaryIO = target
        if isinstance(target, str | Path):
            place = stack.enter_context(output_target(target, force))
        label = str(target) if isinstance(target, str | Path) else None
        writer = stack.enter_context(
            open_writer(place, info, format=container, codec=chosen.codec, crf=chosen.crf, audio=audio, label=label)
        )
        stream = DecodeStream(reader, decoder, window, reads_ahead=True)
        frames = write_stream(stream, writer, audio, progress)
        if frames == 0 or stream.groups == 0:
            if not reader.damage:
                raise UsageError(
                    f"{source_name(source)}: no frame lies in the time that start_seconds and duration_seconds choose",
                    settings=("start_seconds", "duration_seconds"),
                )
            raise DamagedFileError(f"nothing of {source_name(source)} could be decoded: {reader.damage[0]}")
        with stage("writing"):
            writer.close()
        notes = tuple(writer.notes)
    seconds = time.monotonic() - began
    header = reader.header
    damage = tuple(str(problem) for problem in reader.damage)
    return DecodeResult(
        frames, header.width, header.height, seconds, frames / max(seconds, 1e-9), str(decoder.device), notes, damage
    )


def write_stream(
    stream: DecodeStream, writer: VideoWriter, audio: bool = True, progress: ProgressCallback | None = None
) -> int:
    """Write all that a stream gives, whose frames are made ahead of the writer; gives the number of its frames. The
    writer stays open."""
    header = stream.reader.header
    with ahead(stream, frames_at_once(header.height, header.width)) as items:
        return _write(stream, items, writer, audio, progress)


def _write(
    stream: DecodeStream,
    items: Iterator[Frame | AudioPacket],
    writer: VideoWriter,
    audio: bool,
    progress: ProgressCallback | None,
) -> int:
    frames = 0
    for item in moved_to_zero(items, stream.info) if stream.window.start else items:
        if isinstance(item, AudioPacket):
            if audio:
                with stage("writing"):
                    writer.write_audio(item)
            continue
        with stage("writing"):
            writer.write_frame(item.pixels, item.pts)
        frames += 1
        if progress is not None and frames % stream.reader.header.temporal == 0:
            progress(Progress(frames, stream.reader.frames_total, stream.tokens_total, stream.tokens_kept))
    return frames


def _metadata_of_part(info: VideoInfo, reader: Reader, window: TimeWindow) -> Metadata:
    """What the source said, for a part that begins at time 0 where it does not begin with the file."""
    origin = reader.index[0].first_pts * info.time_base if reader.index else Fraction(0)
    start = origin + window.start if window.start else Fraction(0)
    return info.metadata.part(start, None if window.end is None else origin + window.end)


def _format_of(target: str | Path | BinaryIO) -> str | None:
    """The container format a path's suffix asks for; None for streams, where the codec decides; pipes may have any
    name.
    """
    if not isinstance(target, str | Path):
        return None
    try:
        return format_of_path(Path(target))
    except OutputError:
        if is_stream(target):
            return None
        raise
