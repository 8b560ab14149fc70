"""Files made to do harm are refused before they cost memory or time."""

from __future__ import annotations

import io
import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest
import zstandard

from latcomp.container import Group, Limits, Reader, check, scan
from latcomp.container.coding.masks import MASK_CLASSES
from latcomp.container.format import END, GROUP_HEAD, INDEX_HEAD
from latcomp.container.header import pack_header
from latcomp.container.varint import pack_signed, put_unsigned
from latcomp.container.zstd import decompress
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError
from tests.container.make import groups, header, prior, sized, under, written
from tests.container.test_damage import chunks
from tests.container.test_header import changed, raw_file

OF = header()
MADE = groups(OF, 2)
FRONT, CHUNKS = chunks(written(OF, MADE, sound=False))
CHEAP_BYTES = 24 << 20
CHEAP_SECONDS = 3.0


@contextmanager
def cheaply() -> Iterator[None]:
    """Fails when the block takes more than 24 MiB or 3 seconds."""
    tracemalloc.start()
    began = time.process_time()  # the machine may be busy with other things
    try:
        yield
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < CHEAP_BYTES
    assert time.process_time() - began < CHEAP_SECONDS


def chunk(kind: bytes, payload: bytes) -> bytes:
    """A chunk with a right CRC-32."""
    body = kind + struct.pack("<I", len(payload)) + payload
    return body + struct.pack("<I", zlib.crc32(body))


def group_with(**changes: int) -> bytes:
    """The first group's chunk with some numbers of its head changed."""
    payload = CHUNKS[0][8:-4]
    return chunk(b"GRUP", GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(payload), **changes}) + payload[GROUP_HEAD.size :])


def bomb(size: int, declared: int | None = None) -> bytes:
    """A small zstd frame of many zeros; `declared` forges its content size."""
    frame = bytearray(zstandard.ZstdCompressor(level=19).compress(bytes(size)))
    if declared is not None:
        assert zstandard.get_frame_parameters(bytes(frame)).content_size == size and size >= 65536 + 256
        frame = bytearray(b"\x28\xb5\x2f\xfd\xe0") + struct.pack("<Q", declared) + frame[9:]
    return bytes(frame)


@pytest.mark.parametrize(
    "change",
    [
        {"width": 2**24, "height": 2**24},
        {"width": 2**24},
        {
            "width": 1000,
            "tokenizer": {"name": "x", "sha256": "00" * 32, "channels": 65536, "spatial": 4, "temporal": 4},
        },
        {
            "width": 8000,
            "height": 4000,
            "tokenizer": {"name": "x", "sha256": "00" * 32, "channels": 1, "spatial": 1, "temporal": 4},
        },
        {
            "width": 8000,
            "height": 4000,
            "tokenizer": {"name": "x", "sha256": "00" * 32, "channels": 1000, "spatial": 1, "temporal": 4},
        },
    ],
)
def test_absurd_sizes_in_the_header(change) -> None:
    """A header that claims absurd sizes is refused before anything is allocated for them."""
    with cheaply(), pytest.raises(LimitError, match="raise with max_"):
        Reader(io.BytesIO(changed(**change)))


def test_header_lengths() -> None:
    """A header length of 4 GB, and a header that unpacks to 64 MB or claims a terabyte, are refused."""
    with cheaply(), pytest.raises(LimitError):
        Reader(io.BytesIO(raw_file(b"")[:10] + struct.pack("<I", 2**32 - 1) + bytes(100)))
    for frame in (bomb(64 << 20), bomb(1 << 20, declared=1 << 40)):
        with cheaply(), pytest.raises(DamagedFileError, match="declares"):
            Reader(io.BytesIO(raw_file(b"", frame=frame)))


BILLION = 10**9


@pytest.mark.parametrize("reading", [lambda data: list(Reader(io.BytesIO(data))), lambda data: scan(io.BytesIO(data))])
@pytest.mark.parametrize(
    "damaged",
    [
        FRONT + group_with(first_frame=BILLION),
        FRONT + CHUNKS[0] + group_with(index=BILLION, first_frame=BILLION),
        FRONT + CHUNKS[0] + group_with(index=3_000_000, first_frame=90_000_000),
        FRONT
        + b"".join(CHUNKS[:2])
        + chunk(b"ENDF", END.pack(groups=2**31, frames=BILLION, audio_packets=0, index_offset=0)),
        FRONT
        + b"".join(CHUNKS[:2])
        + chunk(b"ENDF", END.pack(groups=2**22, frames=90_000_000, audio_packets=0, index_offset=0)),
    ],
)
def test_a_billion_frames(damaged: bytes, reading) -> None:
    """A claim of 10^9 frames, or of millions of lost ones, is refused cheaply wherever it stands."""
    with cheaply(), pytest.raises(LimitError, match="raise with max_"):
        reading(damaged)


