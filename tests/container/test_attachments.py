"""Protects: arrays that a file carries along come back as they were, are bounded, found when damaged, kept by a repair,
and passed over by who does not know them."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import zstandard

from latcomp.container import Attachment, Group, Limits, PackedAttachment, Reader, Writer, check, repair, scan
from latcomp.container.attachments import pack_attachment, unpack_attachment
from latcomp.container.format import ATTACHMENT_DTYPES, ATTACHMENT_HEAD
from latcomp.container.varint import put_unsigned
from latcomp.errors import DamagedFileError, LimitError, UsageError
from tests.container.make import groups, same_group, sized
from tests.fuzz.mutate import placed
from tests.fuzz.seal import sealed, split_chunks, split_front

OF = sized(2, 3, 2, group_latent_frames=2)


def some() -> list[Attachment]:
    """One of each type and of rare shapes."""
    rng = np.random.default_rng(1)
    found = []
    for name, size in ATTACHMENT_DTYPES.values():
        shape = (2, 3)
        found.append(Attachment(f"of/{name}", name, shape, rng.bytes(6 * size)))
    found += [
        Attachment.of("one number", np.array(2.5)),
        Attachment.of("nothing", np.zeros((3, 0, 2), np.float32)),
        Attachment.of("文", np.arange(5, dtype=">i4")),
        Attachment.of("bits of bfloat16", np.arange(4, dtype=np.uint16), "bfloat16"),
        Attachment.of("large", np.zeros((64, 4096), np.float16)),
    ]
    return found


def file_with(attachments: list[Attachment], before: int | None = None) -> bytes:
    """A file of three groups; the attachments stand behind them, or before one of them."""
    out = io.BytesIO()
    with Writer(out, OF) as writer:
        for group in groups(OF, 3, last_frames=3):
            if group.index == before:
                for attachment in attachments:
                    writer.write_attachment(attachment)
            writer.write_group(group)
        if before is None:
            for attachment in attachments:
                writer.write_attachment(attachment)
    return out.getvalue()


def read(data: bytes, limits: Limits | None = None) -> tuple[list[Group], list[PackedAttachment], list[str]]:
    reader = Reader(io.BytesIO(data), limits)
    items = list(reader)
    made = [item for item in items if isinstance(item, Group)]
    return made, [item for item in items if isinstance(item, PackedAttachment)], [str(one) for one in reader.damage]


@pytest.mark.parametrize("before", [None, 0, 2])
def test_they_come_back(before: int | None) -> None:
    """All types, wherever they stand; groups and index are as without them."""
    data = file_with(some(), before)
    made, packed, damage = read(data)
    assert not damage and not check(io.BytesIO(data))
    assert [one.unpack() for one in packed] == some()
    assert all(same_group(*pair) for pair in zip(made, groups(OF, 3, last_frames=3), strict=True))
    reader = Reader(io.BytesIO(data))
    assert reader.index and reader.seek_segment(16) is not None
    assert [item.index for item in reader if isinstance(item, Group)] == [2]
    assert reader.seek_segment(16) is not None and [item.index for item in reader if isinstance(item, Group)] == [2]
    assert not reader.damage


def test_arrays() -> None:
    """What NumPy has comes back as it was; of what it does not have, the bits."""
    for values in (
        np.arange(6, dtype=np.float16).reshape(2, 3),
        np.array([True, False]),
        np.array(3 + 4j, np.complex64),
    ):
        again = unpack_attachment(pack_attachment(Attachment.of("x", values))).unpack().array
        assert again.dtype == values.dtype and np.array_equal(again, values) and again.shape == values.shape
    assert Attachment("x", "bfloat16", (1,), b"\x80\x3f").array.tolist() == [0x3F80]


def test_a_summary_counts_them() -> None:
    data, plain = file_with(some()), file_with([])
    found = scan(io.BytesIO(data))
    assert [(one.name, one.dtype, one.shape) for one in found.attachments] == [
        (a.name, a.dtype, a.shape) for a in some()
    ]
    assert (
        found.bytes_attachments == len(data) - len(plain) and found.bytes_other == scan(io.BytesIO(plain)).bytes_other
    )
    assert found.bytes_total == len(data)


def test_a_file_with_them_is_of_version_1() -> None:
    """Readers of before there were attachments pass over them."""
    data = file_with(some())
    assert data[8] == 1 and all(kind != b"atch" or kind[:1].islower() for kind, _ in split_chunks(split_front(data)[1]))


def test_a_repair_keeps_what_is_intact() -> None:
    data = file_with(some()[:3], before=1)
    at = data.index(b"of/int8")
    out = io.BytesIO()
    done = repair(io.BytesIO(data[:at] + b"O" + data[at + 1 :]), out)
    assert (done.groups, done.attachments, done.frames_lost) == (3, 2, 0)
    made, packed, damage = read(out.getvalue())
    assert not damage and [one.name for one in packed] == ["of/uint8", "of/bool"]
    assert not check(io.BytesIO(out.getvalue()))


def payload(**changes: int) -> bytes:
    head = {"name_bytes": 1, "dtype": 0, "dimensions": 1, **changes}
    return ATTACHMENT_HEAD.pack(**head) + b"a\x04" + zstandard.compress(bytes(4))


def with_payload(*payloads: bytes) -> bytes:
    """A file with these attachments behind its groups, its index where the end marker says."""
    front, rest = split_front(file_with([]))
    *body, index, end = split_chunks(rest)
    chunks = placed([*body, *((b"atch", one) for one in payloads), index, end], len(front))
    return front + b"".join(sealed(*chunk) for chunk in chunks)


BAD: dict[str, bytes] = {
    "no head": b"\1",
    "no name": payload(name_bytes=0),
    "a name beyond the payload": payload(name_bytes=900),
    "a name that is no UTF-8": payload().replace(b"a\x04", b"\xff\x04"),
    "an unknown type": payload(dtype=200),
    "17 dimensions": payload(dimensions=17),
    "a shape without an end": ATTACHMENT_HEAD.pack(name_bytes=1, dtype=0, dimensions=1) + b"a\xff\xff",
    "a shape of 2^66 numbers": payload(dimensions=2).replace(
        b"a\x04", b"a" + b"\xff" * 4 + b"\x0f" + b"\xff" * 4 + b"\x0f"
    ),
    "other numbers than its shape has": payload(dtype=4),
    "a frame that is cut off": payload()[:-1],
    "bytes behind the frame": payload() + b"x",
    "numbers where none belong": payload().replace(b"a\x04", b"a\x00"),
    "no frame": payload()[:6],
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_attachment_is_damage(name: str) -> None:
    """Found by a check, as one problem; groups are good all the same, and a repair leaves it out."""
    data = with_payload(payload().replace(b"a\x04", b"b\x04"), BAD[name])
    (problem,) = check(io.BytesIO(data))
    assert "attachment" in str(problem)
    assert len(read(data)[0]) == 3
    out = io.BytesIO()
    assert repair(io.BytesIO(data), out).attachments == 1 and not check(io.BytesIO(out.getvalue()))


def test_a_name_that_comes_twice_is_damage() -> None:
    (problem,) = check(io.BytesIO(with_payload(payload(), payload())))
    assert str(problem) == "attachment 'a' comes twice"


def claim_of(numbers: int) -> bytes:
    """The payload of an attachment of so many bytes, as far as these."""
    out = bytearray(ATTACHMENT_HEAD.pack(name_bytes=1, dtype=0, dimensions=1) + b"a")
    put_unsigned(out, numbers)
    return bytes(out)


def bomb(numbers: int) -> bytes:
    return claim_of(numbers) + zstandard.ZstdCompressor(level=19).compress(bytes(numbers))


@pytest.mark.parametrize("reading", [lambda data: check(io.BytesIO(data)), lambda data: scan(io.BytesIO(data))])
def test_more_than_a_reader_takes(reading: Callable[[bytes], object]) -> None:
    """Numbers and counts are bounded before anything is decompressed."""
    with pytest.raises(LimitError, match="raise with max_attachment_bytes"):
        reading(with_payload(claim_of((1 << 30) + 1)))
    limits = Limits(max_attachment_bytes=7)
    with pytest.raises(LimitError, match="8 bytes of attachments, 7 are allowed"):
        list(
            Reader(
                io.BytesIO(with_payload(*(payload().replace(b"a\x04", name + b"\x04") for name in (b"b", b"c")))),
                limits,
            )
        )


def test_more_than_a_file_has() -> None:
    """What is beyond is damage, and not written."""
    names = [b"%04x" % number for number in range(4097)]
    found = check(
        io.BytesIO(with_payload(*(payload(name_bytes=4).replace(b"a\x04", name + b"\x04") for name in names)))
    )
    assert [str(problem) for problem in found] == ["attachment '1000' is one more than the 4096 of a file"]
    with pytest.raises(UsageError, match="one more than the 4096"):
        file_with([Attachment(name.decode(), "uint8", (0,), b"") for name in names])


def test_a_claim_without_its_bytes() -> None:
    """A frame may be short for what it holds, but not shorter than any frame can be."""
    good = with_payload(bomb(1 << 24))
    assert len(good) < 3000 and not check(io.BytesIO(good))
    lying = with_payload(bomb(1 << 24)[:30])
    assert check(io.BytesIO(lying))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Attachment("", "uint8", (1,), b"a"),
        lambda: Attachment("n" * 1001, "uint8", (1,), b"a"),
        lambda: Attachment("\ud800", "uint8", (1,), b"a"),
        lambda: Attachment("a", "int5", (1,), b"a"),
        lambda: Attachment("a", "uint8", (2,), b"a"),
        lambda: Attachment("a", "uint8", (1,) * 17, b"a"),
        lambda: Attachment("a", "uint8", (0, 1 << 41), b""),
        lambda: Attachment.of("a", np.array(["text"])),
        lambda: Attachment.of("a", np.zeros(2, np.float32), "bfloat16"),
        lambda: file_with([some()[0], some()[0]]),
    ],
)
def test_what_cannot_be_written(make: Callable[[], object]) -> None:
    with pytest.raises(UsageError, match="attachment"):
        make()


def test_damage_names_itself() -> None:
    with pytest.raises(DamagedFileError, match="attachment 'a': "):
        unpack_attachment(payload()[:-1]).unpack()
