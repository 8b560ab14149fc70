"""The one place where the times of a source are made sane when it is read, for frames and audio packets alike, and told
about.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

from latcomp.limits import SECONDS_MAX
from latcomp.video.clock import SourceClock
from latcomp.video.packets import PacketTimes

_ROUNDING = Fraction(1, 200)  # seconds that the first sound may be off where times are rounded to milliseconds


class SourceTimes:
    """Follows a source: `packet` as packets come from the file, `frame` as frames come from the decoder, `audio` as
    packets are kept.

    All that comes out rises: a frame or packet is at least a unit behind the one before, and sound stays in step with
    the picture."""

    def __init__(
        self, container: InputContainer, time_base: Fraction, usual_step: int, *, counted: bool = False
    ) -> None:
        """time_base: of the frames; usual_step: units between two frames, for those that have no time and no frames
        before them; counted: whether the file counts its frames and leaves their times to those who read it."""
        self._clock = SourceClock(container)
        self._time_base, self._step = time_base, usual_step
        self._last: int | None = None  # of the frames
        self._audio: dict[int, PacketTimes] = {}
        self._missing = self._repeated = 0
        self._counted = counted
        self.shift = Fraction(0)
        """Seconds that all times were moved by to later, because they began before 0."""

    @property
    def may_restart(self) -> bool:
        """Whether the clock of such a file may be set anew at any place."""
        return self._clock.may_restart

    def packet(self, packet: av.Packet[Any]) -> None:
        """Put the times of a packet from the file on the time line, whatever its stream; before it is decoded or looked
        at.
        """
        bound = SECONDS_MAX / Fraction(packet.time_base or 1)  # what is further from 0 is no time
        if packet.pts is not None and abs(packet.pts) > bound:
            packet.pts = None
        if packet.dts is not None and abs(packet.dts) > bound:
            packet.dts = None
        self._clock.put_right(packet)

    def frame(self, pts: int | None) -> int:
        """Return the time of the next frame: `pts`, or the least that makes sense where it is missing or does not
        rise.
        """
        last = self._last
        if pts is None:
            self._missing += not self._counted
            pts = 0 if last is None else last + self._step
        if last is not None and pts <= last:
            self._repeated += 1
            pts = last + 1
        elif last is not None:
            self._step = pts - last
        self._last = pts
        return pts

    def begins(self, pts: int, audio_seconds: Fraction | None) -> None:
        """Take note of the first frame and, if there is any, of when the first sound is heard: where one is before 0,
        all move.
        """
        earliest = pts * self._time_base
        if audio_seconds is not None and audio_seconds < -_ROUNDING:
            earliest = min(earliest, audio_seconds)
        if earliest < 0:
            # a whole number of units, so that frames keep their distances
            self.shift = -(earliest // self._time_base) * self._time_base

    def note(self) -> str | None:
        """Return one line on all that was done so far; None for a source whose times are sane."""
        clock = self._clock
        audio = sum(stream.mended for stream in self._audio.values())
        told = [
            *_count(clock.restarts, "the clock starts again {}, and what follows is joined on", "time", "times"),
            *_count(clock.wraps, "the clock runs over {}, and goes on counting", "time", "times"),
            *_count(clock.singles, "{} a time of its own", "packet has", "packets have"),
            *_count(self._missing, "{} no time, and come as far apart as those before", "frame has", "frames have"),
            *_count(
                self._repeated, "{} no later than the one before, and put a tick behind it", "frame is", "frames are"
            ),
            *_count(audio, "{} no later than the one before", "audio packet is", "audio packets are"),
        ]
        if self.shift:
            told.append(f"they begin {float(self.shift):.3f} s before 0, and are moved to it")
        return f"times were put right: {'; '.join(told)}" if told else None

    def audio(self, stream: int) -> PacketTimes:
        """Return what puts the kept packets of an audio stream in order."""
        return self._audio.setdefault(stream, PacketTimes())


def _count(number: int, text: str, one: str, more: str) -> Iterator[str]:
    if number:
        yield text.format(f"{number} {one if number == 1 else more}")
