"""Yields the frames of a video as RGB with exact timestamps, and its audio packets untouched, in the order of the
file.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import av
import numpy as np

from latcomp.errors import NotAVideoError
from latcomp.latents.time_window import TimeWindow
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.printable import counted
from latcomp.stages import stage, staged
from latcomp.video.approach import approached
from latcomp.video.color import ToRgb
from latcomp.video.decoding import Decoding
from latcomp.video.info import AudioPacket, Frame, VideoInfo
from latcomp.video.losses import Damage, DamageLog, Lost, judged
from latcomp.video.opened import OpenedVideo
from latcomp.video.source import Source
from latcomp.video.source_times import SourceTimes
from latcomp.video.streams import left_out
from latcomp.video.tracks import AudioTracks

# How far past the end of a wanted stretch packets are read for the audio that lags behind the video.
_AUDIO_LAG_SECONDS = 5
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
) -> VideoReader:
    """Return a reader of `source`, its first frame already decoded: what opens can be read.

    `start_seconds` and `duration_seconds` select the frames with start <= t < start + duration, t counted from the
    first frame; a stretch that does not begin at 0 is moved so that its first frame has time 0, audio with it. Without
    a start all times stay as they are in the file. `deinterlace`: True makes one progressive frame of each interlaced
    one, False keeps their lines woven, None refuses a video whose first frame is interlaced. `video_track`: which of
    the file's video tracks, from 0; None takes the one that ffmpeg takes. `keep_going`: whether damage in the stretch
    is passed over; what cannot be decoded is then the frame before, held, and `damage` of the reader says what
    happened.

    Raises NotAVideoError (missing, no video, no frames, damaged, interlaced), LimitError (more than `max_pixels` pixels
    a frame), UsageError (a negative start, a duration that is not positive, no such track)."""
    with stage("reading"):
        return VideoReader(
            source, start_seconds, duration_seconds, audio, max_pixels, deinterlace, video_track, keep_going
        )


class VideoReader:
    """Iterates over a video once, as Frame and AudioPacket; a context manager. Made by `open_video`.

    Frames come with strictly increasing pts. Damage raises NotAVideoError after all frames before it were yielded,
    unless the reader was told to keep going."""

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
        self._part = TimeWindow.of(start_seconds, duration_seconds)
        self._want_audio = audio
        self._deinterlace = deinterlace
        self._interlaced = False  # whether a frame was met that is
        self._audio = AudioTracks()
        self._keep_going = keep_going
        self._log = DamageLog()
        self._last_seconds = Fraction(0)  # time of the last frame, counted from the first one
        self._missing: str | None = None  # what is not there where no frame was found
        self._video_done = False
        self._ahead: deque[Frame | AudioPacket] = deque()
        self._source = Source(source)
        self._video = OpenedVideo(self._source, video_track, max_pixels, keep_going=keep_going)
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
    def woven(self) -> bool:
        """Whether its frames hold the lines of two fields, of two times."""
        return self._interlaced and not self._deinterlace

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

    def __enter__(self) -> VideoReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"VideoReader({self._source.label!r}, frames_read={self.frames_read})"

    def close(self) -> None:
        """Release the file; a file object handed in by the caller stays open."""
        self._video.close()
        self._source.close()

    # -- opening ------------------------------------------------------------------------------------------------------

    def _open(self) -> None:
        self._video.open()
        self._begin()
        context = self._video.stream.codec_context
        self._video.check_size(context.width, context.height)
        if self._want_audio:
            self.notes.extend(self._audio.open(self._video.container, self._video.programme()))
        self.notes.extend(left_out(self._video.container, self._video.stream))
        self._origin: int | None = None  # pts that counts as time 0 of a stretch: the first frame says it
        # where the same time may be there more than once, the way is read
        if self._part.start > 0 and self._video.seekable and not self._times.may_restart:
            lead = _AUDIO_LEAD_SECONDS if self._audio else 0
            self._origin, anew = self._video.seek(max(self._part.start - lead, Fraction(0)))
            if anew:
                self._begin()

    def _begin(self) -> None:
        """Follow the file from its first packet."""
        video = self._video
        self._times = SourceTimes(video.container, video.time_base, video.usual_step, counted=video.counts_late)
        self._decoding = Decoding(
            video, self._audio, self._times, deinterlace=bool(self._deinterlace), note=self._note_once
        )

    @property
    def _origin_seconds(self) -> Fraction:
        return (self._origin or 0) * self._video.time_base

    # -- reading ------------------------------------------------------------------------------------------------------

    def _iterate(self) -> Iterator[Frame | AudioPacket]:
        """Yield what the caller gets: the wanted stretch, frames as RGB, times mended and moved."""
        to_rgb: ToRgb | None = None
        shift = Fraction(0)  # seconds taken off every time
        pixels: np.ndarray | None = None  # of the frame before
        before: av.VideoFrame | None = None  # the last one before the stretch
        waiting: list[av.Packet[Any]] = []  # audio before the first frame, which says how all times are moved
        for item in self._decode():
            if isinstance(item, av.Packet):
                if self._origin is not None and not self._audio.is_wanted(item, self._part, self._origin_seconds):
                    continue
                if to_rgb is None:
                    waiting.append(item)
                else:
                    yield self._copied(item, shift)
                continue
            happened = self._decoding.happened(item.pts)
            pts = self._times.frame(item.pts)
            if self._origin is None:
                self._origin = pts
            seconds = (pts - self._origin) * self._video.time_base
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
                    yield Frame(pixels, pts - int(shift / self._video.time_base))
                    continue
                else:
                    continue
            if to_rgb is None:
                self.info = self._describe(item)
                to_rgb = ToRgb(self.info.width, self.info.height, self.info.color)
                if self._part.start > 0:
                    shift = Fraction(pts * self._video.time_base)
                else:
                    self._times.begins(pts, self._audio.first_heard(self._video.container))
                    shift = -self._times.shift
            elif (item.width, item.height) != (self.info.width, self.info.height):
                self._note_once("the frame size changes on the way; all frames are scaled to the first one's")
            if item.interlaced_frame and not self._interlaced:
                self._interlaced = True
                self._note_once(
                    "some frames are interlaced; they are kept woven as they are, unless deinterlace=True is given"
                )
            for packet in waiting:
                # those before the first frame of all could not be judged
                if self._audio.is_wanted(packet, self._part, self._origin_seconds):
                    yield self._copied(packet, shift)
            waiting.clear()
            self.frames_read += 1
            pixels = to_rgb(item)
            yield Frame(pixels, pts - int(shift / self._video.time_base))
        if to_rgb is None:
            raise NotAVideoError(self._nothing_found())

    def _copied(self, packet: av.Packet[Any], earlier_seconds: Fraction) -> AudioPacket:
        """Return a packet of audio as it is handed on, its times in order."""
        copy = self._audio.copy(packet, earlier_seconds)
        return self._times.audio(copy.stream).next(copy)

    def _decode(self) -> Iterator[av.VideoFrame | Lost | av.Packet[Any]]:
        """Yield decoded frames, those that are lost, and packets of audio, as the file has them."""
        video = self._video.stream.index
        packets = judged(self._decoding.packets(), video)
        if self._part.start > 0 and self._times.may_restart:
            packets = approached(packets, video, self._part.start, self._first_seconds, self._decoding.jumped)
        for packet, incomplete in packets:
            if self._is_past_end(packet):
                return
            if packet.stream.index != video:
                if packet.size > 0:
                    self._audio.met(packet)
                    yield packet
            elif not self._video_done:
                yield from self._decoding.frames(packet, incomplete)
        yield from self._decoding.rest()
        reason = self._decoding.missing_at_end
        if reason is not None and not self._video_done:
            self._met_damage(reason, self._last_seconds, frames=0)

    def _first_seconds(self) -> Fraction | None:
        return None if self._origin is None else self._origin_seconds

    def _is_past_end(self, packet: av.Packet[Any]) -> bool:
        """Tell whether nothing after `packet` is wanted any more."""
        if not self._video_done:
            return False
        if self._audio.done:
            return True
        if packet.dts is None:
            return False
        seconds = packet.dts * Fraction(packet.time_base or 0) - self._origin_seconds
        return self._part.is_past(seconds - _AUDIO_LAG_SECONDS)

    # -- telling ------------------------------------------------------------------------------------------------------

    def _describe(self, frame: av.VideoFrame) -> VideoInfo:
        """Return the VideoInfo, from the stream and its first wanted frame."""
        self._video.check_size(frame.width, frame.height)
        if frame.interlaced_frame:
            self._interlaced = True
            if self._deinterlace is None:
                raise NotAVideoError(
                    f"{self._source.label}: is interlaced; deinterlace=True makes whole frames of it, "
                    "deinterlace=False keeps the lines of its fields woven",
                    settings=("deinterlace",),
                )
        return self._video.describe(
            frame, self._audio, self._part, self._origin_seconds, self.notes, woven=not self._deinterlace
        )

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _met_damage(self, reason: str, seconds: Fraction, *, frames: int = 1, held: bool = False) -> None:
        """Take down that the next frame, or what is missing before it (`frames` 0), is damaged; NotAVideoError unless
        told to go on.
        """
        if frames == 0 and self.frames_read == 0:
            self._missing = reason  # there may be nothing to go on with
        elif not self._keep_going:
            read = f"{counted(self.frames_read, 'frame')} ({float(seconds):.2f} s)"
            raise NotAVideoError(
                f"{self._source.label}: is damaged or cut off after {read}: {reason}; keep_going=True writes what can "
                "be decoded",
                settings=("keep_going",),
            )
        else:
            self._log.add(self.frames_read, seconds, reason, frames=frames, held=held)

    def _nothing_found(self) -> str:
        missing = f" ({self._missing})" if self._missing is not None else ""
        if self._decoding.decoded == 0:
            return f"{self._source.label}: has a video stream but no frame that can be decoded{missing}"
        return f"{self._source.label}: has no frame {self._part}{missing}"
