"""Protects: standard streams that are closed, links to pipes in the place of names, and errors that name the stream at fault."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused

OUT = "standard output"
COMMAND = [sys.executable, "-m", "latcomp"]


def run(redirect: str, *arguments: object) -> tuple[int, bytes, str]:
    """(exit code, standard output, standard error) of the command under a redirection of the shell."""
    line = ["sh", "-c", f'exec "$@" {redirect}', "sh", *COMMAND, *map(str, arguments)]
    done = subprocess.run(line, capture_output=True, timeout=120, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize("redirect", ["2>&-", "2</dev/null"])
def test_without_standard_error_messages_are_lost_and_data_is_whole(redirect: str, clip: Path, lat: Path, tmp_path: Path) -> None:
    assert run(redirect, "encode", clip, "-") == (0, lat.read_bytes(), "")
    assert run(redirect, "encode", clip, tmp_path / "out.lat") == (0, b"", "")
    assert (tmp_path / "out.lat").read_bytes() == lat.read_bytes()
    assert run(redirect, "decode", lat, tmp_path / "out.mkv")[:2] == (0, b"")
    for arguments in (["stats", lat], ["check", lat], ["models"]):
        assert run(redirect, *arguments)[:2] == (0, b"")
    code, out, _ = run(redirect, "check", lat, "--json")
    assert code == 0 and json.loads(out)["ok"]
    assert run(redirect, "check", clip)[:2] == (4, b"")
    assert run(redirect, "nonsense")[:2] == (2, b"")


def test_without_standard_output_only_what_goes_there_fails(clip: Path, lat: Path, tmp_path: Path) -> None:
    code, _, err = run(">&-", "encode", clip, tmp_path / "out.lat")
    assert code == 0 and "20 frames" in err
    assert (tmp_path / "out.lat").read_bytes() == lat.read_bytes()
    for arguments in (["encode", clip, "-"], ["decode", lat, "/dev/stdout"], ["stats", lat, "--json"], ["--version"], ["--help"]):
        code, _, err = run(">&-", *arguments)
        assert code == 6 and "standard output is closed" in err and len(err.splitlines()) == 1, (arguments, err)


def test_without_standard_input_nothing_else_is_read_for_it(clip: Path, lat: Path, tmp_path: Path) -> None:
    code, _, err = run("<&-", "encode", "-", tmp_path / "out.lat")
    assert code == 2 and "standard input is closed" in err
    assert run("<&-", "encode", clip, "-")[:2] == (0, lat.read_bytes())


def test_without_any_of_them(clip: Path, lat: Path, tmp_path: Path) -> None:
    assert run("<&- >&- 2>&-", "encode", clip, tmp_path / "out.lat")[0] == 0
    assert (tmp_path / "out.lat").read_bytes() == lat.read_bytes()


@pytest.mark.parametrize("target", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "link"])
def test_a_link_to_standard_output_is_standard_output(target: str, clip: Path, lat: Path, shell: Latcomp, tmp_path: Path) -> None:
    place = tmp_path / "link"
    place.symlink_to("/dev/stdout")
    ran = shell("encode", clip, place if target == "link" else target, "-q")
    assert (ran.code, ran.out, ran.err) == (0, lat.read_bytes(), "")
    assert list(tmp_path.iterdir()) == [place] and place.is_symlink()
    assert_refused(shell("encode", clip, target if target != "link" else place, "--json"), 2)


def test_decode_into_pipes(lat: Path, shell: Latcomp) -> None:
    """Matroska as with -, or what is asked for, in fragments; pages and repaired files too."""
    assert shell("decode", lat, "/dev/stdout", "-q").out.startswith(b"\x1aE\xdf\xa3")
    assert b"moof" in shell("decode", lat, "/dev/stdout", "-q", "--format", "mp4").out
    assert shell("check", lat, "--repair", "/dev/stdout", "-q").out == lat.read_bytes()


def test_a_process_substitution_is_written(clip: Path, lat: Path, tmp_path: Path) -> None:
    """As `latcomp encode clip.mp4 >(cat > out.lat)`."""
    reading, writing = os.pipe()
    process = subprocess.Popen([*COMMAND, "encode", str(clip), f"/dev/fd/{writing}", "-q"], pass_fds=[writing])
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        assert pipe.read() == lat.read_bytes()
    assert process.wait(timeout=60) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize(
    ("arguments", "name"),
    [(["encode", "CLIP", "-"], OUT), (["decode", "LAT", "-"], OUT), (["stats", "LAT", "--json"], OUT), (["stats", "LAT", "--csv"], OUT),
     (["--help"], OUT), (["encode", "CLIP", "/dev/full"], "/dev/full"), (["decode", "LAT", "/dev/full"], "/dev/full")],
)  # fmt: skip
def test_a_stream_that_is_full_is_named(arguments: list[str], name: str, clip: Path, lat: Path) -> None:
    places = {"CLIP": clip, "LAT": lat}
    code, _, err = run(">/dev/full", *[places.get(one, one) for one in arguments])
    assert code == 6 and err.lower() == f"latcomp: error: {name}: cannot be written: no space left on device\n"


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_full_disk_names_the_file_and_leaves_nothing(command: str, clip: Path, lat: Path, tmp_path: Path) -> None:
    """A bound on the size of files stands for the disk."""
    source, target = (clip, "out.lat") if command == "encode" else (lat, "out.mkv")
    line = 'ulimit -f 1; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", line, "sh", *COMMAND, command, str(source), str(tmp_path / target), "-q"], capture_output=True, text=True, timeout=120,
        check=False,
    )  # fmt: skip
    assert done.returncode == 6, done.stderr
    assert done.stderr.lower() == f"latcomp: error: {tmp_path / target}: cannot be written: file too large\n".lower()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_messages_that_cannot_be_written_are_lost(clip: Path, lat: Path) -> None:
    assert run("2>/dev/full", "encode", clip, "-")[:2] == (0, lat.read_bytes())
