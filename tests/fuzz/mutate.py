"""Changes to whole .lat files that know their structure: header members, times, audio, index and counts, sealed again
and mostly with places that still fit, so that what lies is one thing and not its checksum."""

from __future__ import annotations

import json
import random
import struct
from contextlib import suppress
from dataclasses import replace
from typing import Any

from latcomp.container.format import AUDIO_HEAD, CRC, END, GROUP_HEAD, PRELUDE
from latcomp.container.index import pack_index, unpack_index
from latcomp.container.varint import pack_signed
from latcomp.container.zstd import decompress
from latcomp.errors import LatcompError
from tests.fuzz.seal import front_of, sealed, split_chunks, split_front

Chunks = list[tuple[bytes, bytes]]

ODD: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    4,
    7,
    8,
    96,
    255,
    256,
    65535,
    65536,
    2**31 - 1,
    2**31,
    2**32,
    2**53,
    2**63 - 1,
    2**63,
    -(2**63),
    10**30,
    0.0,
    0.5,
    -0.5,
    1e-300,
    1e300,
    "",
    "x",
    "kept",
    "lossless",
    "int",
    "\ud800",
    "\x1b[31m",
    "0" * 64,
    "00",
    [],
    [0, 1],
    [1, 0],
    [1, 1],
    [1, 2**31 - 1],
    [2**31 - 1, 1],
    [0, 0],
    [1],
    {},
    [{}],
    {"name": "x"},
)
NUMBERS = (0, 1, 2, 3, 4, 5, 8, 16, 127, 128, 255, 256, 511, 65535, 2**31 - 1, 2**31, 2**32 - 1)


def changed_lat(data: bytes, rng: random.Random) -> bytes:
    """The file with one to three changes; its index and end marker fit the new places unless they are what is
    changed.
    """
    front, rest = split_front(data)
    text, chunks = decompress(front[PRELUDE.size : -CRC.size], 1 << 20, "header"), split_chunks(rest)
    fits = True
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        way = rng.random()
        if way < 0.3:
            text = _header(text, rng)
        elif way < 0.5:
            _group(chunks, rng)
        elif way < 0.65:
            _audio(chunks, rng)
        elif way < 0.8:
            fits = _ends(chunks, rng)
        elif way < 0.95:
            _order(chunks, rng)
        else:
            return _bytes(data, rng)
    front = front_of(text)
    return front + b"".join(sealed(*chunk) for chunk in (placed(chunks, len(front)) if fits else chunks))


def _bytes(data: bytes, rng: random.Random) -> bytes:
    place = rng.randrange(len(data))
    if rng.random() < 0.3:
        return data[:place]
    return data[:place] + rng.randbytes(rng.choice((1, 1, 4, 40))) + data[place + rng.choice((0, 1, 4)) :]


def _header(text: bytes, rng: random.Random) -> bytes:
    """Another value somewhere in the header, a member less, or one from elsewhere."""
    values = json.loads(text)
    place, name = values, rng.choice(sorted(values))
    while isinstance(place[name], dict | list) and place[name] and rng.random() < 0.7:
        place = place[name]
        name = rng.choice(sorted(place)) if isinstance(place, dict) else rng.randrange(len(place))
    if isinstance(place, dict) and rng.random() < 0.1:
        del place[name]
    elif isinstance(place[name], int) and rng.random() < 0.4:
        place[name] += rng.choice((-1, 1, 7))
    elif isinstance(place[name], str) and rng.random() < 0.3:
        place[name] = place[name][:-2]
    else:
        place[name] = rng.choice(ODD)
    return json.dumps(values).encode()


def _of(chunks: Chunks, kind: bytes, rng: random.Random) -> int | None:
    places = [place for place, chunk in enumerate(chunks) if chunk[0] == kind]
    return rng.choice(places) if places else None


