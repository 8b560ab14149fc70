"""Protects: a .lat file that is damaged, foreign or forged ends in one line and the right exit code, in every command
that reads it.
"""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from latcomp import open as latcomp_open
from latcomp.container import VERSION, AudioChunk, Reader, Writer
from latcomp.container.format import CHUNK_HEAD, GROUP_CHUNK, GROUP_HEAD, PRELUDE, VERSION_REQUIRING
from latcomp.container.index import pack_index, unpack_index
from latcomp.errors import DamagedFileError
from latcomp.models import prior_finder
from latcomp.video import open_video
from tests.fuzz.seal import sealed, split_chunks, split_front

from .conftest import Latcomp, Ran, assert_refused

READERS = ["decode", "stats", "check", "tokens"]


def call(latcomp: Latcomp, command: str, source: Path, folder: Path) -> Ran:
    """The command on a file, with the output it would write."""
    outputs = {"decode": [folder / "out.mp4"], "tokens": [folder / "out.npz"]}
    return latcomp(command, source, *outputs.get(command, []))


def version_99(data: bytes) -> bytes:
    values = PRELUDE.unpack(data)
    assert values["version"] in (VERSION, VERSION_REQUIRING)
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
def test_a_later_version_exits_5_and_says_so(command: str, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    source = tmp_path / "later.lat"
    source.write_bytes(version_99(lat.read_bytes()))
    ran = call(latcomp, command, source, tmp_path)
    assert_refused(ran, 5)
    assert "99" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["later.lat"]


def test_a_tokenizer_that_is_not_at_hand_exits_5_and_is_named(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
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
def test_an_absurd_size_exits_7_and_names_the_flag(command: str, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
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
        lifted = latcomp("check", source, "--max-pixels", 8192 * 5200)
        assert lifted.code == 4 and "holds no frames" in lifted.err  # that is all that is wrong with it then


@pytest.mark.parametrize("command", [*READERS, "repair"])
@pytest.mark.parametrize("sound", [False, True], ids=["empty", "only-audio"])
def test_a_file_without_frames_is_damaged(
    command: str, sound: bool, lat: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """One line that says so, code 4, from every command; the figures that there are come as well."""
    source = tmp_path / "empty.lat"
    with lat.open("rb") as file, source.open("wb") as out:
        reader = Reader(file, find_prior=prior_finder())
        with Writer(out, reader.header) as writer:
            for item in reader if sound else ():
                if isinstance(item, AudioChunk):
                    writer.write_audio(item)
    if command == "stats":
        ran = latcomp(command, source, "--json")
        assert ran.code == 4 and len(ran.lines) == 1 and json.loads(ran.out)["damage"] == ["the file holds no frames"]
    else:
        options = ("check", source, "--repair", tmp_path / "repaired.lat") if command == "repair" else None
        ran = latcomp(*options) if options else call(latcomp, command, source, tmp_path)
        assert_refused(ran, 4)
    assert "holds no frames" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["empty.lat"]
    with latcomp_open(source) as opened, pytest.raises(DamagedFileError, match="holds no frames"):
        _ = opened.mask


def test_only_the_index_lies(long_lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Every frame is written, also of a part that is looked for by the index; exit code 4, as `check` says."""
    front, rest = split_front(long_lat.read_bytes())
    *body, (_, index), end = split_chunks(rest)
    lies = [replace(entry, first_pts=entry.first_pts + 10**9) for entry in unpack_index(index, 1 << 30)]
    source = tmp_path / "lies.lat"
    source.write_bytes(front + b"".join(sealed(*chunk) for chunk in [*body, (b"INDX", pack_index(lies)), end]))
    assert latcomp("check", source).code == 4
    for name, part, frames in (("all.y4m", [], 100), ("part.y4m", ["--start", 2, "--duration", 1], 25)):
        ran = latcomp("decode", source, tmp_path / name, *part, "--json")
        right = latcomp("decode", long_lat, tmp_path / f"right-{name}", *part, "--json")
        assert (ran.code, right.code) == (4, 0), ran.err
        assert json.loads(ran.out)["frames"] == json.loads(right.out)["frames"] == frames
        assert "index does not fit" in ran.err
        assert (tmp_path / name).read_bytes() == (tmp_path / f"right-{name}").read_bytes()


def test_every_flipped_byte_is_found(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """`check` notices a single wrong bit wherever it is."""
    data = lat.read_bytes()
    source = tmp_path / "flipped.lat"
    for place in range(0, len(data), max(1, len(data) // 60)):
        source.write_bytes(data[:place] + bytes([data[place] ^ 0x10]) + data[place + 1 :])
        ran = latcomp("check", source)
        assert ran.code in (4, 5, 7), f"byte {place}"
        assert_refused(ran, ran.code)


@pytest.mark.parametrize("first_pts", [0, -(2**63), 2**63 - 1 - 2**40])
def test_times_that_make_no_sense_cost_no_frame(
    first_pts: int, long_lat: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """Every checksum is right, and the second group begins before the first, or at no time that could be written."""
    data = long_lat.read_bytes()
    start = data.index(GROUP_CHUNK, data.index(GROUP_CHUNK) + 1)
    body = start + CHUNK_HEAD.size
    length = CHUNK_HEAD.unpack(data, start)["payload_bytes"]
    chunk = data[start:body] + GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(data, body), "first_pts": first_pts})
    chunk += data[body + GROUP_HEAD.size : body + length]
    source = tmp_path / "forged.lat"
    source.write_bytes(data[:start] + chunk + zlib.crc32(chunk).to_bytes(4, "little") + data[body + length + 4 :])
    assert latcomp("check", source).code == 4
    for name in ("out.mp4", "out.mkv"):
        ran = latcomp("decode", source, tmp_path / name, "--json")
        assert ran.code == 4
        assert "times that make no sense" in ran.lines[-1]
        with open_video(tmp_path / name) as reader:
            times = [frame.pts * reader.info.time_base for frame in reader]
        assert len(times) == 100
        assert all(0 < later - earlier <= 0.05 for earlier, later in pairwise(times))


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


def damaged_copy(lat: Path, folder: Path) -> Path:
    """The file with a bit turned over in the middle."""
    data = bytearray(lat.read_bytes())
    data[len(data) // 2] ^= 1
    source = folder / "damaged.lat"
    source.write_bytes(data)
    return source


def test_repair_saves_what_is_intact(long_lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """The new file is valid, the message says what is lost, and the exit code tells that the source was damaged."""
    source, target = damaged_copy(long_lat, tmp_path), tmp_path / "repaired.lat"
    ran = latcomp("check", source, "--repair", target, "--json")
    assert ran.code == 4
    told = json.loads(ran.out)
    saved = told["repaired"]
    assert told["ok"] is False and told["problems"]
    assert 0 < saved["frames"] < 100 and saved["frames"] + saved["frames_lost"] == 100
    assert sum(lost["frames"] for lost in saved["lost"]) == saved["frames_lost"]
    assert ran.lines[0].startswith("latcomp: lost: frames ")
    assert f"{saved['frames']} frames, {saved['frames_lost']} are lost" in ran.lines[-1]
    assert saved["bytes_total"] == target.stat().st_size
    assert latcomp("check", target).code == 0
    decoded = latcomp("decode", target, tmp_path / "out.mkv", "--json")
    assert decoded.code == 0 and json.loads(decoded.out)["frames"] == saved["frames"]
    quiet = latcomp("check", source, "--repair", target, "-f", "-q")
    assert quiet.code == 4 and len(quiet.lines) == 1


def test_repair_copies_an_intact_file(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Nothing is lost, so nothing is said to be, and the exit code is 0."""
    target = tmp_path / "copy.lat"
    ran = latcomp("check", lat, "--repair", target)
    assert ran.code == 0 and ran.out == b"" and "is a copy" in ran.err
    assert target.read_bytes() == lat.read_bytes()


def test_repair_keeps_the_rules_of_outputs(long_lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """No overwriting without --force, not onto the source, no temporary file and no output when nothing is left."""
    source, target = damaged_copy(long_lat, tmp_path), tmp_path / "repaired.lat"
    target.write_bytes(b"mine")
    assert_refused(latcomp("check", source, "--repair", target), 6)
    assert target.read_bytes() == b"mine"
    assert_refused(latcomp("check", source, "--repair", source, "-f"), 2)
    assert_refused(latcomp("check", source, "--repair", "-", "--json"), 2)
    assert_refused(latcomp("check", source, "--repair", tmp_path / "no" / "where.lat"), 6)
    source.write_bytes(long_lat.read_bytes()[:1200])
    ran = latcomp("check", source, "--repair", target, "-f")
    assert_refused(ran, 4)
    assert "nothing can be repaired" in ran.err and target.read_bytes() == b"mine"
    assert {path.name for path in tmp_path.iterdir()} == {"damaged.lat", "repaired.lat"}


def test_repair_in_a_pipe_and_without_torch(long_lat: Path, shell: Latcomp, latcomp: Latcomp, tmp_path: Path) -> None:
    """From standard input to standard output, the same bytes as into a file."""
    source, target = damaged_copy(long_lat, tmp_path), tmp_path / "repaired.lat"
    latcomp("check", source, "--repair", target)
    ran = shell("check", "-", "--repair", "-", stdin=source.read_bytes())
    assert ran.code == 4 and ran.out == target.read_bytes()
    script = (
        "import sys\nfrom latcomp.cli.main import run\n"
        "try:\n    run(sys.argv[1:])\nfinally:\n    print(sorted({'torch', 'av'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", script, "check", str(source), "--repair", str(target), "-f", "-q"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 4 and done.stdout == "[]\n", done.stderr


@pytest.mark.parametrize("flag", ["--max-pixels", "--max-frames", "--max-tokens", "--max-bytes"])
@pytest.mark.parametrize("command", READERS)
def test_every_limit_has_its_flag(command: str, flag: str, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """A limit that is set too low ends with code 7 and names the very flag, in every command that reads the file."""
    outputs = {"decode": [tmp_path / "out.mp4"], "tokens": [tmp_path / "out.npz"]}
    ran = latcomp(command, lat, *outputs.get(command, []), flag, 1)
    assert_refused(ran, 7)
    assert f"raise with {flag}" in ran.err
    assert not list(tmp_path.iterdir())


def test_lost_frames_have_a_flag(long_lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    source = damaged_copy(long_lat, tmp_path)
    ran = latcomp("check", source, "--max-lost-frames", 1)
    assert_refused(ran, 7)
    assert "raise with --max-lost-frames" in ran.err
    assert latcomp("check", source, "--max-lost-frames", 100).code == 4
