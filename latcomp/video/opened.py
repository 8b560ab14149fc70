"""A source opened as a video: its container, the stream that is the film, and what is known of both."""

from __future__ import annotations

import gc
import os
from fractions import Fraction
from typing import Any, Literal

import av
from av.container import InputContainer

from latcomp.errors import LimitError, NotAVideoError
from latcomp.latents.time_window import TimeWindow
from latcomp.video.choice import choose_video
from latcomp.video.color import frame_tags, is_rgb, resolve_tags
from latcomp.video.info import FALLBACK_RATE, VideoInfo
from latcomp.video.metadata import Metadata
from latcomp.video.metadata_of_files import of_file
from latcomp.video.programmes import programmes
from latcomp.video.source import Source
from latcomp.video.streams import (
    average_rate,
    counts_late,
    duration_of,
    has_alpha_beside,
    is_mirrored,
    notes_on,
    reason_of,
    time_base_of,
)
from latcomp.video.tracks import AudioTracks

# Demuxers that turn text or lists of other files into pictures: no video that anybody means.
_NOT_VIDEO = {"tty", "bin", "xbin", "adf", "idf", "concat", "hls", "lavfi"}


# A closed container and its streams hold each other until they are collected, and with them a decoder that has threads
# of its own. In a child that is forked off before, its end would wait for threads that are not there, for ever.
os.register_at_fork(before=gc.collect)


