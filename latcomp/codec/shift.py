"""A part of a video on times of its own: its first frame at zero, its audio moved along."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction

from latcomp.video import AudioPacket, Frame, VideoInfo


def moved_to_zero(items: Iterable[Frame | AudioPacket], info: VideoInfo) -> Iterator[Frame | AudioPacket]:
    """The same frames and packets, timed so that the first frame is at zero; audio moves by the same amount.

    Packets that come before the first frame wait for it.
    """
    first: int | None = None
    waiting: list[AudioPacket] = []
    for item in items:
        if isinstance(item, Frame):
            if first is None:
                first = item.pts
                yield from (_moved(packet, first * info.time_base, info) for packet in waiting)
            yield Frame(item.pixels, item.pts - first)
        elif first is None:
            waiting.append(item)
        else:
            yield _moved(item, first * info.time_base, info)


def _moved(packet: AudioPacket, seconds: Fraction, info: VideoInfo) -> AudioPacket:
    shift = round(seconds / info.audio[packet.stream].time_base)
    pts = None if packet.pts is None else packet.pts - shift
    dts = None if packet.dts is None else packet.dts - shift
    return replace(packet, pts=pts, dts=dts)
