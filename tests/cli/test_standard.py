"""Protects: standard streams that are closed, links to pipes in the place of names, and errors that name the stream at
fault.
"""

from __future__ import annotations

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


def repaired(lat: Path, target: object = "-") -> list[object]:
    """A command that copies an intact file and says so: it writes as encode does, and needs no network."""
    return ["check", lat, "--repair", target]


@pytest.mark.parametrize("redirect", ["2>&-", "2</dev/null"])
def test_without_standard_error_messages_are_lost_and_data_is_whole(
    redirect: str, clip: Path, lat: Path, tmp_path: Path
) -> None:
    assert run(redirect, *repaired(lat)) == (0, lat.read_bytes(), "")
    assert run(redirect, *repaired(lat, tmp_path / "out.lat")) == (0, b"", "")
    assert (tmp_path / "out.lat").read_bytes() == lat.read_bytes()
    assert run(redirect, "stats", lat)[:2] == (0, b"")
    assert run(redirect, "check", clip)[:2] == (4, b"")


def test_networks_and_codecs_write_nothing_into_the_data_either(clip: Path, lat: Path, tmp_path: Path) -> None:
    assert run("<&- 2>&-", "encode", clip, "-") == (0, lat.read_bytes(), "")
    assert run("<&- >&- 2>&-", "encode", clip, tmp_path / "out.lat")[0] == 0
    assert (tmp_path / "out.lat").read_bytes() == lat.read_bytes()
    assert run("2>&-", "decode", lat, tmp_path / "out.mkv")[:2] == (0, b"")


def test_without_standard_output_only_what_goes_there_fails(lat: Path, tmp_path: Path) -> None:
    code, _, err = run(">&-", *repaired(lat, tmp_path / "out.lat"))
    assert code == 0 and "is a copy" in err
    assert (tmp_path / "out.lat").read_bytes() == lat.read_bytes()
    for arguments in (repaired(lat), repaired(lat, "/dev/stdout"), ["stats", lat, "--json"], ["--help"]):
        code, _, err = run(">&-", *arguments)
        assert code == 6 and "standard output is closed" in err and len(err.splitlines()) == 1, (arguments, err)


def test_without_standard_input_nothing_else_is_read_for_it() -> None:
    code, _, err = run("<&-", "check", "-")
    assert code == 2 and "standard input is closed" in err


@pytest.mark.parametrize("target", ["/dev/stdout", "/proc/self/fd/1", "link"])
def test_a_link_to_standard_output_is_standard_output(target: str, lat: Path, shell: Latcomp, tmp_path: Path) -> None:
    place = tmp_path / "link"
    place.symlink_to("/dev/fd/1")
    ran = shell(*repaired(lat, place if target == "link" else target), "-q")
    assert (ran.code, ran.out, ran.err) == (0, lat.read_bytes(), "")
    assert list(tmp_path.iterdir()) == [place] and place.is_symlink()


def test_json_does_not_share_standard_output_by_any_name(lat: Path, shell: Latcomp) -> None:
    assert_refused(shell(*repaired(lat, "/dev/stdout"), "--json"), 2)


def test_decode_into_pipes(lat: Path, shell: Latcomp) -> None:
    """Matroska as with -, or what is asked for, in fragments."""
    assert shell("decode", lat, "/dev/stdout", "-q").out.startswith(b"\x1aE\xdf\xa3")
    assert b"moof" in shell("decode", lat, "/dev/stdout", "-q", "--format", "mp4").out


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
    [
        (["check", "LAT", "--repair", "-"], OUT),
        (["stats", "LAT", "--json"], OUT),
        (["stats", "LAT", "--csv"], OUT),
        (["--help"], OUT),
        (["check", "LAT", "--repair", "/dev/full"], "/dev/full"),
        (["decode", "LAT", "-"], OUT),
    ],
)
def test_a_stream_that_is_full_is_named(arguments: list[str], name: str, lat: Path) -> None:
    places = {"LAT": lat}
    code, _, err = run(">/dev/full", *[places.get(one, one) for one in arguments])
    assert code == 6 and err.lower() == f"latcomp: error: {name}: cannot be written: no space left on device\n"


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_full_disk_names_the_file_and_leaves_nothing(command: str, clip: Path, lat: Path, tmp_path: Path) -> None:
    """A bound on the size of files stands for the disk."""
    source, target = (clip, "out.lat") if command == "encode" else (lat, "out.mkv")
    line = 'ulimit -f 1; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", line, "sh", *COMMAND, command, str(source), str(tmp_path / target), "-q"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 6, done.stderr
    assert done.stderr.lower() == f"latcomp: error: {tmp_path / target}: cannot be written: file too large\n".lower()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_messages_that_cannot_be_written_are_lost(lat: Path) -> None:
    assert run("2>/dev/full", *repaired(lat))[:2] == (0, lat.read_bytes())
