"""Damage is reported, never turned into wrong tokens, and reading goes on behind it."""

from __future__ import annotations

import io
import struct
import zlib
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container import AudioChunk, Group, LostGroups, Reader, check, scan
from latcomp.errors import LatcompError
from tests.container.make import Trickle, groups, header, same_group, written

OF = header()
MADE = groups(OF, 6, last_frames=30)
DATA = written(OF, MADE)
FRAMES = 5 * 32 + 30


def every_changed_byte_is_found(data: bytes, by: int) -> None:
    """`check` notices each byte of a file that is changed by `by`, from the first to the last."""
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= by
        with suppress(LatcompError):
            assert check(io.BytesIO(bytes(changed))), f"byte {place}"


def chunks(data: bytes) -> tuple[bytes, list[bytes]]:
    """(front, chunks) of an intact file."""
    place = 14 + struct.unpack_from("<I", data, 10)[0] + 4
    front, found = data[:place], []
    while place < len(data):
        size = struct.unpack_from("<I", data, place + 4)[0] + 12
        found.append(data[place : place + size])
        place += size
    return front, found


FRONT, CHUNKS = chunks(DATA)
GROUPS_AT = [place for place, chunk in enumerate(CHUNKS) if chunk[:4] == b"GRUP"]


def read(data: bytes) -> tuple[list[Group], list[LostGroups], Reader]:
    """Groups and lost groups of a damaged file. Every group must be right, and with the lost ones be in order without
    holes or overlap.
    """
    reader = Reader(io.BytesIO(data))
    items = [item for item in reader if not isinstance(item, AudioChunk)]
    place = 0
    for item in items:
        assert item.first_frame == place
        if isinstance(item, Group):
            assert same_group(item, MADE[item.index])
            place += len(item.pts)
        else:
            assert len(item.pts) == item.frames > 0
            place += item.frames
    return [i for i in items if isinstance(i, Group)], [i for i in items if isinstance(i, LostGroups)], reader


@pytest.mark.parametrize("start", range(0, 97, 16))
def test_cut_at_every_97th_byte(start: int) -> None:
    """A file that is cut off anywhere gives all groups before the cut and says that it is cut."""
    for length in range(max(len(FRONT), start), len(DATA), 97):
        found, _, reader = read(DATA[:length])
        whole, place = 0, len(FRONT)
        for chunk in CHUNKS:
            place += len(chunk)
            whole += place <= length and chunk[:4] == b"GRUP"
        assert len(found) == whole
        assert reader.damage and "cut off" in str(reader.damage[-1])
        assert scan(io.BytesIO(DATA[:length])).problems


@settings(max_examples=150, deadline=None)
@given(st.integers(len(FRONT), len(DATA) - 1), st.integers(0, 7))
def test_a_flipped_bit(place: int, bit: int) -> None:
    """One flipped bit costs at most the rest of a segment, is reported, and no frame number is lost."""
    flipped = bytearray(DATA)
    flipped[place] ^= 1 << bit
    found, lost, reader = read(bytes(flipped))
    assert reader.damage
    assert len(found) >= 4
    assert sum(len(group.pts) for group in found) + sum(item.frames for item in lost) == FRAMES
    assert scan(io.BytesIO(bytes(flipped))).problems
    assert check(io.BytesIO(bytes(flipped)))


@settings(max_examples=60, deadline=None)
@given(st.integers(len(FRONT), len(DATA) - 1), st.binary(min_size=1, max_size=3000))
def test_overwritten_bytes(place: int, junk: bytes) -> None:
    """Any run of overwritten bytes is survived."""
    data = DATA[:place] + junk + DATA[place + len(junk) :]
    if data[: len(DATA)] == DATA:
        return
    read(data)


@settings(max_examples=60, deadline=None)
@given(st.integers(len(FRONT), len(DATA) - 1), st.integers(1, 3000))
def test_missing_bytes(place: int, count: int) -> None:
    """Any run of bytes that is cut out is survived."""
    _, _, reader = read(DATA[:place] + DATA[place + count :])
    assert reader.damage


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_chunks_in_any_order(data: st.DataObject) -> None:
    """Chunks that are left out, repeated or in another order never give wrong tokens."""
    order = data.draw(st.lists(st.sampled_from(range(len(CHUNKS))), max_size=20))
    read(FRONT + b"".join(CHUNKS[place] for place in order))


def test_a_repeated_chunk() -> None:
    """A group that comes twice is given once."""
    at = GROUPS_AT[2]
    found, lost, reader = read(FRONT + b"".join([*CHUNKS[: at + 1], CHUNKS[at], *CHUNKS[at + 1 :]]))
    assert len(found) == 6 and not lost
    assert "again" in str(reader.damage[0])


