"""Presentation times of a group in few bytes: how far each frame lies from the straight line between first and last."""

from __future__ import annotations

import numpy as np

from latcomp.container.varint import VarintReader, put_signed, put_unsigned
from latcomp.errors import DamagedFileError

WHAT = "frame times"
PTS_MIN, PTS_MAX = -(2**63), 2**63 - 1


def _line(frames: int, span: int) -> list[int]:
    """Rounded times from 0 to `span`, `frames` of them. A constant rate lies on it exactly, a rounded one within a unit."""
    steps = max(frames - 1, 1)
    return [(2 * place * span + steps) // (2 * steps) for place in range(frames)]


def encode_times(pts: list[int]) -> bytes:
    """Bytes for the times after the first: none for one frame, else the span, then (run, distance) pairs unless all are on the line."""
    if len(pts) == 1:
        return b""
    first, span = pts[0], pts[-1] - pts[0]
    out = bytearray()
    put_signed(out, span)
    distances = [time - first - on_line for time, on_line in zip(pts, _line(len(pts), span), strict=True)]
    if any(distances):
        place = 0
        while place < len(distances):
            run = 1
            while place + run < len(distances) and distances[place + run] == distances[place]:
                run += 1
            put_unsigned(out, run)
            put_signed(out, distances[place])
            place += run
    return bytes(out)


def decode_times(data: bytes | memoryview, frames: int, first: int) -> np.ndarray:
    """int64 (frames,): the times. Raises `DamagedFileError` when the bytes do not give exactly `frames` times of 64 bits."""
    times = [first]
    if frames > 1:
        numbers = VarintReader(data, WHAT)
        times = [first + on_line for on_line in _line(frames, numbers.signed())]
        place = 0
        while not numbers.exhausted:
            run, distance = numbers.unsigned(), numbers.signed()
            if run == 0 or run > frames - place:
                raise DamagedFileError(f"{WHAT}: {place + run} of {frames} frames")
            for index in range(place, place + run):
                times[index] += distance
            place += run
        if place not in (0, frames):
            raise DamagedFileError(f"{WHAT}: {place} of {frames} frames")
    elif len(data):
        raise DamagedFileError(f"{WHAT}: bytes where none belong")
    if min(times) < PTS_MIN or max(times) > PTS_MAX:
        raise DamagedFileError(f"{WHAT}: a time passes 64 bits")
    return np.array(times, np.int64)
