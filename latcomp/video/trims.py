"""Samples that are in an audio packet and not to be heard: the delay a codec begins with, and what fills up its last
packet.

Containers say this each in their own way, FFmpeg as side data of the first and of the last packet.
"""

from __future__ import annotations

import io
import struct
from functools import lru_cache
from typing import Any, Literal

import av

from latcomp.video import ebml

_SKIP = struct.Struct("<IIBB")  # samples at the start, samples at the end, two reasons
_SKIP_TYPE: Literal["skip_samples"] = "skip_samples"
_SAMPLES_MAX = 2**31 - 1
_CODEC_DELAY = "56AA"
_NANOSECONDS = 10**9


def unheard_at_start(packet: av.Packet[Any]) -> int:
    """Return the samples that a player throws away before it plays `packet` and those behind it."""
    return _read(packet)[0]


def unheard_at_end(packet: av.Packet[Any]) -> int:
    """Return the samples at the end of `packet` that a player throws away."""
    return _read(packet)[1]


def set_unheard_at_end(packet: av.Packet[Any], samples: int) -> None:
    """Let a container that can say so know of samples at the end of `packet` that a player is to throw away."""
    data = _carrier().get_sidedata(_SKIP_TYPE)  # PyAV makes none from bytes, so it is copied from a packet that has one
    data.update(_SKIP.pack(0, min(samples, _SAMPLES_MAX), 0, 0))
    packet.set_sidedata(data)


def with_delay(setup: bytes, samples: int, rate: int) -> bytes:
    """Return the head of a Matroska file that says how many samples of its audio come before any that is heard.

    `setup` as it is where it says so already or is no Matroska file.
    """
    if samples <= 0 or rate <= 0:
        return setup
    return ebml.with_in_track(setup, _CODEC_DELAY, round(samples * _NANOSECONDS / rate)) or setup


def _read(packet: av.Packet[Any]) -> tuple[int, int]:
    if not packet.has_sidedata(_SKIP_TYPE):
        return 0, 0
    data = bytes(packet.get_sidedata(_SKIP_TYPE))
    if len(data) < _SKIP.size:
        return 0, 0
    start, end, _, _ = _SKIP.unpack_from(data)
    return min(start, _SAMPLES_MAX), min(end, _SAMPLES_MAX)


@lru_cache(maxsize=1)
def _carrier() -> av.Packet[Any]:
    """A packet that has this side data: the only one of a Matroska file made for that."""
    audio = ebml.element(
        "E1", ebml.element("B5", struct.pack(">f", 8000)) + ebml.number("9F", 1) + ebml.number("6264", 16)
    )
    track = (
        ebml.number("D7", 1)
        + ebml.number("73C5", 1)
        + ebml.number("83", 2)
        + ebml.element("86", b"A_PCM/INT/LIT")
        + audio
    )
    block = ebml.element("A1", b"\x81\0\0\0" + bytes(16)) + ebml.number("75A2", _NANOSECONDS // 8000)
    cluster = ebml.element("1F43B675", ebml.number("E7", 0) + ebml.element("A0", block))
    segment = ebml.element("1654AE6B", ebml.element("AE", track)) + cluster
    file = ebml.element("1A45DFA3", ebml.element("4282", b"matroska")) + ebml.element("18538067", segment)
    with av.open(io.BytesIO(file), "r", format="matroska") as container:
        return next(packet for packet in container.demux() if packet.has_sidedata(_SKIP_TYPE))