@pytest.mark.parametrize(
    "change",
    [
        {"frames": 65535},
        {"frames": 0},
        {"latent_frames": 255},
        {"latent_frames": 0},
        {"latent_frames": 9, "frames": 36},
        {"tokens_kept": 2**32 - 1},
        {"tokens_kept": 0},
        {"mask_bytes": 2**32 - 1},
        {"times_bytes": 65535},
    ],
)
def test_counts_that_contradict(change: dict[str, int]) -> None:
    """Counts of a group that contradict the header or the payload are reported, without their cost."""
    with cheaply():
        assert check(io.BytesIO(FRONT + group_with(**change) + CHUNKS[1]))
        assert scan(io.BytesIO(FRONT + group_with(**change))).problems


def test_more_tokens_than_the_mask_has() -> None:
    """The count of tokens must be that of the mask."""
    count = len(MADE[0].tokens) - 1
    assert "keep mask has" in str(check(io.BytesIO(FRONT + group_with(tokens_kept=count)))[0])


def payload_of(mask: bytes, tokens: bytes, coding: int, layout: int) -> bytes:
    """A key group of one latent frame beside the first, with any bytes as mask and tokens."""
    head = GROUP_HEAD.pack(
        index=0,
        first_frame=0,
        first_pts=0,
        frames=8,
        latent_frames=2,
        flags=1,
        mask_coding=coding,
        token_layout=layout,
        tokens_kept=70 if coding == 0 else 40,
        times_bytes=1,
        mask_bytes=len(mask),
        step_adjust=0,
    )
    return FRONT + chunk(b"GRUP", head + pack_signed([7]) + mask + tokens)


BOMBS = [bomb(64 << 20), bomb(1 << 20, declared=1 << 40), bomb(1 << 20, declared=2**64 - 3)]


@pytest.mark.parametrize("frame", BOMBS)
@pytest.mark.parametrize("layout", [0, 1, 2])
def test_token_bombs(frame: bytes, layout: int) -> None:
    """A zstd frame that unpacks to more than the tokens can be is refused by its declared size."""
    frame = struct.pack("<BI", 1, len(frame)) + frame if layout == 2 else frame
    with cheaply():
        assert "declares" in str(check(io.BytesIO(payload_of(b"", frame, 0, layout)))[0])


@pytest.mark.parametrize("frame", BOMBS)
@pytest.mark.parametrize("coding", [1, 2, 3])
def test_mask_bombs(frame: bytes, coding: int) -> None:
    """The same for masks."""
    with cheaply():
        assert "declares" in str(check(io.BytesIO(payload_of(frame, b"", coding, 0)))[0])


@pytest.mark.parametrize(("mask", "tokens"), [(4, 3), (1, 3), (0, 3), (0, 4), (0, 5), (1, 4)])
@pytest.mark.parametrize("size", [0, 8, 200])
def test_claims_without_their_bytes_under_a_prior(mask: int, tokens: int, size: int) -> None:
    """A group that claims 8K and all of its tokens, or its mask, in a few bytes is refused by what those need at
    least.
    """
    by = prior(6)
    of = under(sized(540, 1024, 6), by)
    part = bomb(540 * 1024)[:size] if mask == 1 else bytes(size)
    head = GROUP_HEAD.pack(
        index=0,
        first_frame=0,
        first_pts=0,
        frames=32,
        latent_frames=8,
        flags=1,
        mask_coding=mask,
        token_layout=tokens,
        tokens_kept=540 * 1024 * 8,
        times_bytes=1,
        mask_bytes=len(part) if mask else 0,
        step_adjust=0,
    )
    data = pack_header(of) + chunk(b"GRUP", head + pack_signed([31]) + part * bool(mask) + bytes(size))
    with cheaply():
        assert "cannot hold its" in str(check(io.BytesIO(data), find_prior=lambda name, sha256: by)[0])


