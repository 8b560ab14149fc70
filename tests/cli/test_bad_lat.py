"""Protects: a .lat file that is damaged, foreign or forged ends in one line and the right exit code, in every command that reads it."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from latcomp.container import VERSION, Reader, Writer
from latcomp.container.format import CHUNK_HEAD, GROUP_CHUNK, GROUP_HEAD, PRELUDE

from .conftest import Latcomp, Ran, assert_refused

READERS = ["decode", "stats", "check", "tokens"]


def call(latcomp: Latcomp, command: str, source: Path, folder: Path) -> Ran:
    """The command on a file, with the output it would write."""
    outputs = {"decode": [folder / "out.mp4"], "tokens": [folder / "out.npz"]}
    return latcomp(command, source, *outputs.get(command, []))


def version_99(data: bytes) -> bytes:
    values = PRELUDE.unpack(data)
    assert values["version"] == VERSION
    return PRELUDE.pack(**{**values, "version": 99}) + data[PRELUDE.size :]


def with_frames(data: bytes, frames: int) -> bytes:
    """The file with another number of frames claimed by its first group, under a valid checksum."""
    start = data.index(GROUP_CHUNK)
    body = start + CHUNK_HEAD.size
    length = CHUNK_HEAD.unpack(data, start)["payload_bytes"]
    head = GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(data, body), "frames": frames})
    chunk = data[start:body] + head + data[body + GROUP_HEAD.size : body + length]
    return data[:start] + chunk + zlib.crc32(chunk).to_bytes(4, "little") + data[body + length + 4 :]


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize(
    "content", [b"", b"no .lat file" * 10, None, "folder"], ids=["empty", "text", "missing", "folder"]
)
def test_what_is_no_lat_file_exits_4(
    command: str, content: bytes | str | None, latcomp: Latcomp, tmp_path: Path
) -> None:
    source = tmp_path / "in.lat"
    if content == "folder":
        source.mkdir()
    elif isinstance(content, bytes):
        source.write_bytes(content)
    before = sorted(tmp_path.iterdir())
    assert_refused(call(latcomp, command, source, tmp_path), 4)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("command", READERS)
def test_a_later_version_exits_5_and_says_so(
    command: str, lat: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    source = tmp_path / "later.lat"
    source.write_bytes(version_99(lat.read_bytes()))
    ran = call(latcomp, command, source, tmp_path)
    assert_refused(ran, 5)
    assert "99" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["later.lat"]


def test_a_tokenizer_that_is_not_at_hand_exits_5_and_is_named(
    lat: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    source = tmp_path / "foreign.lat"
    with lat.open("rb") as file:
        header = Reader(file).header
    foreign = {**header.tokenizer, "name": "someone-elses", "sha256": "0" * 64}
    with source.open("wb") as file:
        Writer(file, replace(header, tokenizer=foreign)).close()
    ran = latcomp("decode", source, tmp_path / "out.mp4")
    assert_refused(ran, 5)
    assert "someone-elses" in ran.err


@pytest.mark.parametrize("frames", [0, 33, 65535])
def test_a_forged_frame_count_is_found(frames: int, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """The checksum is right, the claim is not."""
    source = tmp_path / "forged.lat"
    source.write_bytes(with_frames(lat.read_bytes(), frames))
    ran = latcomp("check", source)
    assert ran.code in (4, 7)
    assert_refused(ran, ran.code)
    ran = latcomp("decode", source, tmp_path / "out.mp4")
    assert ran.code in (4, 7)
    assert_refused(ran, ran.code)
    assert {path.name for path in tmp_path.iterdir()} <= {"forged.lat", "out.mp4"}  # no temporary file


@pytest.mark.parametrize("command", READERS)
def test_an_absurd_size_exits_7_and_names_the_flag(
    command: str, lat: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """8192x5200 is above the limit of 8K: refused from the header alone; the flag lifts the limit."""
    source = tmp_path / "huge.lat"
    with lat.open("rb") as file:
        header = Reader(file).header
    with source.open("wb") as file:
        Writer(file, replace(header, width=8192, height=5200)).close()
    ran = call(latcomp, command, source, tmp_path)
    assert_refused(ran, 7)
    assert "--max-pixels" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["huge.lat"]
    if command == "check":
        assert latcomp("check", source, "--max-pixels", 8192 * 5200).code == 0


def test_every_flipped_byte_is_found(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """`check` notices a single wrong bit wherever it is."""
    data = lat.read_bytes()
    source = tmp_path / "flipped.lat"
    for place in range(0, len(data), max(1, len(data) // 60)):
        source.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        ran = latcomp("check", source)
        assert ran.code in (4, 5, 7), f"byte {place}"
        assert_refused(ran, ran.code)


@pytest.mark.parametrize("command", ["stats", "check", "tokens"])
def test_half_a_file_is_found(command: str, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    source = tmp_path / "half.lat"
    source.write_bytes(lat.read_bytes()[: lat.stat().st_size // 2])
    ran = call(latcomp, command, source, tmp_path)
    assert ran.code == 4
    assert ran.lines[-1].startswith("latcomp: error: ")
    assert [path.name for path in tmp_path.iterdir()] == ["half.lat"]


def test_check_tells_programs_too(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """--json: ok and the list of problems; the exit code agrees."""
    fine = latcomp("check", lat, "--json")
    assert fine.code == 0
    assert json.loads(fine.out) == {"ok": True, "problems": []}
    data = bytearray(lat.read_bytes())
    data[len(data) // 2] ^= 1
    source = tmp_path / "flipped.lat"
    source.write_bytes(data)
    bad = latcomp("check", source, "--json")
    assert bad.code == 4
    told = json.loads(bad.out)
    assert told["ok"] is False and told["problems"]


def test_what_a_damaged_file_still_holds_is_written(long_lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """A file cut in two decodes up to the cut; the exit code is 4 and the message says that the rest is missing."""
    source, target = tmp_path / "half.lat", tmp_path / "out.mkv"
    source.write_bytes(long_lat.read_bytes()[: long_lat.stat().st_size * 3 // 4])
    ran = latcomp("decode", source, target, "--json")
    assert ran.code == 4, ran.err
    assert "was written" in ran.lines[-1]
    assert 0 < json.loads(ran.out)["frames"] < 100
    assert target.stat().st_size > 0
