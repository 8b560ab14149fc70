"""Writes RGB frames and copied audio packets to a video file or stream, with the timestamps it is given."""

import contextlib
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.video.stream import VideoStream

from latcomp.errors import LatcompError, OutputError, UsageError
from latcomp.video import audio as audio_copy
from latcomp.video import fields
from latcomp.video.acm import NamedTarget
from latcomp.video.color import MATRIX_RGB, FromRgb, default_matrix, resolve_tags
from latcomp.video.formats import Codec, Format, check_crf, choose_codec, choose_format
from latcomp.video.info import RANGE_FULL, AudioPacket, ColorTags, VideoInfo
from latcomp.video.metadata import Metadata
from latcomp.video.metadata_of_files import field_order_number, write_tags, write_track
from latcomp.video.packets import MuxedPackets, PacketTimes
from latcomp.video.streams import reason_of
from latcomp.video.times import OutputTimes

_FALLBACK_RATE = Fraction(25)
_LARGEST_TIMESCALE = 2**31
_PRIMING_SECONDS = Fraction(1, 10)  # more than any codec begins with before there is something to hear


def open_writer(
    target: str | Path | BinaryIO,
    info: VideoInfo,
    *,
    format: str | None = None,
    codec: str | None = None,
    crf: int | None = None,
    audio: bool = True,
    label: str | None = None,
) -> "VideoWriter":
    """Return a writer of a video like `info` to a path or file object; its header is written, its streams are open.

    `format` is mp4, mov, mkv, webm, avi or y4m: by default what the suffix says, Matroska for a file object. mp4 and mov
    to an object that cannot seek are written in fragments. Raises OutputError when the format cannot hold the streams or
    the target cannot be written, UsageError for a `crf` the codec does not take. `label` is what messages call the target,
    where that is a file which gets its name when it is complete.
    """
    return VideoWriter(target, info, format, codec, crf, audio, label)


def check_output(
    format: str | None, codec: str | None, info: VideoInfo, crf: int | None = None, audio: bool = True
) -> tuple[str, ...]:
    """Return notes on what such an output would lose; OutputError when its format cannot hold the streams.

    `format` None stands for a stream, that is Matroska. Takes milliseconds: the headers are written to memory, because
    some formats refuse a stream only then.
    """
    with VideoWriter(io.BytesIO(), info, format, codec, crf, audio) as writer:
        return tuple(writer.notes)


def format_of_path(path: str | Path) -> str:
    """Return the name of the format that the suffix of `path` asks for; OutputError when it asks for none."""
    return choose_format(None, path).name


