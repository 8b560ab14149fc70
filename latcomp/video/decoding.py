"""The frames of an opened video as its decoder gives them, with those that are lost in their places."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import av

from latcomp.video.deinterlace import Deinterlacer
from latcomp.video.holes import Holes
from latcomp.video.losses import CUT_OFF, MARKED, SKIPPED, Losses, Lost
from latcomp.video.opened import OpenedVideo
from latcomp.video.source_times import SourceTimes
from latcomp.video.streams import reason_of
from latcomp.video.tracks import AudioTracks

_LEFT_OUT = "packets before the first whole frame were left out"
_READ_ATTEMPTS = 10  # one after the other that fail before a file counts as unreadable from there on


class Decoding:
    """Packets of a file, frames of its packets, and what went wrong with either."""

    def __init__(
        self,
        video: OpenedVideo,
        audio: AudioTracks,
        times: SourceTimes,
        *,
        deinterlace: bool,
        note: Callable[[str], None],
    ) -> None:
        """times: is shown every packet, which it puts right; note: takes a line for people, once or often."""
        self.decoded = 0
        """Frames that came out of the decoder so far."""
        self._video, self._audio, self._times, self._note = video, audio, times, note
        self._deinterlacer = Deinterlacer() if deinterlace else None
        self._losses = Losses(video.time_base, video.rate)
        self._holes = Holes(video.container, video.read_at)
        self._missed_end = False  # True when bytes at the end of the file could not be read
        self._unreadable = False  # True when reading was given up
        self._fed = self._keys = self._before_key = self._failed = (
            0  # packets: all, key ones, those before the first one, bad ones
        )

    def happened(self, pts: int | None) -> tuple[str, int] | None:
        """Return what happened to the frame of this time (1) or before it (0), None when all is as it was."""
        return self._losses.at(pts)

    def jumped(self) -> None:
        """Forget what was decoded: the next packet does not follow on the last one."""
        self._video.stream.codec_context.flush_buffers()
        self._losses = Losses(self._video.time_base, self._video.rate)
        self._deinterlacer = Deinterlacer() if self._deinterlacer is not None else None

    def packets(self) -> Iterator[av.Packet[Any]]:
        """Yield the packets of video and audio; what cannot be read is passed over, and taken down as damage."""
        video, failures = self._video.stream.index, 0
        streams = [
            s
            for s in self._video.container.streams
            if self._holes.watched or s.index == video or s.index in self._audio
        ]
        while failures < _READ_ATTEMPTS:
            try:
                for packet in self._video.container.demux(streams):
                    failures = 0
                    self._look_for_holes(packet)
                    if packet.stream.index == video or packet.stream.index in self._audio:
                        self._times.packet(packet)
                        yield packet
                return
            except av.FFmpegError as error:
                failures += 1
                self._losses.failed(reason_of(error))
            except IndexError:  # PyAV's, of damage that looks like the packet of a stream which the file does not have
                failures += 1
                self._losses.failed(SKIPPED)
        self._unreadable = True

    def _look_for_holes(self, packet: av.Packet[Any]) -> None:
        """Take down what was passed over before a packet, or before the end."""
        if packet.size == 0:
            if packet.stream.index == self._video.stream.index and self._holes.found_at_end():
                self._missed_end = True
                self._losses.failed(SKIPPED)
        elif self._holes.found_before(packet):
            if not self._holes.certain:
                self._losses.skipped()
            elif self._fed > 0:
                self._losses.failed(SKIPPED)
            elif not self._video.sought:
                self._note(_LEFT_OUT)

    def frames(self, packet: av.Packet[Any], incomplete: bool) -> Iterator[av.VideoFrame | Lost]:
        """Yield the frames that come out when a packet goes in, each behind those that are lost before it."""
        if packet.size == 0:
            if self._is_cut():  # what comes now was still inside the decoder, and may have gaps
                self._losses.failed(CUT_OFF)
        else:
            self._fed += 1
            self._keys += packet.is_keyframe
            self._before_key += self._keys == 0
            if not packet.is_discard:
                self._losses.entering(packet.dts if self._video.counts_late else packet.pts)
            if incomplete:
                self._losses.failed(CUT_OFF if self._video.cut_off else MARKED)
            elif packet.is_corrupt:  # at a joint, if no frame is missing there
                self._losses.skipped(joint=True)
        try:
            frames = self._video.frames_of(packet)
        except av.FFmpegError as error:
            self._failed += 1
            if self.decoded == 0 and self._failed <= self._before_key:
                # a recording joined in the middle begins with packets that refer to nothing
                self._note(_LEFT_OUT)
            else:
                self._losses.failed(reason_of(error))
            return
        yield from self._shown(frames)

    def rest(self) -> Iterator[av.VideoFrame | Lost]:
        """Yield what is left when all packets were read."""
        if self._unreadable:
            yield from self._shown(self._video.stream.decode(None))  # frames that were whole, still inside the decoder
        lost = self._losses.rest()
        yield from self._held()
        yield from lost

    @property
    def missing_at_end(self) -> str | None:
        """What is missing behind the last frame, when all was read; None where nothing is."""
        return CUT_OFF if self._is_cut() else SKIPPED if self._missed_end else self._losses.untold

    def _is_cut(self) -> bool:
        """Tell, when all was read, whether frames are missing because the source ends too early."""
        declared = self._video.stream.frames
        return self._video.cut_off and (declared == 0 or self._fed < declared)

    def _shown(self, frames: list[av.VideoFrame]) -> Iterator[av.VideoFrame | Lost]:
        """Yield frames as the decoder gives them, each behind those that are lost before it."""
        for frame in frames:
            if frame.is_corrupt and self.decoded == 0 and self._before_key:
                self._note(_LEFT_OUT)
                continue
            self.decoded += 1
            if self._losses.is_late(frame.pts):
                continue
            lost = self._losses.leaving(frame.pts, key=bool(frame.key_frame), whole=not frame.is_corrupt)
            if lost:
                yield from self._held()
                yield from lost
            yield from self._progressive([frame])

    def _progressive(self, frames: list[av.VideoFrame]) -> list[av.VideoFrame]:
        """Return `frames`, or what the deinterlacer has ready when it was given them."""
        if self._deinterlacer is None:
            return frames
        if any(frame.interlaced_frame for frame in frames):
            self._note("the video is interlaced; each frame is deinterlaced")
        return [ready for frame in frames for ready in self._deinterlacer.push(frame)]

    def _held(self) -> list[av.VideoFrame]:
        """Return the frames that the deinterlacer still holds."""
        return [] if self._deinterlacer is None else self._deinterlacer.flush()
