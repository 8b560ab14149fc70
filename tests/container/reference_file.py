"""The second decoder over whole files, also made from FORMAT.md alone: chunks, checksums, times, audio, and files
without a prior.
"""

from __future__ import annotations

import json
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import zstandard

from tests.container.reference_adaptive import Adaptive
from tests.container.reference_decoder import (
    Cursor,
    Frames,
    History,
    Kept,
    Last,
    camera_offsets,
    decode_mask,
    decode_repeats,
    decode_tokens,
    groups,
    signed,
)

TYPE_BYTES = (1, 1, 1, 2, 2, 4, 4, 8, 8, 2, 2, 4, 8, 1, 1, 8)  # of an attachment's numbers, by type id


class Plain(NamedTuple):
    """One group of a file without a prior; tokens are symbols, or the bits of float32 latents."""

    mask_coding: int
    token_layout: int
    mask: list[list[int]]
    """A bit for each visible position."""
    tokens: list[list[int]]


class Pieces(NamedTuple):
    """A file's header and chunks, every checksum right."""

    header: dict[str, Any]
    chunks: list[tuple[int, str, bytes]]
    """(offset, type, payload)"""


def pieces(data: bytes) -> Pieces:
    """Sections 2 and 4."""
    magic, version, length = struct.unpack_from("<8sHI", data)
    assert magic == bytes.fromhex("894C41540D0A1A0A") and version in (1, 2)
    place = 14 + length
    assert struct.unpack_from("<I", data, place)[0] == zlib.crc32(data[:place])
    header, place = json.loads(zstandard.decompress(data[14:place])), place + 4
    required = header.get("requires", [])
    known = {"first_frames", "camera", "steps", "latents", "adaptive"}
    assert version == (2 if required else 1) and set(required) <= known
    chunks = []
    while place < len(data):
        kind, size = struct.unpack_from("<4sI", data, place)
        assert struct.unpack_from("<I", data, place + 8 + size)[0] == zlib.crc32(data[place : place + 8 + size])
        chunks.append((place, kind.decode(), data[place + 8 : place + 8 + size]))
        place += 12 + size
    return Pieces(header, chunks)


def end_and_index(data: bytes) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """((groups, frames, audio packets, offset of the index), [(group, first frame, first pts, offset)]) from the last
    32 bytes on.
    """
    end = struct.unpack_from("<IIIQ", data, len(data) - 32 + 8)
    at = end[3] + 8
    size = struct.unpack_from("<I", data, end[3] + 4)[0]
    (count,) = struct.unpack_from("<I", data, at)
    return end, list(struct.iter_unpack("<IIqQ", zstandard.decompress(data[at + 4 : at + size])))[:count]


def frames_of_latents(header: dict[str, Any], payload: bytes) -> list[int]:
    """Section 4.1: how many frames each latent frame of a group stands for."""
    frames, steps, flags = struct.unpack_from("<HBB", payload, 16)
    temporal = header["tokenizer"]["temporal"]
    first = header["tokenizer"].get("first_frames", temporal) if flags & 1 else temporal
    found = []
    for t in range(steps):
        found.append(min(frames, temporal if t else first))
        frames -= found[-1]
        assert found[-1] > 0
    assert frames == 0
    return found


