"""Writes RGB frames and copied audio packets to a video file or stream, with the timestamps it is given."""

import io
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av
import numpy as np

from latcomp.errors import UsageError
from latcomp.video import audio as audio_copy
from latcomp.video.formats import check_crf, choose_codec, choose_format
from latcomp.video.info import FALLBACK_RATE, AudioPacket, VideoInfo
from latcomp.video.output import Output
from latcomp.video.packets import PacketTimes
from latcomp.video.times import OutputTimes
from latcomp.video.unkept import lost_looks, lost_words

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

    `format` is mp4, mov, mkv, webm, avi or y4m: by default what the suffix says, Matroska for a file object. mp4 and
    mov to an object that cannot seek are written in fragments. Raises OutputError when the format cannot hold the
    streams or the target cannot be written, UsageError for a `crf` the codec does not take. `label` is what messages
    call the target, where that is a file which gets its name when it is complete."""
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
    """Takes frames in order of presentation and audio packets; a context manager that closes, or aborts on an
    exception.
    """

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
        self._rate = info.average_rate or FALLBACK_RATE
        self._times = OutputTimes(
            info.time_base,
            self._rate,
            exact=self._format.exact_times,
            gaps=self._format.holds_gaps,
            longest=self._format.longest_step,
        )
        self._audio_times = [PacketTimes() for _ in info.audio]
        self._pending_time = 0
        self._pending: av.VideoFrame | None = None  # held back until the next frame says how long it lasts
        self._durations: dict[int, int] = {}  # pts -> how long that frame is shown, for packets not yet out
        self._repeats = 0  # frames written again because a gap was too long
        self._closed = False
        copies = info.audio if audio else ()
        if copies and not self._format.holds_audio:
            self.notes.append(f"{self._format.name} holds no audio: it is left out")
            copies = ()
        held = [number for number, stream in enumerate(copies) if audio_copy.is_portable(stream)]
        self.notes.extend(
            f"the {stream.codec} audio is left out: no format can hold it"
            for n, stream in enumerate(copies)
            if n not in held
        )
        self._places = {
            number: place for place, number in enumerate(held)
        }  # stream of the source -> stream of the output
        copies = tuple(copies[number] for number in held)
        self.notes.extend(lost_looks(info, self._format, self._codec))
        self.notes.extend(lost_words(info.metadata, self._format, audio=bool(copies)))
        self._early: list[AudioPacket] = []  # audio that came before the first frame, where that one's time counts
        self._unheard = [Fraction(0) for _ in copies]  # seconds of sound before the first frame that were left out
        self._label = label or (str(path) if path is not None else "the output")
        self._output = Output(
            target,
            info,
            self._format,
            self._codec,
            crf,
            copies,
            self._places,
            unit=self._times.unit,
            rate=self._rate,
            label=self._label,
        )
        self.notes.extend(self._output.notes)

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
        """Take one frame, uint8 RGB (H, W, 3), to be shown at `pts` (units of `info.time_base`), later than the last
        one.

        Raises UsageError for a frame of another shape or a pts that does not increase, OutputError when writing fails.
        """
        expected = (self.info.height, self.info.width, 3)
        if pixels.shape != expected or pixels.dtype != np.uint8:
            raise UsageError(f"a frame must be uint8 of shape {expected}, not {pixels.dtype} of shape {pixels.shape}")
        time = self._times.next(pts)
        frame = self._output.convert(pixels)
        frame.pts, frame.time_base = time, self._times.unit
        if self._output.marks is not None:
            frame = self._output.marks(frame)
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
            packet, info, self._output.audio[place], self._times.shift, counts_unheard=self._format.counts_unheard
        )
        if not self._format.holds_delay and copy.pts is not None and 2 * copy.pts + (copy.duration or 0) <= 0:
            self._unheard[place] += (copy.duration or 0) * info.time_base
            return  # not heard with any frame, and here it would make all that follows late
        self._output.muxed[place].place(copy)
        self._output.mux([copy])

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
        self._output.close()
        mended = sum(times.mended for times in self._audio_times)
        if mended:
            self.notes.append(
                f"{mended} audio packet{'s come' if mended > 1 else ' comes'} no later than the one before: moved "
                "behind it"
            )
        before = max(self._unheard, default=Fraction(0))
        if before > _PRIMING_SECONDS:
            self.notes.append(
                f"{self._format.name} begins with the first frame: {float(before):.2f} s of audio before it are left "
                "out"
            )
        if self._repeats:
            self.notes.append(
                f"{self._format.name} holds no gap as long as one here: a frame is repeated in it, {self._repeats} in "
                "all"
            )
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
            self._output.abandon()

    # -- inside -------------------------------------------------------------------------------------------------------

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
        packets = self._output.encode(frame)
        for packet in packets:
            if packet.pts is not None:
                packet.duration = self._durations.pop(packet.pts, 0)
        self._output.mux(packets)