class OpenedVideo:
    """The container of a source and its video stream, from `open` to `close`."""

    def __init__(self, source: Source, track: int | None, max_pixels: int, *, keep_going: bool = False) -> None:
        """track: which of the file's video tracks, from 0; None: the one that ffmpeg takes. max_pixels: the most a
        frame may have. keep_going: whether frames around those that cannot be decoded are wanted."""
        self.label = source.label
        """What messages call the source."""
        self._source, self._track, self._max_pixels = source, track, max_pixels
        self._container: InputContainer | None = None
        # frames in parallel; but behind a packet that fails, frames which are whole would be lost with it
        self._threads: Literal["SLICE", "AUTO"] = "SLICE" if keep_going else "AUTO"
        self.sought = False
        """Whether reading may have begun elsewhere than at the first packet."""

    @property
    def container(self) -> InputContainer:
        """The container; NotAVideoError when it is closed."""
        if self._container is None:
            raise NotAVideoError(f"{self.label}: is closed already")
        return self._container

    @property
    def seekable(self) -> bool:
        """Whether the source can be read from any place."""
        return self._source.seekable

    @property
    def cut_off(self) -> bool:
        """Whether the source's own structure says that its end is missing."""
        return self._source.cut_off

    @property
    def rate(self) -> Fraction | None:
        """Frames per second as the stream declares them."""
        return average_rate(self.stream)

    def open(self) -> None:
        """Open the container and choose the stream. Raises NotAVideoError, UsageError for a track that is not there."""
        try:
            container = av.open(self._source.target, "r", options={"protocol_whitelist": "file"})
        except (av.FFmpegError, ValueError) as error:
            if self.cut_off:
                raise NotAVideoError(f"{self.label}: is cut off: its end, with the index, is missing") from error
            raise NotAVideoError(f"{self.label}: cannot be read as video: {reason_of(error)}") from error
        self._container = container
        if container.format.name in _NOT_VIDEO:
            raise NotAVideoError(f"{self.label}: is not a video (it reads as {container.format.long_name})")
        self.stream = choose_video(container, self.label, self._track)
        if self.stream.codec_context is None:
            raise NotAVideoError(f"{self.label}: its video codec is not known to this FFmpeg")
        self.time_base = time_base_of(self.stream)
        self.counts_late = counts_late(container, self.stream)
        self.usual_step = max(1, round(1 / (self.rate or FALLBACK_RATE) / self.time_base))
        """Units between two frames, as far as is known before they are read."""
        self.stream.thread_type = self._threads

    def programme(self) -> set[int] | None:
        """Return the identifiers of the streams that belong together with the video; None where all of the file do, or
        where it is not said."""
        if self.container.format.name != "mpegts":
            return None
        found = programmes(self.read_at)
        return next((pids for pids in found if self.stream.id in pids), None) if len(found) > 1 else None

    def close(self) -> None:
        """Release the container; the source stays open."""
        if self._container is not None:
            self._container.close()
            self._container = None

    def read_at(self, offset: int, size: int) -> bytes:
        """Return bytes of the source from any place; none where that cannot be."""
        return self._source.read_at(offset, size)

    def check_size(self, width: int, height: int) -> None:
        """Raise LimitError for a frame of too many pixels."""
        if width * height > self._max_pixels:
            raise LimitError(
                f"{self.label}: a frame has {width}x{height} = {width * height} pixels, the limit is "
                f"{self._max_pixels}; max_pixels raises it",
                settings=("max_pixels",),
            )

    def frames_of(self, packet: av.Packet[Any]) -> list[av.VideoFrame]:
        """Return what the decoder has ready when it is given `packet`, each frame with its own time; av.FFmpegError for
        damage.
        """
        frames = packet.decode()
        if self.counts_late:
            for frame in frames:
                frame.pts = frame.dts
        return frames

    def seek(self, seconds: Fraction) -> tuple[int | None, bool]:
        """Jump to the last key frame at or before `seconds` from the first frame; to the beginning where that cannot be
        trusted.

        Returns (pts of the first frame, None where none was found; whether the file was opened anew).
        """
        self.sought = True
        origin: int | None = None
        landed: int | None = None
        target = 0
        try:
            # what the file declares as its start may be that of its audio
            origin = self._first_pts()
            target = (origin or 0) + int(seconds / self.time_base)
            self.container.seek(target, stream=self.stream)
            landed = self._first_pts()
            self.container.seek(target, stream=self.stream)
        except av.FFmpegError:
            landed = None  # no index, or damage on the way
        if landed is not None and landed <= target:
            return origin, False
        self.container.close()  # reading on from the beginning finds the same frames, only later
        if not isinstance(self._source.target, str):
            self._source.target.seek(0)
        self.open()
        return origin, True

    def _first_pts(self) -> int | None:
        """Return the pts of the next frame that has one, None at the end."""
        packets = self.container.demux(self.stream)
        return next(
            (frame.pts for packet in packets for frame in self.frames_of(packet) if frame.pts is not None), None
        )

    def describe(
        self,
        frame: av.VideoFrame,
        audio: AudioTracks,
        part: TimeWindow,
        origin_seconds: Fraction,
        notes: list[str],
        *,
        woven: bool,
    ) -> VideoInfo:
        """Return the VideoInfo, from the stream and the first frame of the part; what there is to note is added to
        `notes`.

        origin_seconds: time of the video's first frame. woven: whether interlaced frames are left as they are.
        """
        tags = frame_tags(frame, self.stream.codec_context)
        notes.extend(notes_on(frame, tags, alpha_beside=has_alpha_beside(self.stream)))
        if is_mirrored(frame):
            notes.append("a player mirrors this video; only its rotation is kept")
        whole = duration_of(self.container, self.stream)
        duration = part.duration_within(whole)
        frames = self.stream.frames if duration == whole and self.stream.frames > 0 else None
        if frames is None and duration is not None and self.rate is not None:
            frames = max(1, round(duration * self.rate))
        return VideoInfo(
            width=frame.width,
            height=frame.height,
            time_base=self.time_base,
            average_rate=self.rate,
            sample_aspect_ratio=self.stream.sample_aspect_ratio or Fraction(1),
            rotation_degrees=180 if frame.rotation == -180 else int(frame.rotation),
            color=resolve_tags(tags, frame.height, rgb=is_rgb(frame.format)),
            audio=audio.describe(self.container, part),
            frames_estimate=frames,
            duration_seconds=None if duration is None else float(duration),
            metadata=self._metadata(frame, audio, part, origin_seconds, interlaced=frame.interlaced_frame and woven),
            notes=tuple(notes),
        )

    def _metadata(
        self, frame: av.VideoFrame, audio: AudioTracks, part: TimeWindow, origin_seconds: Fraction, *, interlaced: bool
    ) -> Metadata:
        streams = [stream for stream in self.container.streams.audio if stream.index in audio]
        said = of_file(self.container, self.stream, streams, interlaced=interlaced)
        if part.whole:
            return said
        first = (frame.pts or 0) * self.time_base if part.start > 0 else Fraction(0)
        return said.part(first, None if part.end is None else origin_seconds + part.end)
