"""Protects: an interrupted run leaves nothing behind, and a reader that leaves early is no failure worth a
traceback.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

COMMAND = [sys.executable, "-m", "latcomp"]


@pytest.fixture(scope="module")
def long_clip(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Long enough to be interrupted half-way."""
    return make_video(tmp_path_factory.mktemp("long") / "long.mp4", frames=250, width=320, height=240)


@pytest.fixture(scope="module")
def long_file(long_clip: Path) -> Path:
    """A part of the clip as a .lat file that takes a while to decode."""
    path = long_clip.with_suffix(".lat")
    subprocess.run([*COMMAND, "encode", str(long_clip), str(path), "-q", "--duration", "5"], check=True, timeout=120)
    return path


@pytest.mark.parametrize(
    ("command", "number", "code"),
    [("encode", signal.SIGINT, 130), ("encode", signal.SIGTERM, 143), ("decode", signal.SIGINT, 130)],
)
def test_an_interrupted_run_leaves_nothing(
    command: str, number: int, code: int, long_clip: Path, long_file: Path, tmp_path: Path
) -> None:
    source, target = {"encode": (long_clip, "out.lat"), "decode": (long_file, "out.mkv")}[command]
    process = subprocess.Popen(
        [*COMMAND, command, str(source), str(tmp_path / target)], stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not list(tmp_path.iterdir()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert list(tmp_path.iterdir()), "no temporary file appeared"
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in err
    assert len(err.splitlines()) <= 1


@pytest.mark.parametrize("command", ["stats", "decode"])
def test_a_closed_pipe_is_quiet(command: str, clip: Path, lat: Path) -> None:
    """As in `latcomp stats --json | head -0`: exit code 6 (the output cannot be written) and no word."""
    arguments = {"stats": [lat, "--json"], "decode": [lat, "-"]}[command]
    reading, writing = os.pipe()
    os.close(reading)  # before it starts: on a busy machine a short answer could still get through
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run(
            [*COMMAND, command, *map(str, arguments)],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.stderr == ""
    assert done.returncode == 6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("command", ["stats", "encode"])
def test_a_full_disk_exits_6(command: str, clip: Path, lat: Path) -> None:
    arguments = {"stats": [lat, "--json"], "encode": [clip, "-"]}[command]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*COMMAND, command, *map(str, arguments)],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 6, done.stderr
    assert "no space left" in done.stderr.lower() and len(done.stderr.splitlines()) == 1


def test_binary_is_not_written_to_a_terminal(clip: Path) -> None:
    """Standard output on a pseudo terminal: refused with exit code 2 before any work."""
    master, slave = os.openpty()
    done = subprocess.run(
        [*COMMAND, "encode", str(clip), "-"], stdout=slave, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert "terminal" in done.stderr and len(done.stderr.splitlines()) == 1


def test_a_video_is_not_read_from_a_terminal(tmp_path: Path) -> None:
    master, slave = os.openpty()
    done = subprocess.run(
        [*COMMAND, "encode", "-", str(tmp_path / "out.lat")],
        stdin=slave,
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    os.close(slave)
    os.close(master)
    assert done.returncode == 2
    assert "terminal" in done.stderr and len(done.stderr.splitlines()) == 1
