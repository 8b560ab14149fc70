"""Makes the times of a file's packets one time line: a clock that starts again, wraps or jumps goes on where it was, in
all streams.

The limits are those of ffmpeg. Unlike ffmpeg, each stream changes over to the new clock when its own packets do, since
around a joint the streams of a file do not change at the same place."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer
from av.format import Flags

_BACK = Fraction(1, 10)  # seconds that decoding times may go back before the clock counts as set anew
_BACK_REORDERED = Fraction(
    10
)  # the same for times that may be of presentation, which go back wherever there are B-frames
_REORDERED_STEPS = 64  # a picture is shown no more than so many steps behind where it is decoded
_NEAR = Fraction(1)  # a step of no more than this needs no second thought
_APART = Fraction(10)  # streams of one file are not further apart
_JUMP = Fraction(
    10
)  # a step ahead that is a jump, in formats whose clock may be set at any time (transport streams and their kin)
_JUMP_ELSEWHERE = Fraction(30 * 3600)  # in the others a gap may well be meant
_WRAPS = {Fraction(1, 90000): 2**33, Fraction(1, 1000): 2**32}
"""Unit of time -> count at which clocks in it start again at 0: those of MPEG and of FLV."""


@dataclass
class _Stream:
    clock: int
    """Number of the clock that its packets follow."""
    last: Fraction
    """Seconds on the time line of its last packet."""
    step: Fraction
    """Seconds that one took."""
    decoding: bool
    """Whether `last` is a decoding time, and no presentation time."""


class SourceClock:
    """Puts the times of packets right as they come from a file, before anything is decoded from them."""

    def __init__(self, container: InputContainer) -> None:
        discontinuous: Any = Flags.ts_discont.value  # a number, whatever its stub says
        self.may_restart = set_anew = bool(container.format.flags & discontinuous)
        """Whether the format lets its clock be set anew at any place."""
        joinable = set_anew or container.format.name == "flv"
        self._jump = _JUMP if set_anew else _JUMP_ELSEWHERE
        self._back = (
            _BACK if joinable else _BACK_REORDERED
        )  # Matroska and avi hold no decoding times: FFmpeg makes them up
        self._offsets = [Fraction(0)]  # of each clock met: seconds that it is behind the time line
        self._wrapped = [False]  # of each clock: whether it is the one before that has run over
        self._streams: dict[int, _Stream] = {}
        self.singles = 0
        """Packets with a time that fitted neither those before nor those behind."""

    @property
    def restarts(self) -> int:
        """How often the file's clock was set anew."""
        return len(self._offsets) - 1 - self.wraps

    @property
    def wraps(self) -> int:
        """How often it ran over."""
        return sum(self._wrapped)

    def put_right(self, packet: av.Packet[Any]) -> None:
        """Move the times of a packet to the time line."""
        time = packet.pts if packet.dts is None else packet.dts
        unit = Fraction(packet.time_base or 0)
        if time is None or not unit:
            return
        seconds = time * unit
        stream = self._streams.get(packet.stream.index)
        step = (packet.duration or 0) * unit
        if packet.pts is not None and abs(packet.pts * unit - seconds) > max(_APART, _REORDERED_STEPS * step):
            packet.pts = None  # the other time of the packet goes on as before
            self.singles += 1
        if stream is None:
            clock = self._clock_of_first(seconds)
            stream = self._streams[packet.stream.index] = _Stream(
                clock, seconds + self._offsets[clock], step, packet.dts is not None
            )
        else:
            comparable = stream.decoding and packet.dts is not None
            self._choose(stream, seconds, unit, self._back if comparable else _BACK_REORDERED)
            now = seconds + self._offsets[stream.clock]
            stream.decoding = packet.dts is not None
            stream.step = step or max(Fraction(0), min(now - stream.last, _NEAR))
            stream.last = now
        units = round(self._offsets[stream.clock] / unit)
        if units:
            packet.pts = None if packet.pts is None else packet.pts + units
            packet.dts = None if packet.dts is None else packet.dts + units

    def _clock_of_first(self, seconds: Fraction) -> int:
        """The clock by which a stream's first packet is nearest to where the other streams are."""
        if not self._streams:
            return 0
        now = max(stream.last for stream in self._streams.values())
        return min(range(len(self._offsets)), key=lambda clock: abs(seconds + self._offsets[clock] - now))

    def _choose(self, stream: _Stream, seconds: Fraction, unit: Fraction, back: Fraction) -> None:
        """Let `stream` follow the clock by which a packet at `seconds` comes when it is expected; a new one where none
        does.
        """
        if -back <= seconds + self._offsets[stream.clock] - stream.last <= _NEAR:
            return
        expected = stream.last + stream.step
        off = [seconds + offset - expected for offset in self._offsets]
        nearest = min(range(len(off)), key=lambda clock: abs(off[clock]))
        if abs(off[nearest]) <= _BACK:
            self._change(stream, nearest)
        elif not -back - stream.step <= off[stream.clock] <= self._jump:
            later = [clock for clock in range(stream.clock + 1, len(off)) if abs(off[clock]) <= _APART]
            if later:
                self._change(stream, min(later, key=lambda clock: abs(off[clock])))
            else:
                self._new_clock(stream, off[stream.clock], unit)

    def _change(self, stream: _Stream, clock: int) -> None:
        left, stream.clock = stream.clock, clock
        alone = all(other.clock < left for other in self._streams.values())
        if (
            clock < left == len(self._offsets) - 1 and alone
        ):  # one packet alone has followed it: its time was wrong, no clock
            self._offsets.pop()
            self._wrapped.pop()
            self.singles += 1

    def _new_clock(self, stream: _Stream, off: Fraction, unit: Fraction) -> None:
        """Begin a clock by which a packet that is `off` seconds late comes when it is expected, or on time where the
        old one ran over.
        """
        period = _WRAPS.get(unit, 0) * unit
        wrapped = bool(period) and abs(off + period) <= _APART
        self._wrapped.append(wrapped)
        self._offsets.append(self._offsets[stream.clock] + (period if wrapped else -off))
        stream.clock = len(self._offsets) - 1
