"""Presentation times of a group in few bytes: how far each frame lies from the straight line between first and last."""

from __future__ import annotations

import numpy as np

from latcomp.container.varint import VarintReader, put_signed, put_unsigned
from latcomp.errors import DamagedFileError

WHAT = "frame times"
PTS_MIN, PTS_MAX = -(2**63), 2**63 - 1


def _line(frames: int, span: int) -> list[int]:
    """Rounded times from 0 to `span`, `frames` of them. A constant rate lies on it exactly, a rounded one within a
    unit.
    """
    return [_on_line(place, frames, span) for place in range(frames)]


def _on_line(place: int, frames: int, span: int) -> int:
    steps = max(frames - 1, 1)
    return (2 * place * span + steps) // (2 * steps)


def _line_modulo(frames: int, first: int, span: int) -> np.ndarray:
    """uint64 (frames,): `first` plus the line, modulo 2**64. At least two frames, at most 65536.

    In whole arrays: a group of a few bytes may claim that many frames, and one by one they would take a thousand times
    as long."""
    steps = frames - 1
    whole, rest = divmod(span, steps)
    places = np.arange(frames, dtype=np.uint64)
    bent = (2 * places.astype(np.int64) * rest + steps) // (2 * steps)
    return places * np.uint64(whole % 2**64) + bent.astype(np.uint64) + np.uint64(first % 2**64)


def encode_times(pts: list[int]) -> bytes:
    """Bytes for the times after the first: none for one frame, else the span, then (run, distance) pairs unless all are
    on the line.
    """
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
    """int64 (frames,): the times. Raises `DamagedFileError` when the bytes do not give exactly `frames` times of 64
    bits.
    """
    if frames == 1:
        if len(data):
            raise DamagedFileError(f"{WHAT}: bytes where none belong")
        return np.array([first], np.int64)
    numbers = VarintReader(data, WHAT)
    span = numbers.signed()
    times = _line_modulo(frames, first, span)
    place = 0
    while not numbers.exhausted or not place:
        run, distance = (numbers.unsigned(), numbers.signed()) if not numbers.exhausted else (frames, 0)
        if run == 0 or run > frames - place:
            raise DamagedFileError(f"{WHAT}: {place + run} of {frames} frames")
        # the line rises or falls all the way, so its ends tell whether all of a run fits
        ends = [first + distance + _on_line(index, frames, span) for index in (place, place + run - 1)]
        if min(ends) < PTS_MIN or max(ends) > PTS_MAX:
            raise DamagedFileError(f"{WHAT}: a time passes 64 bits")
        times[place : place + run] += np.uint64(distance % 2**64)
        place += run
    if place != frames:
        raise DamagedFileError(f"{WHAT}: {place} of {frames} frames")
    return times.view(np.int64)