def times(payload: bytes) -> list[int]:
    """Section 4.1: presentation times of a group's frames."""
    (first,), (count,), (length,) = (
        struct.unpack_from(f"<{kind}", payload, at) for kind, at in (("q", 8), ("H", 16), ("H", 26))
    )
    cursor = Cursor(payload[33 : 33 + length])
    camera_offsets({"flags": payload[19], "frames": count}, cursor)
    if count == 1:
        return [first]
    span = signed(cursor)
    line = [first + (2 * i * span + count - 1) // (2 * (count - 1)) for i in range(count)]
    distances: list[int] = []
    while cursor.at < length:
        run = cursor.varint()
        distances += [signed(cursor)] * run
    assert len(distances) in (0, count)
    return [place + distance for place, distance in zip(line, distances or [0] * count, strict=True)]


def audio(payload: bytes) -> Iterator[tuple[int | None, int | None, int, int, bytes]]:
    """Section 4.3: (pts, dts, duration, flags, bytes) of every packet."""
    count = struct.unpack_from("<I", payload, 1)[0]
    cursor, last, found = Cursor(payload[5:]), 0, []
    for _ in range(count):
        there = cursor.varint()
        pts = last = last + signed(cursor) if there & 1 else last
        dts = last + signed(cursor) if there & 2 else None
        found.append((pts if there & 1 else None, dts, signed(cursor), cursor.varint(), cursor.varint()))
    at = 5 + cursor.at
    for pts, dts, duration, flags, size in found:
        yield pts, dts, duration, flags, payload[at : at + size]
        at += size
    assert at == len(payload)


def attachment(payload: bytes) -> tuple[str, int, list[int], bytes]:
    """Section 4.6: (name, type id, shape, its numbers one behind the other)."""
    length, kind, dimensions = struct.unpack_from("<HBB", payload)
    cursor = Cursor(payload[4 + length :])
    shape = [cursor.varint() for _ in range(dimensions)]
    name, rest = payload[4 : 4 + length].decode(), payload[4 + length + cursor.at :]
    size = TYPE_BYTES[kind]
    count = math.prod(shape)
    planes = zstandard.decompress(rest) if count else rest
    assert len(planes) == size * count
    return name, kind, shape, bytes(planes[j * count + i] for i in range(count) for j in range(size))


def latents(data: bytes) -> list[list[list[float]]]:
    """Sections 3.3 and 3.4: of each latent frame the held latents of each position, before they are rounded to the
    type that they had."""
    header = pieces(data).header
    found: list[list[list[float]]] = []
    for (head, *_), plain in zip(groups(data), read_plain(data), strict=True):
        factor = header["step_scale"] * 2 ** (head["step_adjust"] / 32)
        tokens = iter(plain.tokens)
        for t, mask in enumerate(plain.mask):
            last = [] if head["flags"] & 1 and not t else found[-1]
            here = []
            for place, kept in enumerate(mask):
                if not kept:
                    here.append(last[place])
                elif header["coding"] == "lossless":
                    here.append([struct.unpack("<f", struct.pack("<I", bits))[0] for bits in next(tokens)])
                else:
                    steps = (nearest(step, "float32") for step in header["steps"]["channel_step"])
                    here.append([n * step * factor for n, step in zip(next(tokens), steps, strict=True)])
            found.append(here)
    return found


def nearest(value: float, dtype: str) -> float:
    """The nearest number of a type; of two the one whose last bit is 0."""
    code = {"float32": "f", "bfloat16": "f", "float16": "e"}[dtype]
    single: float = struct.unpack(code, struct.pack(code, value))[0]
    if dtype != "bfloat16":
        return single
    (bits,) = struct.unpack("<I", struct.pack("<f", single))
    rest, bits = bits & 0xFFFF, bits >> 16
    bits += rest > 0x8000 or (rest == 0x8000 and bits & 1)
    return float(struct.unpack("<f", struct.pack("<I", bits << 16))[0])


def read_plain(data: bytes) -> list[Plain]:
    """Every group of an intact file without a prior: sections 6 and 8."""
    header = pieces(data).header
    channels = header["tokenizer"]["channels"]
    world, history = Frames(header), History()
    last: Last = {}
    model: dict[str, Any] = {}
    learned = Adaptive(channels)
    found = []
    for head, offsets, mask_bytes, token_bytes in groups(data):
        key, coding, layout = bool(head["flags"] & 1), head["mask_coding"], head["token_layout"]
        if key:
            history, last, learned = History(), {}, Adaptive(channels)
        shown, known = world.of_group(head, offsets)
        mask = decode_mask(coding, mask_bytes, shown, known, history)
        if "adaptive" in header.get("requires", ()):
            assert layout == 6
            tokens = learned.decode(token_bytes, mask, last)
        elif layout == 1 and token_bytes:
            tokens = decode_tokens(token_bytes, mask, channels, key, last, model)
        elif layout == 2 and token_bytes:
            tokens = decode_repeats(token_bytes, mask, channels, key, last, model)
        else:
            tokens = _by_channel(layout, token_bytes, mask, channels, last)
        assert len(tokens) == head["tokens_kept"]
        found.append(Plain(coding, layout, [list(frame.values()) for frame in mask], tokens))
    return found


def _by_channel(layout: int, data: bytes, mask: Kept, channels: int, last: Last) -> list[list[int]]:
    """Layouts 0, 16 and 17; `last` moves on."""
    places = [place for frame in mask for place, bit in frame.items() if bit]
    if not places:
        return []
    content, count = zstandard.decompress(data), len(places)
    width = len(content) // (count * channels)
    assert len(content) == width * count * channels and width in ((1, 2) if layout == 0 else (4,))
    tokens = []
    for row, place in enumerate(places):
        token = []
        for c in range(channels):
            number = sum(content[(c * width + part) * count + row] << 8 * part for part in range(width))
            if layout == 0:
                number -= (number >> 8 * width - 1) << 8 * width
            elif layout == 17:
                number ^= last[place][c] if place in last else 0
            token.append(number)
        tokens.append(token)
        last[place] = token
    return tokens
