"""An output with its streams open: the container, the video's encoder and the copied audio, set up as format and codec
need it.
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
from av.container import OutputContainer
from av.video.stream import VideoStream

from latcomp.errors import LatcompError, OutputError
from latcomp.video import audio as audio_copy
from latcomp.video import fields
from latcomp.video.acm import NamedTarget
from latcomp.video.color import MATRIX_RGB, FromRgb, resolve_tags
from latcomp.video.formats import Codec, Format
from latcomp.video.info import RANGE_FULL, AudioInfo, ColorTags, VideoInfo, default_matrix
from latcomp.video.metadata_of_files import field_order_number, write_tags, write_track
from latcomp.video.packets import MuxedPackets
from latcomp.video.streams import reason_of

_LARGEST_TIMESCALE = 2**31


class Output:
    """What packets are written to; its header is written, its streams are open."""

    def __init__(
        self,
        target: str | Path | BinaryIO,
        info: VideoInfo,
        format: Format,
        codec: Codec,
        crf: int | None,
        copies: tuple[AudioInfo, ...],
        places: Mapping[int, int],
        *,
        unit: Fraction,
        rate: Fraction,
        label: str,
    ) -> None:
        """copies: the audio streams of the output; places: audio stream of the source -> its place among them. unit:
        seconds of one unit of the frames' times; rate: frames per second, for a format that wants one. label: what
        messages call the target.

        Raises OutputError when the format cannot hold the streams or the target cannot be written.
        """
        self.info = info
        self.notes: list[str] = []
        """What the output does not keep, one line each."""
        self.marks: fields.FieldMarks | None = None
        """For frames that are two fields."""
        self._format, self._codec, self._places = format, codec, places
        self._unit, self._rate, self._label = unit, rate, label
        odd = info.width % 2 != 0 or info.height % 2 != 0
        self._pixel_format = codec.pixel_format_odd if odd else codec.pixel_format
        self._files = contextlib.ExitStack()  # those opened here
        self._open(target, crf, copies)

    def encode(self, frame: av.VideoFrame | None) -> list[av.Packet[Any]]:
        """Return the packets that are ready when the encoder is given a frame, or at its end (None); OutputError when
        it fails.
        """
        try:
            return self.video.encode(frame)
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(f"{self._label}: {self._codec.name} failed: {reason_of(error)}") from error

    def mux(self, packets: list[av.Packet[Any]]) -> None:
        """Write packets; OutputError when that fails."""
        try:
            self.container.mux(packets)
        except BrokenPipeError:
            raise  # whoever read our output has had enough: the command line's business
        except (av.FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"{self._label}: cannot be written: {reason_of(error)}") from error

    def close(self) -> None:
        """Write the end of the file, and let go of it."""
        try:
            with self._files:
                self.container.close()
        except BrokenPipeError:
            raise
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self._label}: cannot be written: {reason_of(error)}") from error

    def abandon(self) -> None:
        """Let go of the target without caring for what was written to it: what went wrong is on its way to the user
        already.
        """
        with contextlib.suppress(LatcompError, OSError):
            self.close()

    def _open(self, target: str | Path | BinaryIO, crf: int | None, copies: tuple[AudioInfo, ...]) -> None:
        place: Any = f"file:{target}" if isinstance(target, str | Path) else target
        options = self._container_options(target)
        try:
            if audio_copy.named_target(io.BytesIO(), copies, self._format.muxer) is not None:
                file = self._files.enter_context(Path(target).open("wb")) if isinstance(target, str | Path) else target
                place = audio_copy.named_target(file, copies, self._format.muxer)
                options["write_crc32"] = "0"  # it would be that of the bytes before their names are put right
            self.container = av.open(place, "w", format=self._format.muxer, container_options=options)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"{self._label}: cannot be written: {reason_of(error)}") from error
        try:
            self.video = self._add_video(self.container, crf)
            self.audio = [audio_copy.add_stream(self.container, stream) for stream in copies]
            self._write_metadata()
            self.container.start_encoding()
            self.muxed = [
                MuxedPackets(Fraction(stream.time_base or info.time_base), self._format.strict_times)
                for stream, info in zip(self.audio, copies, strict=True)
            ]
            if isinstance(place, NamedTarget) and not place.named:
                raise ValueError("its audio tracks could not be named")
        except BrokenPipeError:
            raise
        except (av.FFmpegError, OSError, ValueError) as error:
            with contextlib.suppress(av.FFmpegError, OSError):
                self.container.close()
            raise OutputError(self._refusal(target, error, crf, copies), settings=("audio=False",)) from error

    def _container_options(self, target: str | Path | BinaryIO) -> dict[str, str]:
        if self._format.muxer in ("matroska", "webm", "avi"):
            # Audio that begins before the first frame (the priming of AAC) would else move everything to later, in avi
            # by an empty frame.
            return {"avoid_negative_ts": "disabled"}
        if self._format.muxer not in ("mp4", "mov"):
            return {}
        # The edit list, with the offset of the first frame and the duration, counts in movie units: by default
        # milliseconds, which moves frames by fractions of one and can cut off the last.
        units = self._unit.denominator
        options = {"movie_timescale": str(units * max(1, 1000 // units) if units < _LARGEST_TIMESCALE else 1000)}
        seekable = getattr(target, "seekable", None)
        if isinstance(target, str | Path):
            options["movflags"] = "+faststart"  # index first: such a file can be read from a pipe
        elif seekable is None or not seekable():
            # delay_moov: the index is written when the time of the first frame is known.
            options["movflags"] = "+frag_keyframe+empty_moov+default_base_moof+delay_moov"
        return options

    def _add_video(self, container: OutputContainer, crf: int | None) -> VideoStream:
        info, codec = self.info, self._codec
        if min(info.width, info.height) < codec.min_side:
            raise OutputError(
                f"{codec.name} needs {codec.min_side} pixels per side, and this video has {info.width}x{info.height}; "
                "leave codec out",
                settings=("codec",),
            )
        options = dict(codec.options)
        if codec.crf is not None:
            options["crf"] = str(codec.crf if crf is None else crf)
        order = info.metadata.field_order
        if order is not None and fields.can_mark(codec.name, self._pixel_format, info.height):
            self.marks = fields.FieldMarks(order)
            if codec.name == "libx264":
                options["x264-params"] = "tff=1" if order == "top" else "bff=1"
        elif order is not None:
            self.notes.append(
                f"{codec.name} in {self._format.name} is tagged progressive; its frames are woven, {order} field first"
            )
        if codec.name == "ffv1" and info.width < 16:
            options = {"level": "1"}  # later versions cut a frame in slices, which a narrow one cannot be
        if codec.name == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes to standard error by itself
        stream = cast(VideoStream, container.add_stream(codec.name, rate=self._rate, options=options))
        pixel_format = self._pixel_format
        tags = self._output_tags(pixel_format)
        self.convert = FromRgb(pixel_format, tags)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = info.width, info.height, pixel_format
        context.sample_aspect_ratio = info.sample_aspect_ratio
        context.time_base = stream.time_base = self._unit
        context.thread_type = "AUTO"
        context.colorspace, context.color_range = tags.matrix, tags.range
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        # Packets in the order of frames: the duration of an mp4 is then that of its frames, and avi can hold them. At
        # this quality B-frames save little.
        context.max_b_frames = 0
        if codec.name == "libx265" and self._format.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # what Apple's players look for
        if self.marks is not None and info.metadata.field_order is not None:
            context.field_order = field_order_number(info.metadata.field_order)
        if info.rotation_degrees:
            stream.set_display_rotation(info.rotation_degrees)
        return stream

    def _write_metadata(self) -> None:
        said = self.info.metadata
        wanted = [(name, text) for name, text in said.tags if self._format.tags is None or name in self._format.tags]
        chapters = said.chapters if self._format.holds_chapters else ()
        write_tags(self.container, replace(said, tags=tuple(wanted), chapters=chapters))
        if self._format.holds_track_names:
            for number, place in self._places.items():
                if number < len(said.audio):
                    write_track(self.audio[place], said.audio[number])

    def _output_tags(self, pixel_format: str) -> ColorTags:
        tags = resolve_tags(self.info.color, self.info.height)
        if av.VideoFormat(pixel_format, 16, 16).is_rgb:
            return replace(tags, matrix=MATRIX_RGB, range=RANGE_FULL)
        if not (self._format.holds_color or self._codec.holds_color):
            return replace(tags, matrix=default_matrix(self.info.height))
        return tags

    def _refusal(
        self, target: str | Path | BinaryIO, error: Exception, crf: int | None, copies: tuple[AudioInfo, ...]
    ) -> str:
        """Return why the streams could not be opened: the audio, when it goes without, else the video."""
        if isinstance(error, OSError) and error.errno not in (None, 22):
            return f"{self._label}: cannot be written: {reason_of(error)}"
        if copies:
            try:
                Output(
                    io.BytesIO(),
                    self.info,
                    self._format,
                    self._codec,
                    crf,
                    (),
                    {},
                    unit=self._unit,
                    rate=self._rate,
                    label=self._label,
                ).abandon()
            except OutputError:
                pass
            else:
                codecs = " and ".join(dict.fromkeys(stream.codec for stream in copies))
                others = [name for name in audio_copy.formats_for(copies) if name != self._format.name][:1]
                way = f"{others[0]} can, and audio=False leaves it out" if others else "audio=False leaves it out"
                return f"{self._format.name} cannot hold the {codecs} audio of this file; {way}"
        size = f"{self.info.width}x{self.info.height}"
        return f"{self._format.name} cannot hold this video as {self._codec.name} of {size} pixels: {reason_of(error)}"
