"""Yields the frames of a video as RGB with exact timestamps, and its audio packets untouched, in the order of the file."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
import numpy as np
from av.container import InputContainer

from latcomp.errors import LimitError, NotAVideoError
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.stages import stage, staged
from latcomp.video.approach import approached
from latcomp.video.choice import choose_video
from latcomp.video.color import ToRgb, frame_tags, is_rgb, resolve_tags
from latcomp.video.deinterlace import Deinterlacer
from latcomp.video.info import AudioPacket, Frame, VideoInfo
from latcomp.video.losses import CUT_OFF, MARKED, Damage, DamageLog, Holes, Losses, Lost, judged
from latcomp.video.metadata import Metadata
from latcomp.video.metadata_of_files import of_file
from latcomp.video.part import Part
from latcomp.video.source import Source
from latcomp.video.source_times import SourceTimes
from latcomp.video.streams import (
    average_rate,
    counts_late,
    duration_of,
    has_alpha_beside,
    is_mirrored,
    left_out,
    notes_on,
    reason_of,
    time_base_of,
)
from latcomp.video.tracks import AudioTracks

# Demuxers that turn text or lists of other files into pictures: no video that anybody means.
_NOT_VIDEO = {"tty", "bin", "xbin", "adf", "idf", "concat", "hls", "lavfi"}
_FALLBACK_RATE = Fraction(25)
# How far past the end of a wanted stretch packets are read for the audio that lags behind the video.
_AUDIO_LAG_SECONDS = 5
_READ_ATTEMPTS = 10  # one after the other that fail before a file counts as unreadable from there on
# How far before the start of a stretch reading begins for the audio that is ahead of the video in the file.
_AUDIO_LEAD_SECONDS = 1


def open_video(
    source: str | Path | BinaryIO,
    *,
    start_seconds: float | None = None,
    duration_seconds: float | None = None,
    audio: bool = True,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    deinterlace: bool | None = False,
    video_track: int | None = None,
    keep_going: bool = False,
) -> "VideoReader":
    """Return a reader of `source`, its first frame already decoded: what opens can be read.

    `start_seconds` and `duration_seconds` select the frames with start <= t < start + duration, t counted from the first
    frame; a stretch that does not begin at 0 is moved so that its first frame has time 0, audio with it. Without a start
    all times stay as they are in the file. `deinterlace`: True makes one progressive frame of each interlaced one, False
    keeps their lines woven, None refuses a video whose first frame is interlaced. `video_track`: which of the file's video
    tracks, from 0; None takes the one that ffmpeg takes. `keep_going`: whether damage in the stretch is passed over; what
    cannot be decoded is then the frame before, held, and `damage` of the reader says what happened.

    Raises NotAVideoError (missing, no video, no frames, damaged, interlaced), LimitError (more than `max_pixels` pixels a
    frame), UsageError (a negative start, a duration that is not positive, no such track).
    """
    with stage("reading"):
        return VideoReader(source, start_seconds, duration_seconds, audio, max_pixels, deinterlace, video_track, keep_going)


class VideoReader:
    """Iterates over a video once, as Frame and AudioPacket; a context manager. Made by `open_video`.

    Frames come with strictly increasing pts. Damage raises NotAVideoError after all frames before it were yielded, unless the
    reader was told to keep going.
    """

    def __init__(
        self,
        source: str | Path | BinaryIO,
        start_seconds: float | None = None,
        duration_seconds: float | None = None,
        audio: bool = True,
        max_pixels: int = DEFAULT_MAX_PIXELS,
        deinterlace: bool | None = False,
        video_track: int | None = None,
        keep_going: bool = False,
    ) -> None:
        self.frames_read = 0
        """Frames yielded so far."""
        self.notes: list[str] = []
        """What was converted, dropped or mended: those of `info`, and more while reading."""
        self._part = Part.of(start_seconds, duration_seconds)
        self._want_audio = audio
        self._max_pixels = max_pixels
        self._track = video_track
        self._deinterlace = deinterlace
        self._deinterlacer = Deinterlacer() if deinterlace else None
        self._interlaced = False  # whether a frame was met that is
        self._audio = AudioTracks()
        self._keep_going = keep_going
        self._log = DamageLog()
        self._last_seconds = Fraction(0)  # time of the last frame, counted from the first one
        self._missing: str | None = None  # what is not there where no frame was found
        self._unreadable = False  # True when reading was given up
        self._fed = self._keys = self._before_key = self._failed = 0  # packets: all, key ones, those before the first one, bad ones
        self._video_done = False
        self._decoded = 0
        self._ahead: deque[Frame | AudioPacket] = deque()
        self._container: InputContainer | None = None
        self._source = Source(source)
        try:
            self._open()
            self._items = self._iterate()
            for item in self._items:
                self._ahead.append(item)
                if isinstance(item, Frame):
                    break
        except BaseException:
            self.close()
            raise

    info: VideoInfo

    @property
    def damage(self) -> tuple[Damage, ...]:
        """What was met so far and passed over, in order."""
        return tuple(self._log.entries)

    def __iter__(self) -> Iterator[Frame | AudioPacket]:
        try:
            while self._ahead:
                yield self._ahead.popleft()
            yield from staged("reading", self._items)
        finally:
            note = self._times.note()
            if note is not None:
                self._note_once(note)

    def __enter__(self) -> "VideoReader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoReader({self._source.label!r}, frames_read={self.frames_read})"

    def close(self) -> None:
        """Release the file; a file object handed in by the caller stays open."""
        if self._container is not None:
            self._container.close()
            self._container = None
        self._source.close()

    # -- opening ------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._open_container()
        context = self._stream.codec_context
        self._check_size(context.width, context.height)
        if self._want_audio:
            self.notes.extend(self._audio.open(self._opened))
        self.notes.extend(left_out(self._opened, self._stream))
        self._origin: int | None = None  # pts that counts as time 0 of a stretch: the first frame says it
        if self._part.start > 0 and self._source.seekable:
            self._seek()

    def _open_container(self) -> None:
        label = self._source.label
        try:
            container = av.open(self._source.target, "r", options={"protocol_whitelist": "file"})
        except (av.FFmpegError, ValueError) as error:
            if self._source.cut_off:
                raise NotAVideoError(f"{label}: is cut off: its end, with the index, is missing") from error
            raise NotAVideoError(f"{label}: cannot be read as video: {reason_of(error)}") from error
        self._container = container
        if container.format.name in _NOT_VIDEO:
            raise NotAVideoError(f"{label}: is not a video (it reads as {container.format.long_name})")
        self._stream = choose_video(container, label, self._track)
        if self._stream.codec_context is None:
            raise NotAVideoError(f"{label}: its video codec is not known to this FFmpeg")
        self._time_base = time_base_of(self._stream)
        self._counts_late = counts_late(container, self._stream)
        usual_step = max(1, round(1 / (average_rate(self._stream) or _FALLBACK_RATE) / self._time_base))
        self._times = SourceTimes(container, self._time_base, usual_step, counted=self._counts_late)
        self._losses = Losses(self._time_base, average_rate(self._stream))
        self._holes = Holes(container)
        self._stream.thread_type = "AUTO"  # frames in parallel; PyAV's default decodes slices only

    def _check_size(self, width: int, height: int) -> None:
        if width * height > self._max_pixels:
            raise LimitError(
                f"{self._source.label}: a frame has {width}x{height} = {width * height} pixels, the limit is "
                f"{self._max_pixels}; --max-pixels raises it"
            )

    def _seek(self) -> None:
        """Jump to the last key frame at or before the start; begin at the beginning where that cannot be trusted."""
        if self._times.may_restart:
            return  # the same time may be there more than once: the way is read
        landed = None
        try:
            # what the file declares as its start may be that of its audio
            self._origin = self._first_pts()
            lead = _AUDIO_LEAD_SECONDS if self._audio else 0
            target = (self._origin or 0) + int(max(self._part.start - lead, Fraction(0)) / self._time_base)
            self._opened.seek(target, stream=self._stream)
            landed = self._first_pts()
            self._opened.seek(target, stream=self._stream)
        except av.FFmpegError:
            landed = None  # no index, or damage on the way
        if landed is None or landed > target:  # reading on from the beginning finds the same frames, only later
            self._opened.close()
            if not isinstance(self._source.target, str):
                self._source.target.seek(0)
            self._open_container()

    @property
    def _opened(self) -> InputContainer:
        if self._container is None:
            raise NotAVideoError(f"{self._source.label}: is closed already")
        return self._container

    @property
    def _origin_seconds(self) -> Fraction:
        return (self._origin or 0) * self._time_base

    # -- reading ------------------------------------------------------------------------------------------------------

    def _iterate(self) -> Iterator[Frame | AudioPacket]:
        """Yield what the caller gets: the wanted stretch, frames as RGB, times mended and moved."""
        to_rgb: ToRgb | None = None
        shift = Fraction(0)  # seconds taken off every time
        pixels: np.ndarray | None = None  # of the frame before
        before: av.VideoFrame | None = None  # the last one before the stretch
        waiting: list[av.Packet] = []  # audio that comes before the first frame, which says how all times are moved
        for item in self._decode():
            if isinstance(item, av.Packet):
                if self._origin is not None and not self._audio.is_wanted(item, self._part, self._origin_seconds):
                    continue
                if to_rgb is None:
                    waiting.append(item)
                else:
                    yield self._copied(item, shift)
                continue
            happened = self._losses.at(item.pts)
            pts = self._times.frame(item.pts)
            if self._origin is None:
                self._origin = pts
            seconds = (pts - self._origin) * self._time_base
            if self._part.is_before(seconds):
                before = item if isinstance(item, av.VideoFrame) else before
                continue
            if self._part.is_past(seconds):
                self._video_done = True
                continue
            if happened is not None:
                self._met_damage(happened[0], seconds, frames=happened[1], held=isinstance(item, Lost))
            self._last_seconds = seconds
            if isinstance(item, Lost):
                if pixels is None and before is not None:
                    item, before = before, None
                elif pixels is not None:
                    self.frames_read += 1
                    yield Frame(pixels, pts - int(shift / self._time_base))
                    continue
                else:
                    continue
            if to_rgb is None:
                self.info = self._describe(item)
                to_rgb = ToRgb(self.info.width, self.info.height, self.info.color)
                if self._part.start > 0:
                    shift = Fraction(pts * self._time_base)
                else:
                    self._times.begins(pts, self._audio.first_heard(self._opened))
                    shift = -self._times.shift
            elif (item.width, item.height) != (self.info.width, self.info.height):
                self._note_once("the frame size changes on the way; all frames are scaled to the first one's")
            if item.interlaced_frame and not self._interlaced:
                self._interlaced = True
                self._note_once("some frames are interlaced; they are kept woven as they are, unless --deinterlace is given")
            for packet in waiting:
                # those before the first frame of all could not be judged
                if self._audio.is_wanted(packet, self._part, self._origin_seconds):
                    yield self._copied(packet, shift)
            waiting.clear()
            self.frames_read += 1
            pixels = to_rgb(item)
            yield Frame(pixels, pts - int(shift / self._time_base))
        if to_rgb is None:
            raise NotAVideoError(self._nothing_found())

    def _copied(self, packet: av.Packet, earlier_seconds: Fraction) -> AudioPacket:
        """Return a packet of audio as it is handed on, its times in order."""
        copy = self._audio.copy(packet, earlier_seconds)
        return self._times.audio(copy.stream).next(copy)

    def _decode(self) -> Iterator[av.VideoFrame | Lost | av.Packet]:
        """Yield decoded frames, those that are lost, and packets of audio, as the file has them."""
        packets = judged(self._packets(), self._stream.index)
        if self._part.start > 0 and self._times.may_restart:
            packets = approached(packets, self._stream.index, self._part.start, self._first_seconds, self._jumped)
        for packet, incomplete in packets:
            if self._is_past_end(packet):
                return
            if packet.stream.index != self._stream.index:
                if packet.size > 0:
                    self._audio.met(packet)
                    yield packet
            elif not self._video_done:
                yield from self._decode_packet(packet, incomplete)
        if self._unreadable:
            yield from self._shown(self._stream.decode(None))  # frames that were whole, still inside the decoder
        lost = self._losses.rest()
        yield from self._rest()
        yield from lost
        reason = CUT_OFF if self._is_cut() else self._losses.untold
        if reason is not None and not self._video_done:
            self._met_damage(reason, self._last_seconds, frames=0)

    def _first_seconds(self) -> Fraction | None:
        return None if self._origin is None else self._origin_seconds

    def _jumped(self) -> None:
        """Forget what was decoded: the next packet does not follow on the last one."""
        self._stream.codec_context.flush_buffers()
        self._losses = Losses(self._time_base, average_rate(self._stream))
        self._deinterlacer = Deinterlacer() if self._deinterlace else None

    def _packets(self) -> Iterator[av.Packet]:
        """Yield the packets of video and audio; what cannot be read is passed over, and taken down as damage."""
        video, failures = self._stream.index, 0
        streams = [s for s in self._opened.streams if self._holes.watched or s.index == video or s.index in self._audio]
        while failures < _READ_ATTEMPTS:
            try:
                for packet in self._opened.demux(streams):
                    failures = 0
                    if packet.size > 0 and self._holes.found_before(packet):
                        self._losses.skipped()
                    if packet.stream.index == video or packet.stream.index in self._audio:
                        self._times.packet(packet)
                        yield packet
                return
            except av.FFmpegError as error:
                failures += 1
                self._losses.failed(reason_of(error))
        self._unreadable = True

    def _decode_packet(self, packet: av.Packet, incomplete: bool) -> Iterator[av.VideoFrame | Lost]:
        if packet.size == 0:
            if self._is_cut():  # what comes now was still inside the decoder, and may have gaps
                self._losses.failed(CUT_OFF)
        else:
            self._fed += 1
            self._keys += packet.is_keyframe
            self._before_key += self._keys == 0
            if not packet.is_discard:
                self._losses.entering(packet.dts if self._counts_late else packet.pts)
            if incomplete:
                self._losses.failed(CUT_OFF if self._source.cut_off else MARKED)
        try:
            frames = self._frames_of(packet)
        except av.FFmpegError as error:
            self._failed += 1
            if self._decoded == 0 and self._failed <= self._before_key:
                # a recording joined in the middle begins with packets that refer to nothing
                self._note_once("packets before the first whole frame were left out")
            else:
                self._losses.failed(reason_of(error))
            return
        yield from self._shown(frames)

    def _is_cut(self) -> bool:
        """Tell, when all was read, whether frames are missing because the source ends too early."""
        declared = self._stream.frames
        return self._source.cut_off and (declared == 0 or self._fed < declared)

    def _shown(self, frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame | Lost]:
        """Yield frames as the decoder gives them, each behind those that are lost before it."""
        for frame in frames:
            if frame.is_corrupt and self._decoded == 0 and self._before_key:
                self._note_once("packets before the first whole frame were left out")
                continue
            self._decoded += 1
            lost = self._losses.leaving(frame.pts, key=bool(frame.key_frame), whole=not frame.is_corrupt)
            if lost:
                yield from self._rest()
                yield from lost
            yield from self._progressive([frame])

    def _frames_of(self, packet: av.Packet) -> list[av.VideoFrame]:
        """Return what the decoder has ready when it is given `packet`, each frame with its own time; av.FFmpegError for damage."""
        frames = packet.decode()
        if self._counts_late:
            for frame in frames:
                frame.pts = frame.dts
        return frames

    def _first_pts(self) -> int | None:
        """Return the pts of the next frame that has one, None at the end."""
        packets = self._opened.demux(self._stream)
        return next((frame.pts for packet in packets for frame in self._frames_of(packet) if frame.pts is not None), None)

    def _progressive(self, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        """Return `frames`, or what the deinterlacer has ready when it was given them."""
        if self._deinterlacer is None:
            return frames
        if any(frame.interlaced_frame for frame in frames):
            self._note_once("the video is interlaced; each frame is deinterlaced")
        return [ready for frame in frames for ready in self._deinterlacer.push(frame)]

    def _rest(self) -> list[av.VideoFrame]:
        """Return the frames that the deinterlacer still holds."""
        return [] if self._deinterlacer is None else self._deinterlacer.flush()

    def _is_past_end(self, packet: av.Packet) -> bool:
        """Tell whether nothing after `packet` is wanted any more."""
        if not self._video_done:
            return False
        if self._audio.done:
            return True
        if packet.dts is None:
            return False
        seconds = packet.dts * Fraction(packet.time_base or 0) - self._origin_seconds
        return self._part.is_past(seconds - _AUDIO_LAG_SECONDS)

    # -- describing ---------------------------------------------------------------------------------------------------

    def _describe(self, frame: av.VideoFrame) -> VideoInfo:
        """Return the VideoInfo, from the stream and its first wanted frame."""
        self._check_size(frame.width, frame.height)
        if frame.interlaced_frame:
            self._interlaced = True
            if self._deinterlace is None:
                raise NotAVideoError(
                    f"{self._source.label}: is interlaced; --deinterlace makes whole frames of it, --no-deinterlace keeps "
                    "the lines of its fields woven"
                )
        tags = frame_tags(frame, self._stream.codec_context)
        self.notes.extend(notes_on(frame, tags, alpha_beside=has_alpha_beside(self._stream)))
        if is_mirrored(frame):
            self.notes.append("a player mirrors this video; only its rotation is kept")
        rate = average_rate(self._stream)
        whole = duration_of(self._opened, self._stream)
        duration = self._part.duration_within(whole)
        frames = self._stream.frames if duration == whole and self._stream.frames > 0 else None
        if frames is None and duration is not None and rate is not None:
            frames = max(1, round(duration * rate))
        return VideoInfo(
            width=frame.width,
            height=frame.height,
            time_base=self._time_base,
            average_rate=rate,
            sample_aspect_ratio=self._stream.sample_aspect_ratio or Fraction(1),
            rotation_degrees=180 if frame.rotation == -180 else int(frame.rotation),
            color=resolve_tags(tags, frame.height, rgb=is_rgb(frame.format)),
            audio=self._audio.describe(self._opened, self._part),
            frames_estimate=frames,
            duration_seconds=None if duration is None else float(duration),
            metadata=self._metadata(frame),
            notes=tuple(self.notes),
        )

    def _metadata(self, frame: av.VideoFrame) -> Metadata:
        streams = [stream for stream in self._opened.streams.audio if stream.index in self._audio]
        said = of_file(self._opened, self._stream, streams, interlaced=frame.interlaced_frame and not self._deinterlace)
        if self._part.whole:
            return said
        first = (frame.pts or 0) * self._time_base if self._part.start > 0 else Fraction(0)
        return said.part(first, None if self._part.end is None else self._origin_seconds + self._part.end)

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _met_damage(self, reason: str, seconds: Fraction, *, frames: int = 1, held: bool = False) -> None:
        """Take down that the next frame, or what is missing before it (`frames` 0), is damaged; NotAVideoError unless told to go on."""
        if frames == 0 and self.frames_read == 0:
            self._missing = reason  # there may be nothing to go on with
        elif not self._keep_going:
            read = f"{self.frames_read} frame{'' if self.frames_read == 1 else 's'} ({float(seconds):.2f} s)"
            raise NotAVideoError(
                f"{self._source.label}: is damaged or cut off after {read}: {reason}; --keep-going writes what can be decoded"
            )
        else:
            self._log.add(self.frames_read, seconds, reason, frames=frames, held=held)

    def _nothing_found(self) -> str:
        missing = f" ({self._missing})" if self._missing is not None else ""
        if self._decoded == 0:
            return f"{self._source.label}: has a video stream but no frame that can be decoded{missing}"
        return f"{self._source.label}: has no frame {self._part}{missing}"
