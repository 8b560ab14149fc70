"""The times of an audio stream's packets, as every container takes them: each decoded later than the one before, none
heard earlier.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import Any

import av

from latcomp.video.info import AudioPacket


class PacketTimes:
    """Puts packets of one stream in order, one after the other; those that are come out as they are."""

    def __init__(self) -> None:
        self.mended = 0
        """Packets whose time did not rise."""
        self._last: int | None = None  # decoding time of the last packet
        self._end = 0  # when it ends, as it says itself

    def next(self, packet: AudioPacket) -> AudioPacket:
        """Return the next packet: one that comes no later than the one before is a tick later, one without a time
        follows it.
        """
        known = packet.pts if packet.dts is None else packet.dts
        dts = self._end if known is None else known
        if self._last is not None and dts <= self._last:
            dts = self._last + 1
        pts = dts if packet.pts is None else max(packet.pts, dts)
        self._last, self._end = dts, dts + max(packet.duration, 1)
        if dts == known and pts == packet.pts:
            return packet
        self.mended += known is not None
        return replace(packet, pts=pts, dts=dts)


class MuxedPackets:
    """Puts the packets of one output stream in order in the unit that its container counts in, which may be coarser
    than theirs.
    """

    def __init__(self, unit: Fraction, strict: bool) -> None:
        """unit: seconds; strict: whether the container refuses two packets of one time."""
        self._unit, self._strict = unit, strict
        self._last: int | None = None

    def place(self, packet: av.Packet[Any]) -> None:
        """Move a packet that would come no later than the one before to a unit behind it.

        Where packets may share a time, those shorter than a unit do, or they would lag more and more.
        """
        if packet.dts is None or packet.pts is None or not packet.time_base:
            return
        ratio = Fraction(packet.time_base) / self._unit
        dts, pts = _nearest(packet.dts * ratio), _nearest(packet.pts * ratio)
        late = self._last is not None and dts <= self._last and (self._strict or (packet.duration or 0) * ratio >= 1)
        if self._last is not None and late:
            dts = self._last + 1
        self._last = dts
        if late or self._strict:
            packet.duration = _nearest((packet.duration or 0) * ratio)
            packet.dts, packet.pts, packet.time_base = dts, max(pts, dts), self._unit


def _nearest(value: Fraction) -> int:
    """The nearest whole number, of two the one further from 0, as FFmpeg rounds."""
    return int(abs(value) + Fraction(1, 2)) * (1 if value >= 0 else -1)
