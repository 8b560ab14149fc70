"""The header: one list of fields drives writing, reading, printing and validation."""

from __future__ import annotations

import io
import json
import struct
import zlib
from dataclasses import MISSING
from typing import Any

import pytest
import zstandard

from latcomp.container import MAGIC, Header, Limits, Reader, describe
from latcomp.container.header import pack_header
from latcomp.container.header_fields import HEADER_FIELDS, REQUIRED
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError, UsageError
from latcomp.latents.steps import Steps
from tests.container.make import groups, header, written


def raw_file(text: bytes, version: int = 1, frame: bytes | None = None) -> bytes:
    """A file of nothing but a header with any JSON text."""
    frame = zstandard.compress(text) if frame is None else frame
    front = MAGIC + struct.pack("<HI", version, len(frame)) + frame
    return front + struct.pack("<I", zlib.crc32(front))


def changed(**changes: Any) -> bytes:
    """A file whose header has some members changed, unchecked."""
    return raw_file(json.dumps({**header().to_dict(), **changes}).encode())


def test_fields_and_dataclass_agree() -> None:
    """The declared list and the dataclass name the same members, with the same defaults; files and people get them in
    the list's order.
    """
    names = [field.name for field in HEADER_FIELDS]
    assert sorted(names) == sorted(Header.__dataclass_fields__)
    tokenizer = {**header().tokenizer, "first_frames": 1}
    full = header(
        metadata={"tags": {"title": "all members said"}},
        tokenizer=tokenizer,
        requires=("first_frames", "steps", "latents"),
        optimise="tokens",
        steps={"channel_step": [0.5] * 6, "channel_scale": [1] * 6},
        latents={"space": "raw", "estimator": "mode", "layout": "CFHW", "dtype": "float16"},
    )
    assert list(full.to_dict()) == [name for name, _ in describe(full)] == names
    unsaid = [field.name for field in HEADER_FIELDS if field.unsaid]
    assert (
        [name for name in names if name not in header().to_dict()]
        == unsaid
        == ["requires", "steps", "latents", "optimise", "metadata"]
    )
    optional = {
        name: field.default for name, field in Header.__dataclass_fields__.items() if field.default is not MISSING
    }
    assert optional == {field.name: field.default for field in HEADER_FIELDS if field.default is not REQUIRED}


def test_round_trip_of_rare_values() -> None:
    """Nulls, unknown frame rates, audio objects with text in any language and extra tokenizer members survive."""
    of = header(
        average_rate=None,
        quality=None,
        threshold=None,
        keep=0.25,
        audio=[{"title": "日本語", "extradata": "AAE=", "n": [1, 2]}],
        lit={"name": "lit", "sha256": "cd" * 32},
        time_base=(1001, 24000),
        rotation=-90,
    )
    assert Reader(io.BytesIO(pack_header(of))).header == of


def test_members_that_came_later() -> None:
    """A header without `prior` and `units` is one without a prior, in whole steps."""
    members = header().to_dict()
    assert (members.pop("prior"), members.pop("units")) == (None, 1)
    assert Reader(io.BytesIO(raw_file(json.dumps(members).encode()))).header == header()


def test_members_of_a_later_version_are_ignored() -> None:
    """A header with more members than this version knows is read."""
    assert Reader(io.BytesIO(changed(novelty={"a": 1}))).header == header()


@pytest.mark.parametrize("version", [0, 3, 99, 65535])
def test_other_versions_are_refused(version: int) -> None:
    """A file of another version names both versions, whatever follows."""
    with pytest.raises(UnsupportedFileError, match=f"version {version}.*versions 1 and 2"):
        Reader(io.BytesIO(raw_file(b"{}", version=version)))


@pytest.mark.parametrize("data", [b"", b"\x89LA", MAGIC, MAGIC + b"\x01\x00", b"RIFF" + bytes(100), b"\x00" * 64])
def test_not_a_lat_file(data: bytes) -> None:
    """Empty, short and foreign files are named as such."""
    with pytest.raises(DamagedFileError, match=r"not a \.lat file|cut off"):
        Reader(io.BytesIO(data))


