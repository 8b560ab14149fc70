"""A repaired file is a valid file that holds all that the damaged one still held; and no changed byte goes
unnoticed.
"""

from __future__ import annotations

import io
import tracemalloc
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container import AudioChunk, AudioPacketBytes, Group, LostGroups, Reader, Repair, check, repair, scan
from latcomp.container.audio import pack_audio
from latcomp.container.format import GROUP_HEAD
from latcomp.errors import DamagedFileError
from tests.container.make import groups, in_units, prior, sized, under, written
from tests.container.test_damage import CHUNKS, DATA, FRAMES, FRONT, GROUPS_AT, MADE, every_changed_byte_is_found
from tests.container.test_damage import OF as WIDE
from tests.fuzz.seal import sealed

TINY = written(sized(2, 3, 2, group_latent_frames=2), groups(sized(2, 3, 2, group_latent_frames=2), 3, last_frames=3))


def content(data: bytes) -> list[object]:
    """What a file holds, without the numbers that a repair changes."""
    return [
        (item.key, item.pts.tolist(), item.fill, item.step_adjust, item.mask.tobytes(), item.tokens.tobytes())
        if isinstance(item, Group)
        else item
        for item in Reader(io.BytesIO(data))
        if not isinstance(item, LostGroups)
    ]


def repaired(data: bytes) -> tuple[bytes, Repair]:
    """(new file, what was told) of a damaged file; the new one is valid and holds all that the reader gets from the
    damaged one.
    """
    out = io.BytesIO()
    told = repair(io.BytesIO(data), out)
    found = out.getvalue()
    assert check(io.BytesIO(found)) == []
    assert content(found) == content(data)
    assert told.problems == check(io.BytesIO(data))
    summary = scan(io.BytesIO(found))
    assert (told.groups, told.frames, told.segments) == (len(summary.groups), summary.frames, summary.segments)
    assert (told.audio_packets, told.bytes_total) == (summary.audio_packets, len(found))
    return found, told


@pytest.mark.parametrize("by", [0x01, 0x80, 0xFF])
def test_every_changed_byte_is_found(by: int) -> None:
    """`check` notices a change of any single byte of a file, from the first to the last."""
    every_changed_byte_is_found(TINY, by)


def test_an_intact_file_is_copied() -> None:
    """Repair of an intact file gives the same bytes, with and without a prior."""
    assert repaired(DATA)[0] == DATA
    of = under(sized(4, 5, 6), prior())
    data = written(of, in_units(of, groups(of, 3)), prior=prior())
    out = io.BytesIO()
    repair(io.BytesIO(data), out, find_prior=lambda name, sha256: prior())
    assert out.getvalue() == data


def test_a_damaged_group_is_left_out() -> None:
    """The rest of its segment goes with it; frames are numbered anew, times stay, and the index leads to every
    segment.
    """
    damaged = bytearray(DATA)
    damaged[len(FRONT) + sum(map(len, CHUNKS[: GROUPS_AT[2]])) + 60] ^= 1
    found, told = repaired(bytes(damaged))
    assert [(lost.first_frame, lost.frames) for lost in told.lost] == [(64, 64)]
    assert told.frames + told.frames_lost == FRAMES
    assert told.lost[0].start_seconds == pytest.approx(64 * 512 / 12800)
    reader = Reader(io.BytesIO(found))
    assert reader.index is not None and [entry.first_frame for entry in reader.index] == [0, 64]
    reader.seek_segment(70)
    group = next(item for item in reader if isinstance(item, Group))
    assert group.index == 2 and group.first_frame == 64 and group.pts.tolist() == MADE[4].pts.tolist()


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_damage(data: st.DataObject) -> None:
    """Bytes flipped, cut out, overwritten, and chunks in any order: what comes out is valid and complete, or nothing is
    left.
    """
    chosen = (
        data.draw(st.lists(st.sampled_from(range(len(CHUNKS))), max_size=16))
        if data.draw(st.booleans())
        else range(len(CHUNKS))
    )
    damaged = bytearray(b"".join(CHUNKS[place] for place in chosen))
    for _ in range(data.draw(st.integers(0, 3))):
        start = data.draw(st.integers(0, len(damaged)))
        end = start + data.draw(st.integers(0, 400))
        damaged[start:end] = data.draw(st.binary(max_size=40))
    try:
        repaired(FRONT + bytes(damaged))
    except DamagedFileError as error:
        assert "nothing can be repaired" in str(error)
        assert not any(isinstance(item, Group) for item in Reader(io.BytesIO(FRONT + bytes(damaged))))


@pytest.mark.parametrize("length", range(len(FRONT), len(DATA), len(DATA) // 7))
def test_a_file_that_was_cut_off(length: int) -> None:
    """A file without its end gets a new one."""
    whole, place = 0, len(FRONT)
    for chunk in CHUNKS:
        place += len(chunk)
        whole += place <= length and chunk[:4] == b"GRUP"
    if whole:
        assert repaired(DATA[:length])[1].groups == whole
    else:
        with pytest.raises(DamagedFileError, match="nothing can be repaired"):
            repair(io.BytesIO(DATA[:length]), io.BytesIO())


def test_a_damaged_header_cannot_be_repaired() -> None:
    """Without sizes and tokenizer nothing can be read; nothing is written either."""
    out = io.BytesIO()
    with pytest.raises(DamagedFileError, match="header"):
        repair(io.BytesIO(DATA[:30] + b"x" + DATA[31:]), out)
    assert out.getvalue() == b""


def test_unknown_members_and_chunks() -> None:
    """The header is copied with members of later versions; optional chunks that are not known are left out."""
    from tests.container.test_header import changed
    from tests.container.test_hostile import chunk

    front = changed(**{**WIDE.to_dict(), "later": [1, 2]})
    out = io.BytesIO()
    repair(io.BytesIO(front + chunk(b"note", b"hello") + b"".join(CHUNKS[:4])), out)
    assert out.getvalue()[: len(front)] == front and b"hello" not in out.getvalue()
    assert check(io.BytesIO(out.getvalue())) == []


class Source(io.RawIOBase):
    """A pipe that gives pieces as they are made."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self.pieces, self.rest = pieces, b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        self.rest = self.rest or next(self.pieces, b"")
        found, self.rest = self.rest[:size], self.rest[size:]
        return found


class Sink(io.RawIOBase):
    """A pipe that keeps nothing."""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return len(memoryview(data))


def test_pipes_and_memory() -> None:
    """From a pipe to a pipe, in memory that does not grow with the file: every tenth group is damaged, and each has 100
    kB of sound.
    """
    payload = CHUNKS[GROUPS_AT[0]][8:-4]
    sound = sealed(b"AUDI", pack_audio(AudioChunk(0, (AudioPacketBytes(0, 0, 1, 1, bytes(100_000)),))))

    def pieces(count: int) -> Iterator[bytes]:
        yield FRONT
        for index in range(count):
            head = {**GROUP_HEAD.unpack(payload), "index": index, "first_frame": 32 * index}
            group = sealed(b"GRUP", GROUP_HEAD.pack(**head) + payload[GROUP_HEAD.size :])
            yield sound + (group[:-1] if index % 10 == 5 else group)

    def peak(count: int) -> int:
        tracemalloc.start()
        told = repair(Source(pieces(count)), Sink())
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert told.groups == count - count // 10 and told.frames_lost == 32 * (count // 10)
        return found

    few = peak(20)
    assert peak(200) < few + (1 << 20)  # of 18 megabytes more