@pytest.mark.parametrize("victim", range(6))
def test_times_of_lost_frames(victim: int) -> None:
    """A lost group takes the rest of its segment with it; the times of its frames are rebuilt."""
    damaged = bytearray(DATA)
    at = GROUPS_AT[victim]
    damaged[len(FRONT) + sum(map(len, CHUNKS[:at])) + 60] ^= 255
    found, lost, _ = read(bytes(damaged))
    gone = [index for index in range(6) if index == victim or (victim % 2 == 0 and index == victim + 1)]
    assert [group.index for group in found] == [index for index in range(6) if index not in gone]
    assert [(item.first_frame, item.frames) for item in lost] == [
        (MADE[gone[0]].first_frame, sum(len(MADE[index].pts) for index in gone))
    ]
    wanted = np.concatenate([MADE[index].pts for index in gone])
    assert np.abs(lost[0].pts - wanted).max() <= 512
    if victim % 2 == 0:
        assert lost[0].pts[32:].tolist() == wanted[32:].tolist()  # the head of the second group could be read


def test_audio_survives_a_damaged_group() -> None:
    """Audio chunks behind a damaged group are given at once, not only from the next segment on."""
    damaged = bytearray(DATA)
    damaged[len(FRONT) + sum(map(len, CHUNKS[: GROUPS_AT[0]])) + 60] ^= 255
    assert sum(isinstance(item, AudioChunk) for item in Reader(io.BytesIO(bytes(damaged)))) == 6


def test_a_file_in_the_audio() -> None:
    """A whole .lat file inside an audio packet is not taken for chunks when the chunk around it is damaged."""
    from latcomp.container import AudioPacketBytes, Writer

    out = io.BytesIO()
    with Writer(out, OF) as writer:
        writer.write_group(MADE[0])
        writer.write_audio(AudioChunk(0, (AudioPacketBytes(0, 0, 1, 1, DATA),)))
        writer.write_group(MADE[1])
    damaged = bytearray(out.getvalue())
    damaged[damaged.index(b"AUDI") + 8] ^= 1
    found, lost, reader = read(bytes(damaged))
    assert [group.index for group in found] == [0, 1] and not lost and len(reader.damage) == 1


def test_damaged_pipe() -> None:
    """Damage in a pipe is stepped over just as in a file."""
    damaged = bytearray(DATA)
    damaged[len(DATA) // 3] ^= 1
    piped = [type(item) for item in Reader(Trickle(bytes(damaged), 50))]
    assert piped == [type(item) for item in Reader(io.BytesIO(bytes(damaged)))]


def test_bytes_behind_the_end() -> None:
    """Bytes behind the end marker are reported; the groups are all there."""
    found, lost, reader = read(DATA + b"more")
    assert len(found) == 6 and not lost and "behind the end" in str(reader.damage[0])


def test_wrong_counts_and_index() -> None:
    """An end marker or index that does not fit the file is found by `check`."""

    def repaired(chunk: bytes, at: int, value: bytes) -> bytes:
        body = chunk[: 8 + at] + value + chunk[8 + at + len(value) : -4]
        return body + struct.pack("<I", zlib.crc32(body))

    ends = [repaired(CHUNKS[-1], at, struct.pack("<I", 5)) for at in (0, 4, 8)]
    for end in ends:
        assert check(io.BytesIO(FRONT + b"".join(CHUNKS[:-1]) + end))
    other = written(OF, groups(OF, 6, seed=3))
    assert check(io.BytesIO(FRONT + b"".join(CHUNKS[:-2]) + chunks(other)[1][-2] + CHUNKS[-1]))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_group_payloads_made_up(data: st.DataObject) -> None:
    """Payloads changed at random under a right CRC-32 raise a named error or are reported: nothing else escapes."""
    at = data.draw(st.sampled_from(GROUPS_AT))
    payload = bytearray(CHUNKS[at][8:-4])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    body = b"GRUP" + struct.pack("<I", len(payload)) + bytes(payload)
    made = FRONT + b"".join([*CHUNKS[:at], body + struct.pack("<I", zlib.crc32(body)), *CHUNKS[at + 1 :]])
    try:
        for item in Reader(io.BytesIO(made)):
            assert isinstance(item, Group | AudioChunk | LostGroups)
    except LatcompError:
        pass


def test_a_rate_that_lies_gives_lost_frames_times_like_those_behind_them() -> None:
    """One frame in 68 years, says the header: the groups that are there know better."""
    of = header(time_base=(1, 2**31 - 1), average_rate=(1, 2**31 - 1))
    front, parts = chunks(written(of, groups(of, 4), sound=False))
    reader = Reader(io.BytesIO(front + b"".join(parts[2:])))
    lost = next(item for item in reader if isinstance(item, LostGroups))
    assert lost.pts.tolist() == [512 * frame for frame in range(64)]
    assert reader.damage and check(io.BytesIO(front + b"".join(parts[2:])))