@pytest.mark.parametrize("layout", [0, 1, 6, 16, 17])
def test_claims_without_their_bytes(layout: int) -> None:
    """The same without a prior; what repeats, as in layout 2, may take no bytes."""
    requires = ("adaptive",) if layout == 6 else ()
    of = sized(540, 1024, 6, coding="lossless" if layout > 9 else "int", requires=requires)
    head = GROUP_HEAD.pack(
        index=0,
        first_frame=0,
        first_pts=0,
        frames=32,
        latent_frames=8,
        flags=1,
        mask_coding=0,
        token_layout=layout,
        tokens_kept=540 * 1024 * 8,
        times_bytes=1,
        mask_bytes=0,
        step_adjust=0,
    )
    with cheaply():
        assert "cannot hold its" in str(
            check(io.BytesIO(pack_header(of) + chunk(b"GRUP", head + pack_signed([31]) + bytes(100))))[0]
        )


def test_a_zstd_frame_of_next_to_nothing() -> None:
    """A frame may not declare more than any zstd frame of its length can hold."""
    frame = b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", 1 << 20) + b"\x01\x00\x00"
    with cheaply(), pytest.raises(DamagedFileError, match="cannot hold"):
        decompress(frame, 1 << 26, "test")
    longest = bomb(1 << 26)
    assert len(longest) * 32768 > 1 << 26
    assert decompress(longest, 1 << 26, "test") == bytes(1 << 26)


def test_streams_that_claim_too_much() -> None:
    """Stream tables that claim other counts than there are positions are reported."""
    for count in (0, 34, 36, 2**40):
        table = bytearray((1, MASK_CLASSES - 1, 0))
        put_unsigned(table, count)
        frame = zstandard.compress(bytes(table) + bytes(5))
        with cheaply():
            assert "keep mask" in str(check(io.BytesIO(payload_of(frame, b"", 3, 0)))[0])


def test_undeclared_sizes_and_wide_windows() -> None:
    """Frames without a content size, with a window above 8 MiB, with bytes behind or cut off are refused."""
    plain = zstandard.compress(bytes(100))
    stream = zstandard.ZstdCompressor().compressobj()
    undeclared = stream.compress(bytes(100)) + stream.flush()
    wide = zstandard.ZstdCompressor(
        compression_params=zstandard.ZstdCompressionParameters.from_level(
            19, window_log=24, source_size=1 << 25, write_content_size=True
        )
    ).compress(bytes(1 << 25))
    for frame in (undeclared, plain + b"x", plain + plain, plain[:-1], b"", b"nonsense", wide):
        with pytest.raises(DamagedFileError):
            decompress(frame, 1 << 26, "test")
    assert decompress(plain, 100, "test", exactly=100) == bytes(100)


def test_lengths_that_lie() -> None:
    """A chunk that claims 4 GB, or as much as a chunk may have, costs no more than the file has bytes."""
    for length in (2**32 - 1, 60 << 20):
        with cheaply():
            damage = check(io.BytesIO(FRONT + CHUNKS[0] + b"GRUP" + struct.pack("<I", length) + bytes(1000)))
            assert damage


@pytest.mark.parametrize("between", [b"", chunk(b"AUDI", b"")], ids=["fakes", "fakes-and-chunks"])
def test_search_does_not_run_wild(between: bytes) -> None:
    """Thousands of places that look like long chunks do not make the search after damage take forever, also not with
    intact chunks between them: what was read is given, and the end of the search is said."""
    fake = (b"GRUP" + struct.pack("<I", 40 << 20) + between) * 4000
    data = FRONT + CHUNKS[0] + b"GRUP" + bytes(8) + fake + bytes(41 << 20)
    began = time.process_time()
    reader = Reader(io.BytesIO(data), Limits(max_search_bytes=1 << 28))
    assert [item.index for item in reader if isinstance(item, Group)] == [0]
    assert "gave up looking" in str(reader.damage[-1])
    assert time.process_time() - began < 4 * CHEAP_SECONDS
    assert scan(io.BytesIO(data), Limits(max_search_bytes=1 << 28)).bytes_total == len(data)