class VideoWriter:
    """Takes frames in order of presentation and audio packets; a context manager that closes, or aborts on an exception."""

    def __init__(
        self,
        target: str | Path | BinaryIO,
        info: VideoInfo,
        format: str | None = None,
        codec: str | None = None,
        crf: int | None = None,
        audio: bool = True,
        label: str | None = None,
    ) -> None:
        path = target if isinstance(target, str | Path) else None
        self.info = info
        self.notes: list[str] = []
        """What the output does not keep: one line each; more may come while writing."""
        self.frames_written = 0
        self._format = choose_format(format, path)
        self._codec = choose_codec(codec, self._format)
        check_crf(self._codec, crf)
        odd = info.width % 2 != 0 or info.height % 2 != 0
        self._pixel_format = self._codec.pixel_format_odd if odd else self._codec.pixel_format
        self._marks: fields.FieldMarks | None = None  # for frames that are two fields
        self._rate = info.average_rate or _FALLBACK_RATE
        self._times = OutputTimes(
            info.time_base, self._rate, exact=self._format.exact_times, gaps=self._format.holds_gaps, longest=self._format.longest_step
        )
        self._audio_times = [PacketTimes() for _ in info.audio]
        self._pending_time = 0
        self._pending: av.VideoFrame | None = None  # held back until the next frame says how long it lasts
        self._durations: dict[int, int] = {}  # pts -> how long that frame is shown, for packets not yet out
        self._repeats = 0  # frames written again because a gap was too long
        self._closed = False
        self._label = label or (str(path) if path is not None else "the output")
        copies = info.audio if audio else ()
        if copies and not self._format.holds_audio:
            self.notes.append(f"{self._format.name} holds no audio: it is left out")
            copies = ()
        held = [number for number, stream in enumerate(copies) if audio_copy.is_portable(stream)]
        self.notes.extend(
            f"the {stream.codec} audio is left out: no format can hold it" for n, stream in enumerate(copies) if n not in held
        )
        self._places = {number: place for place, number in enumerate(held)}  # stream of the source -> stream of the output
        copies = tuple(copies[number] for number in held)
        self.notes.extend(_lost(info, self._format, self._codec))
        self.notes.extend(_unsaid(info.metadata, self._format, audio=bool(copies)))
        self._files = contextlib.ExitStack()  # those opened here
        self._early: list[AudioPacket] = []  # audio that came before the first frame, where that one's time counts
        self._open(target, crf, copies)

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.abort()

    def __repr__(self) -> str:
        return f"VideoWriter({self._label!r}, {self._codec.name} in {self._format.name}, frames={self.frames_written})"

    def write_frame(self, pixels: np.ndarray, pts: int) -> None:
        """Take one frame, uint8 RGB (H, W, 3), to be shown at `pts` (units of `info.time_base`), later than the last one.

        Raises UsageError for a frame of another shape or a pts that does not increase, OutputError when writing fails.
        """
        expected = (self.info.height, self.info.width, 3)
        if pixels.shape != expected or pixels.dtype != np.uint8:
            raise UsageError(f"a frame must be uint8 of shape {expected}, not {pixels.dtype} of shape {pixels.shape}")
        time = self._times.next(pts)
        frame = self._convert(pixels)
        frame.pts, frame.time_base = time, self._times.unit
        if self._marks is not None:
            frame = self._marks(frame)
        self._encode_pending(time)
        self._pending, self._pending_time = frame, time
        self.frames_written += 1
        while self._early:
            self.write_audio(self._early.pop(0))

    def write_audio(self, packet: AudioPacket) -> None:
        """Copy one packet to the stream it names; nothing is written where the output has no audio."""
        if not 0 <= packet.stream < len(self.info.audio):
            raise UsageError(f"there is no audio stream {packet.stream}")
        if packet.stream not in self._places:
            return
        if self._times.shift is None:
            self._early.append(packet)
            return
        info, place = self.info.audio[packet.stream], self._places[packet.stream]
        packet = self._audio_times[packet.stream].next(packet)
        copy = audio_copy.to_av_packet(
            packet, info, self._audio[place], self._times.shift, counts_unheard=self._format.counts_unheard
        )
        if not self._format.holds_delay and copy.pts is not None and 2 * copy.pts + (copy.duration or 0) <= 0:
            self._unheard[place] += (copy.duration or 0) * info.time_base
            return  # not heard with any frame, and here it would make all that follows late
        self._muxed[place].place(copy)
        self._mux([copy])

    def close(self) -> None:
        """Write what is still held back and the end of the file."""
        if self._closed:
            return
        try:
            self._encode_pending(self._pending_time + self._times.last_duration())
            self._encode(None)
        except BaseException:
            self.abort()
            raise
        self._closed = True
        self._release()
        mended = sum(times.mended for times in self._audio_times)
        if mended:
            self.notes.append(f"{mended} audio packet{'s come' if mended > 1 else ' comes'} no later than the one before: moved behind it")
        before = max(self._unheard, default=Fraction(0))
        if before > _PRIMING_SECONDS:
            self.notes.append(f"{self._format.name} begins with the first frame: {float(before):.2f} s of audio before it are left out")
        if self._repeats:
            self.notes.append(f"{self._format.name} holds no gap as long as one here: a frame is repeated in it, {self._repeats} in all")
        if not self._times.regular:
            rate = f"{float(self._rate):.5g} a second"
            self.notes.append(
                f"{self._format.name} holds no times between its frames, {rate}: some are moved there"
                if self._format.holds_gaps
                else f"{self._format.name} holds no timestamps: frames follow each other at {rate}"
            )

    def abort(self) -> None:
        """Let go of the target without caring for what was written to it."""
        if not self._closed:
            self._closed = True
            self._pending = None
            # The target is to be thrown away, and what went wrong is on its way to the user already.
            with contextlib.suppress(LatcompError, OSError):
                self._release()

    # -- inside -------------------------------------------------------------------------------------------------------

    def _open(self, target: str | Path | BinaryIO, crf: int | None, copies: tuple[Any, ...]) -> None:
        place: Any = f"file:{target}" if isinstance(target, str | Path) else target
        options = self._container_options(target)
        try:
            if audio_copy.named_target(io.BytesIO(), copies, self._format.muxer) is not None:
                file = self._files.enter_context(Path(target).open("wb")) if isinstance(target, str | Path) else target
                place = audio_copy.named_target(file, copies, self._format.muxer)
                options["write_crc32"] = "0"  # it would be that of the bytes before their names are put right
            self._container = av.open(place, "w", format=self._format.muxer, container_options=options)
        except (av.FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"{self._label}: cannot be written: {reason_of(error)}") from error
        try:
            self._video = self._add_video(self._container, crf)
            self._audio = [self._add_audio(self._container, stream) for stream in copies]
            self._write_metadata()
            self._container.start_encoding()
            self._muxed = [
                MuxedPackets(Fraction(stream.time_base or info.time_base), self._format.strict_times)
                for stream, info in zip(self._audio, copies, strict=True)
            ]
            self._unheard = [Fraction(0) for _ in copies]  # seconds of sound before the first frame that were left out
            if isinstance(place, NamedTarget) and not place.named:
                raise ValueError("its audio tracks could not be named")
        except BrokenPipeError:
            raise
        except (av.FFmpegError, OSError, ValueError) as error:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._container.close()
            raise OutputError(self._refusal(target, error, crf, copies)) from error

    def _container_options(self, target: str | Path | BinaryIO) -> dict[str, str]:
        if self._format.muxer in ("matroska", "webm", "avi"):
            # Audio that begins before the first frame (the priming of AAC) would else move everything to later, in avi by
            # an empty frame.
            return {"avoid_negative_ts": "disabled"}
        if self._format.muxer not in ("mp4", "mov"):
            return {}
        # The edit list, with the offset of the first frame and the duration, counts in movie units: by default
        # milliseconds, which moves frames by fractions of one and can cut off the last.
        units = self._times.unit.denominator
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
                f"{codec.name} needs {codec.min_side} pixels a side, and this video has {info.width}x{info.height}; "
                "leave --codec out"
            )
        options = dict(codec.options)
        if codec.crf is not None:
            options["crf"] = str(codec.crf if crf is None else crf)
        order = info.metadata.field_order
        if order is not None and fields.can_mark(codec.name, self._pixel_format, info.height):
            self._marks = fields.FieldMarks(order)
            if codec.name == "libx264":
                options["x264-params"] = "tff=1" if order == "top" else "bff=1"
        elif order is not None:
            self.notes.append(f"{codec.name} in {self._format.name} is tagged progressive; its frames are woven, {order} field first")
        if codec.name == "ffv1" and info.width < 16:
            options = {"level": "1"}  # later versions cut a frame in slices, which a narrow one cannot be
        if codec.name == "libsvtav1":
            os.environ.setdefault("SVT_LOG", "1")  # errors only; it writes to standard error by itself
        stream = cast(VideoStream, container.add_stream(codec.name, rate=self._rate, options=options))
        pixel_format = self._pixel_format
        tags = self._output_tags(pixel_format)
        self._convert = FromRgb(pixel_format, tags)
        context = stream.codec_context
        context.width, context.height, context.pix_fmt = info.width, info.height, pixel_format
        context.sample_aspect_ratio = info.sample_aspect_ratio
        context.time_base = stream.time_base = self._times.unit
        context.thread_type = "AUTO"
        context.colorspace, context.color_range = tags.matrix, tags.range
        context.color_primaries, context.color_trc = tags.primaries, tags.transfer
        # Packets in the order of frames: the duration of an mp4 is then that of its frames, and avi can hold them. At
        # this quality B-frames save little.
        context.max_b_frames = 0
        if codec.name == "libx265" and self._format.muxer in ("mp4", "mov"):
            context.codec_tag = "hvc1"  # what Apple's players look for
        if self._marks is not None and info.metadata.field_order is not None:
            context.field_order = field_order_number(info.metadata.field_order)
        if info.rotation_degrees:
            stream.set_display_rotation(info.rotation_degrees)
        return stream

    def _write_metadata(self) -> None:
        said = self.info.metadata
        wanted = [(name, text) for name, text in said.tags if self._format.tags is None or name in self._format.tags]
        chapters = said.chapters if self._format.holds_chapters else ()
        write_tags(self._container, replace(said, tags=tuple(wanted), chapters=chapters))
        if self._format.holds_track_names:
            for number, place in self._places.items():
                if number < len(said.audio):
                    write_track(self._audio[place], said.audio[number])

    def _add_audio(self, container: OutputContainer, info: Any) -> AudioStream:
        return audio_copy.add_stream(container, info)

    def _output_tags(self, pixel_format: str) -> ColorTags:
        tags = resolve_tags(self.info.color, self.info.height)
        if av.VideoFormat(pixel_format, 16, 16).is_rgb:
            return replace(tags, matrix=MATRIX_RGB, range=RANGE_FULL)
        if not (self._format.holds_color or self._codec.holds_color):
            return replace(tags, matrix=default_matrix(self.info.height))
        return tags

    def _refusal(
        self, target: str | Path | BinaryIO, error: Exception, crf: int | None, copies: tuple[Any, ...]
    ) -> str:
        """Return why the streams could not be opened: the audio, when it goes without, else the video."""
        if isinstance(error, OSError) and error.errno not in (None, 22):
            return f"{self._label}: cannot be written: {reason_of(error)}"
        if copies:
            try:
                VideoWriter(io.BytesIO(), self.info, self._format.name, self._codec.name, crf, audio=False).abort()
            except OutputError:
                pass
            else:
                codecs = " and ".join(dict.fromkeys(stream.codec for stream in copies))
                others = [name for name in audio_copy.formats_for(copies) if name != self._format.name][:1]
                way = f"{others[0]} can, and --no-audio leaves it out" if others else "--no-audio leaves it out"
                return f"{self._format.name} cannot hold the {codecs} audio of this file; {way}"
        size = f"{self.info.width}x{self.info.height}"
        return f"{self._format.name} cannot hold this video as {self._codec.name} of {size} pixels: {reason_of(error)}"

    def _encode_pending(self, end: int) -> None:
        """Encode the frame held back, now that the time when it ends is known."""
        if self._pending is None:
            return
        times = self._times.shown_from(self._pending_time, end)
        self._repeats += len(times) - 1
        for time, until in zip(times, [*times[1:], end], strict=True):
            self._pending.pts = time
            self._durations[time] = until - time
            self._encode(self._pending)
        self._pending = None

    def _encode(self, frame: av.VideoFrame | None) -> None:
        """Encode a frame, or what is left in the encoder (None), and write the packets that come out."""
        try:
            packets = self._video.encode(frame)
        except (av.FFmpegError, ValueError) as error:
            raise OutputError(f"{self._label}: {self._codec.name} failed: {reason_of(error)}") from error
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
        self._mux(packets)

    def _mux(self, packets: list[av.Packet]) -> None:
        try:
            self._container.mux(packets)
        except BrokenPipeError:
            raise  # whoever read our output has had enough: the command line's business
        except (av.FFmpegError, OSError, ValueError) as error:
            raise OutputError(f"{self._label}: cannot be written: {reason_of(error)}") from error

    def _release(self) -> None:
        try:
            with self._files:
                self._container.close()
        except BrokenPipeError:
            raise
        except (av.FFmpegError, OSError) as error:
            raise OutputError(f"{self._label}: cannot be written: {reason_of(error)}") from error


def _lost(info: VideoInfo, format: Format, codec: Codec) -> Iterator[str]:
    """Yield a line for each thing players need to show the video as it is, which this output cannot say."""
    if info.rotation_degrees and not format.holds_rotation:
        yield f"{format.name} holds no rotation: players will show the video without its {info.rotation_degrees} degrees"
    shape = info.sample_aspect_ratio
    if shape != 1 and not (format.holds_pixel_shape or codec.holds_pixel_shape):
        ratio = f"{shape.numerator}:{shape.denominator}"
        yield f"{codec.name} in {format.name} is written without the shape of its pixels: players will take {ratio} for square"


def _unsaid(said: Metadata, format: Format, *, audio: bool) -> Iterator[str]:
    """Yield a line for what the video says in words and this output cannot."""
    names = [name for name, _ in said.tags if format.tags is not None and name not in format.tags]
    lost = [f"tag{'' if len(names) == 1 else 's'} {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}"] if names else []
    if said.chapters and not format.holds_chapters:
        lost.append("chapters")
    if audio and said.audio and not format.holds_track_names:
        lost.append("titles and roles of audio tracks")
    if lost:
        yield f"{format.name} holds no {' and no '.join(lost)}"
