"""The way to the start of a part in files that cannot be searched by time, as their clock may start again: little of it
is decoded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fractions import Fraction
from typing import Any

import av

_HELD_BYTES = 256 << 20  # of packets from one key frame to the next: more are not kept, but decoded


def approached(
    packets: Iterable[tuple[av.Packet[Any], bool]],
    video: int,
    start: Fraction,
    origin: Callable[[], Fraction | None],
    jumped: Callable[[], None],
) -> Iterator[tuple[av.Packet[Any], bool]]:
    """Yield packets without those of `video` that the part from `start` seconds on does not need.

    origin: gives the time of the first frame, None until it is decoded, which needs all packets up to there. jumped:
    called before the first packet behind those left out, a key frame."""
    held: list[tuple[av.Packet[Any], bool]] = []
    size, there = 0, False
    for pair in packets:
        packet = pair[0]
        first = origin()
        if there or first is None or packet.stream.index != video or packet.size == 0:
            if packet.size == 0 and held:
                yield from _released(held, jumped)
                held = []
            yield pair
            continue
        unit = Fraction(packet.time_base or 0)
        shown = None if packet.pts is None else packet.pts * unit - first
        if packet.is_keyframe and shown is not None and shown <= start:
            held, size = [], 0
        held.append(pair)
        size += packet.size
        decoded = shown if packet.dts is None else packet.dts * unit - first
        if size > _HELD_BYTES or (decoded is not None and decoded > start):
            yield from _released(held, jumped)
            held, there = [], True
    yield from _released(held, jumped)


def _released(
    held: list[tuple[av.Packet[Any], bool]], jumped: Callable[[], None]
) -> Iterator[tuple[av.Packet[Any], bool]]:
    if held and held[0][0].is_keyframe:
        jumped()
    yield from held