def test_cut_or_flipped_header() -> None:
    """No header that is cut off anywhere, or has any bit flipped, is believed."""
    data = pack_header(header())
    for length in range(len(data)):
        with pytest.raises(DamagedFileError):
            Reader(io.BytesIO(data[:length]))
    for place in range(len(data)):
        flipped = bytearray(data)
        flipped[place] ^= 1 << place % 8
        with pytest.raises((DamagedFileError, UnsupportedFileError, LimitError)):
            Reader(io.BytesIO(bytes(flipped)))


@pytest.mark.parametrize(
    "change",
    [
        {"width": 0},
        {"width": -5},
        {"width": "50"},
        {"width": 50.0},
        {"width": True},
        {"height": None},
        {"width": 10**30},
        {"time_base": [1, 0]},
        {"time_base": [0, 1]},
        {"time_base": [1]},
        {"time_base": 25},
        {"color": {"primaries": 1}},
        {"audio": {}},
        {"audio": [1]},
        {"tokenizer": {}},
        {"tokenizer": None},
        {"lit": {"name": "x", "sha256": "zz"}},
        {"quality": "high"},
        {"step_scale": 0},
        {"keep": 2},
        {"group_latent_frames": 0},
        {"group_latent_frames": 256},
        {"segment_groups": 0},
        {"created_by": 1},
        {"created_by": "x" * 2000},
        {"prior": "p"},
        {"prior": {"name": "p"}},
        {"prior": {"name": "p", "sha256": "0"}},
        {"units": 0},
        {"units": 3},
        {"units": 8},
        {"units": True},
        {"units": 4},
        {"units": None},
        {"prior": {"name": "p", "sha256": "ab" * 32}, "coding": "lossless"},
    ],
)
def test_values_that_do_not_fit(change: dict[str, Any]) -> None:
    """A member of the wrong type or range is named, in a file and for a writer."""
    name = next(iter(change))
    with pytest.raises(DamagedFileError, match=name):
        Reader(io.BytesIO(changed(**change)))
    with pytest.raises(UsageError, match=name):
        header(**change)


LATENTS = {"space": "raw", "estimator": "mode", "layout": "CFHW", "dtype": "float16"}
STEPS = {"channel_step": [0.5] * 6, "channel_scale": [1, 2, 3, 4, 5, 1e-9]}


def with_steps(**changes: Any) -> dict[str, Any]:
    return {"requires": ["steps"], "steps": {**STEPS, **changes}}


def with_latents(**changes: Any) -> dict[str, Any]:
    return {"requires": ["latents"], "coding": "lossless", "latents": {**LATENTS, **changes}}


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"requires": ["steps"]}, "steps and a `requires`"),
        ({"steps": STEPS}, "steps and a `requires`"),
        ({"requires": ["latents"]}, "latents and a `requires`"),
        ({"latents": LATENTS}, "latents and a `requires`"),
        ({"requires": ["steps"], "steps": [0.5] * 6}, "steps"),
        ({"requires": ["steps"], "steps": {"channel_step": [0.5] * 6}}, "channel_scale is missing"),
        (with_steps(channel_step=[0.5] * 5), "5 steps and 6 scales"),
        (with_steps(channel_step=[0.5] * 7, channel_scale=[0.5] * 7), "7 are said of 6 channels"),
        (with_steps(channel_step=[]), "channel_step"),
        (with_steps(channel_step=0.5), "channel_step"),
        (with_steps(channel_step=[0.5] * 5 + [0]), "channel_step"),
        (with_steps(channel_step=[0.5] * 5 + [-0.5]), "channel_step"),
        (with_steps(channel_step=[0.5] * 5 + [1e10]), "channel_step"),
        (with_steps(channel_step=[0.5] * 5 + [1e-10]), "channel_step"),
        (with_steps(channel_step=[0.5] * 5 + [True]), "channel_step"),
        (with_steps(channel_step=[0.5] * 5 + [None]), "channel_step"),
        (with_steps(channel_scale=[0.5] * 5 + ["1"]), "channel_scale"),
        ({"requires": ["latents"], "latents": LATENTS}, "latents in whole numbers need steps"),
        (with_latents(space=None), "space"),
        (with_latents(dtype=16), "dtype"),
        (with_latents(architecture=None), "architecture"),
        ({"requires": ["latents"], "latents": "raw"}, "latents"),
    ],
)
def test_steps_and_latents_that_do_not_fit(change: dict[str, Any], word: str) -> None:
    """Each needs what requires it, numbers above zero, one for each channel, and words that are known."""
    text = json.dumps({**header().to_dict(), **change}).encode()
    with pytest.raises(DamagedFileError, match=word):
        Reader(io.BytesIO(raw_file(text, version=2 if "requires" in change else 1)))
    with pytest.raises(UsageError, match=word):
        header(**change)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999", '"NaN"'])