def _group(chunks: Chunks, rng: random.Random) -> None:
    """A number of a group's head, its times, or some bytes of its keep mask and tokens."""
    at = _of(chunks, b"GRUP", rng)
    if at is None or len(chunks[at][1]) < GROUP_HEAD.size:
        return
    payload = chunks[at][1]
    head = dict(GROUP_HEAD.unpack(payload))
    times, body = payload[GROUP_HEAD.size :][: head["times_bytes"]], payload[GROUP_HEAD.size + head["times_bytes"] :]
    way = rng.random()
    if way < 0.4:
        name = rng.choice(sorted(head))
        head[name] = rng.choice((*NUMBERS, -1, -(2**63), 2**62, head[name] + 1, head[name] - 1))
    elif way < 0.7:
        times = b"".join(
            pack_signed([rng.choice((0, 1, -1, 40, 512, -(2**62), 2**62))]) for _ in range(rng.choice((0, 1, 1, 3)))
        )
        head["times_bytes"] = len(times)
        head["first_pts"] += rng.choice((0, 0, 1, -1, -(2**40), 2**62))
    elif body:
        body = _bytes(body, rng)
    with suppress(LatcompError):
        chunks[at] = b"GRUP", GROUP_HEAD.pack(**head) + times + body


def _audio(chunks: Chunks, rng: random.Random) -> None:
    """The numbers at the front of an audio chunk, its packets' times among them."""
    at = _of(chunks, b"AUDI", rng)
    if at is None or not chunks[at][1]:
        return
    payload = bytearray(chunks[at][1])
    for _ in range(rng.randint(1, 3)):
        payload[rng.randrange(min(len(payload), AUDIO_HEAD.size + 60))] = rng.choice(
            (0, 1, 2, 3, 127, 128, 255, rng.randrange(256))
        )
    chunks[at] = b"AUDI", bytes(payload)


def _ends(chunks: Chunks, rng: random.Random) -> bool:
    """The index or the end marker; whether both still fit."""
    at = _of(chunks, rng.choice((b"INDX", b"ENDF")), rng)
    if at is None:
        return True
    kind, payload = chunks[at]
    try:
        if kind == b"ENDF":
            end = dict(END.unpack(payload))
            name = rng.choice(sorted(end))
            end[name] = rng.choice((*NUMBERS, end[name] + 1, max(end[name] - 1, 0)))
            chunks[at] = kind, END.pack(**end)
        else:
            entries = list(unpack_index(payload, 1 << 40))
            entry = rng.randrange(len(entries))
            name = rng.choice(("group", "first_frame", "first_pts", "offset"))
            beside = getattr(entries[entry], name) + rng.choice((-1, 1, 40))
            entries[entry] = replace(entries[entry], **{name: rng.choice((*NUMBERS, beside))})
            chunks[at] = kind, pack_index(entries)
    except (LatcompError, IndexError, struct.error):
        return True
    return False


def _order(chunks: Chunks, rng: random.Random) -> None:
    """A chunk twice, missing, in another place, or of another type."""
    if not chunks:
        return
    at, other, way = rng.randrange(len(chunks)), rng.randrange(len(chunks)), rng.random()
    if way < 0.3:
        del chunks[at]
    elif way < 0.5:
        chunks.insert(other, chunks[at])
    elif way < 0.8:
        chunks[at], chunks[other] = chunks[other], chunks[at]
    else:
        chunks[at] = rng.choice((b"GRUP", b"AUDI", b"atch", b"INDX", b"ENDF", b"note", b"NOTE")), chunks[at][1]


def placed(chunks: Chunks, start: int) -> Chunks:
    """The chunks with an index and an end marker that name the places where their groups and the index stand now."""
    places, place, behind = {}, start, start
    for kind, payload in chunks:
        if kind == b"GRUP" and len(payload) >= GROUP_HEAD.size:
            places[GROUP_HEAD.unpack(payload)["index"]] = behind
            behind = place + len(payload) + 12
        place += len(payload) + 12
    found, place = [], start
    index_at = None
    for kind, payload in chunks:
        with suppress(LatcompError, struct.error):
            if kind == b"INDX":
                index_at = place
                entries = unpack_index(payload, 1 << 40)
                payload = pack_index(
                    [replace(entry, offset=places.get(entry.group, entry.offset)) for entry in entries]
                )
            elif kind == b"ENDF" and index_at is not None:
                payload = END.pack(**{**END.unpack(payload), "index_offset": index_at})
        found.append((kind, payload))
        place += len(payload) + 12
    return found