def test_an_index_of_a_billion_segments() -> None:
    """An index may not claim more segments than the bytes before it can hold, however well they compress."""
    for frame in (bomb(1 << 20), bomb(24 << 20)):
        for count in (BILLION, 1 << 20):
            with cheaply():
                damaged = FRONT + b"".join(CHUNKS[:2]) + chunk(b"INDX", INDEX_HEAD.pack(segments=count) + frame)
                assert "segments in" in str(check(io.BytesIO(damaged))[0])


def test_thousands_of_problems() -> None:
    """A file of nothing but damage is reported in bounded memory: the first problems, and how many more there are."""
    data = FRONT + chunk(b"AUDI", b"") * 10_000
    with cheaply():
        problems = check(io.BytesIO(data))
    assert len(problems) == Limits().max_problems + 1
    assert "9001 more problems" in str(problems[-1])  # and the missing end marker is one of them


def test_groups_of_many_frames_that_cannot_be_decoded() -> None:
    """Groups of 65280 frames in a few bytes each, none of which can be decoded, cost neither memory nor time."""
    of = sized(1, 1, 1, group_latent_frames=255)
    of = replace(of, tokenizer={**of.tokenizer, "temporal": 256})
    front = chunks(written(of, [], sound=False))[0]
    heads = []
    for index in range(2000):
        head = GROUP_HEAD.pack(
            index=index,
            first_frame=65280 * index,
            first_pts=0,
            frames=65280,
            latent_frames=255,
            flags=0,
            mask_coding=0,
            token_layout=0,
            tokens_kept=0,
            times_bytes=9,
            mask_bytes=0,
            step_adjust=0,
        )
        heads.append(chunk(b"GRUP", head + pack_signed([2**60])))
    with cheaply(), pytest.raises(LimitError, match="max_lost_frames"):
        check(io.BytesIO(front + b"".join(heads)))
    with cheaply():  # the same group over and over
        assert check(io.BytesIO(front + heads[0] * 2000))


@pytest.mark.parametrize("change", [{"mask_coding": 9}, {"token_layout": 9}, {"token_layout": 16}, {"flags": 5}])
def test_ids_of_a_later_version(change: dict[str, int]) -> None:
    """Codings, layouts and flags that are not known make a file unsupported, not damaged."""
    with pytest.raises(UnsupportedFileError):
        check(io.BytesIO(FRONT + group_with(**change)))


def test_unknown_chunks() -> None:
    """An unknown optional chunk is stepped over, an unknown critical one makes the file unsupported."""
    note = chunk(b"note", b"hello")
    end = END.unpack(CHUNKS[3], 8)
    rest = CHUNKS[2] + chunk(b"ENDF", END.pack(**{**end, "index_offset": end["index_offset"] + len(note)}))
    reader = Reader(io.BytesIO(FRONT + CHUNKS[0] + CHUNKS[1] + note + rest))
    assert len(list(reader)) == 2
    assert [str(problem) for problem in reader.damage] == []
    with pytest.raises(UnsupportedFileError, match="NOTE"):
        list(Reader(io.BytesIO(FRONT + CHUNKS[0] + chunk(b"NOTE", b"hello") + CHUNKS[1] + rest)))


def test_audio_numbers() -> None:
    """Audio chunks that claim more packets or bytes than they have, or another stream, are reported."""
    heads = [struct.pack("<BI", *numbers) for numbers in ((0, BILLION), (9, 0), (0, 1), (0, 1 << 20))]
    for payload in (b"", bytes(4), heads[0] + bytes(50), heads[1], heads[2] + bytes(9), heads[3] + bytes(5 << 20)):
        with cheaply():
            assert "audio" in str(check(io.BytesIO(FRONT + chunk(b"AUDI", payload)))[0])


def test_tokens_that_leave_16_bits() -> None:
    """Layout 1 may not lead to symbols outside of 16 bits."""
    kept, channels = 70, OF.channels
    table = bytearray((1, 1, 20, 8))  # own weights, one stream of all classes, a byte a value
    put_unsigned(table, kept * channels)
    table.append(8)
    weights = bytes(4 * (4 * 3 + 6)) + bytes(2 * channels)
    values = np.full(kept * channels, 254, np.uint8).tobytes() + np.full(kept * channels, 255, np.uint8).tobytes()
    rest = np.full(kept * channels, 65535, "<u2").tobytes()
    head = bytes(table[:1]) + weights + bytes(table[1:]) + values + rest
    assert "16 bits" in str(check(io.BytesIO(payload_of(b"", zstandard.compress(head), 0, 1)))[0])