def test_steps_that_are_no_numbers(number: str) -> None:
    text = json.dumps({**header().to_dict(), **with_steps(channel_step=["?"] * 6)}).replace('"?"', number)
    with pytest.raises(DamagedFileError, match="header"):
        Reader(io.BytesIO(raw_file(text.encode(), version=2)))


def test_only_latents_may_have_a_tokenizer_without_a_hash() -> None:
    unknown = {name: value for name, value in header().tokenizer.items() if name != "sha256"}
    of = header(tokenizer=unknown, **with_latents())
    assert Reader(io.BytesIO(pack_header(of))).header == of and of.version == 2
    with pytest.raises(UsageError, match="tokenizer: sha256 is missing"):
        header(tokenizer=unknown, **with_steps())


def test_steps_are_read_as_they_were_written() -> None:
    steps = {"channel_step": [0.1, 1e-9, 1e9, 0.2131, 1 / 3, 5], "channel_scale": [1.0] * 6}
    found = Reader(io.BytesIO(pack_header(header(requires=("steps",), steps=steps)))).header
    assert found.steps == steps and Steps.from_json(found.steps).to_json() == steps


def test_missing_member() -> None:
    """A header without one of its members is damaged."""
    members = header().to_dict()
    del members["height"]
    with pytest.raises(DamagedFileError, match="height is missing"):
        Reader(io.BytesIO(raw_file(json.dumps(members).encode())))


@pytest.mark.parametrize("text", [b"[]", b"{", b"\xff\xfe", b'{"width": NaN}', b"[" * 100_000])
def test_not_a_json_object(text: bytes) -> None:
    """A header that is no JSON object, or nested without end, is damaged."""
    with pytest.raises(DamagedFileError, match="header"):
        Reader(io.BytesIO(raw_file(text)))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"coding": "ans"}, "coding"),
        ({"reference": "future"}, "reference"),
        (with_latents(dtype="float4"), "dtype"),
        (with_latents(layout="FCHW"), "layout"),
    ],
)
def test_words_of_a_later_version(change: dict[str, Any], word: str) -> None:
    """A coding this version does not know is unsupported, not damaged, and so is a kind of latents."""
    with pytest.raises(UnsupportedFileError, match=word):
        Reader(io.BytesIO(changed(**change)))


def test_limits() -> None:
    """Sizes above a limit are refused, and a raised limit accepts them."""
    of = header()
    data = written(of, groups(of, 1))
    with pytest.raises(LimitError, match="max_pixels"):
        Reader(io.BytesIO(data), Limits(max_pixels=1999))
    assert Reader(io.BytesIO(data), Limits(max_pixels=2000)).header == of
    for flag, limits in (
        ("max_group_tokens", Limits(max_group_tokens=8 * 35 - 1)),
        ("max_group_bytes", Limits(max_group_bytes=4 * 8 * 35 * 6 - 1)),
        ("max_header_bytes", Limits(max_header_bytes=20)),
    ):
        with pytest.raises(LimitError, match=flag):
            Reader(io.BytesIO(data), limits)
    Reader(io.BytesIO(data), Limits(max_group_tokens=8 * 35, max_group_bytes=4 * 8 * 35 * 6))
    with pytest.raises(DamagedFileError, match="audio"):
        Reader(io.BytesIO(changed(audio=[{}] * 257)))
