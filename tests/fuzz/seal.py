"""Bytes made acceptable from outside, so that changes reach the inside: zstd frames that store, chunks and headers with
a right CRC-32.

No atheris in here: the mutator of whole files takes the function that changes a piece of bytes.
"""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable

from latcomp.container.format import CHUNK_HEAD, CRC, MAGIC, PRELUDE, VERSION, VERSION_REQUIRING

Change = Callable[[bytes, int], bytes]
"""Changes bytes so that they do not pass a length."""

RAW_BLOCK_MAX = 1 << 17


def raw_frame(content: bytes) -> bytes:
    """A zstd frame of one block that is stored as it is: much quicker than compressing, and every content can be
    said.
    """
    content = content[:RAW_BLOCK_MAX]
    head = struct.pack(
        "<IBI", 0xFD2FB528, 0xA0, len(content)
    )  # the content's size in four bytes, no window, no checksum
    return head + struct.pack("<I", len(content) << 3 | 1)[:3] + content


def sealed(kind: bytes, payload: bytes) -> bytes:
    """A chunk with the right length and CRC-32."""
    body = CHUNK_HEAD.pack(type=kind, payload_bytes=len(payload)) + payload
    return body + CRC.pack(crc=zlib.crc32(body))


def front_of(text: bytes, version: int | None = None) -> bytes:
    """Prelude, header frame and CRC-32 around any bytes as the header's text; version: unless given, the one that a
    text naming requirements needs, or the first."""
    if version is None:
        version = VERSION_REQUIRING if b'"requires"' in text else VERSION
    frame = raw_frame(text)
    front = PRELUDE.pack(magic=MAGIC, version=version, header_bytes=len(frame)) + frame
    return front + CRC.pack(crc=zlib.crc32(front))


def split_front(data: bytes) -> tuple[bytes, bytes]:
    """(prelude, header and CRC-32; the rest) of a file whose front is intact."""
    size = PRELUDE.size + PRELUDE.unpack(data)["header_bytes"] + CRC.size
    return data[:size], data[size:]


def split_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """(type, payload) of chunks one behind the other, whatever their CRC-32; what does not fit is the payload of a last
    one.
    """
    found, place = [], 0
    while place + CHUNK_HEAD.size <= len(data):
        length = CHUNK_HEAD.unpack(data, place)["payload_bytes"]
        body = place + CHUNK_HEAD.size
        found.append((data[place : place + 4], data[body : body + length]))
        place = body + length + CRC.size
    return found


def changed_chunks(data: bytes, most: int, change: Change, seed: int) -> bytes:
    """Chunks with a change: inside a payload under a right CRC-32 (mostly), in their order, or anywhere without
    repair.
    """
    rng = random.Random(seed)
    chunks = split_chunks(data)
    way = rng.random()
    if not chunks or way < 0.08:
        return change(data, most)
    at = rng.randrange(len(chunks))
    kind, payload = chunks[at]
    if way < 0.75:
        room = max(most - len(data), 0)
        cut = min(
            rng.choice((len(payload), 40)), len(payload)
        )  # the numbers at the front are worth more than their share
        chunks[at] = kind, change(payload[:cut], cut + room) + payload[cut:]
    elif way < 0.82:
        chunks.insert(rng.randrange(len(chunks) + 1), chunks[at])
    elif way < 0.88:
        del chunks[at]
    elif way < 0.94:
        other = rng.randrange(len(chunks))
        chunks[at], chunks[other] = chunks[other], chunks[at]
    else:
        chunks[at] = rng.choice((b"GRUP", b"AUDI", b"atch", b"INDX", b"ENDF", b"note", b"NOTE")), payload
    found = b"".join(sealed(*chunk) for chunk in chunks)
    if rng.random() < 0.1 and found:  # and some damage that a reader must step over
        place = rng.randrange(len(found))
        found = found[:place] + bytes([found[place] ^ 1 << rng.randrange(8)]) + found[place + 1 :]
    return found[:most]


def changed_file(data: bytes, most: int, change: Change, seed: int) -> bytes:
    """A whole file with a change to its chunks, its front as it is."""
    try:
        front, rest = split_front(data)
    except struct.error:
        return change(data, most)
    return front + changed_chunks(rest, max(most - len(front), 0), change, seed)
