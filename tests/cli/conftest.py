"""The command line as a function, and small inputs for it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from latcomp.cli.main import run


@dataclass(frozen=True)
class Ran:
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: bytes
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines on standard error."""
        return self.err.splitlines()


Latcomp = Callable[..., Ran]


@pytest.fixture
def latcomp(capfdbinary: pytest.CaptureFixture[bytes]) -> Latcomp:
    """Runs the command line inside this process, so that torch is imported once for all tests."""

    def call(*arguments: object) -> Ran:
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as ended:
            run([str(argument) for argument in arguments])
        captured = capfdbinary.readouterr()
        return Ran(int(ended.value.code or 0), captured.out, captured.err.decode())

    return call


@pytest.fixture(scope="session")
def shell() -> Latcomp:
    """Runs `python -m latcomp` as a process of its own, with `stdin` as bytes."""

    def call(*arguments: object, stdin: bytes = b"") -> Ran:
        command = [sys.executable, "-m", "latcomp", *map(str, arguments)]
        done = subprocess.run(command, input=stdin, capture_output=True, timeout=120, check=False)
        return Ran(done.returncode, done.stdout, done.stderr.decode())

    return call


@pytest.fixture(scope="session")
def clip(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 frames of 64x48 with sound."""
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", sound=True)


@pytest.fixture(scope="session")
def lat(clip: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The clip as a .lat file, written by the command line."""
    path = tmp_path_factory.mktemp("lat") / "clip.lat"
    with pytest.raises(SystemExit) as ended:
        run(["encode", str(clip), str(path), "-q"])
    assert not ended.value.code
    return path


@pytest.fixture(scope="session")
def long_lat(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """100 frames of 64x48 in four groups."""
    folder = tmp_path_factory.mktemp("long")
    clip = make_video(folder / "clip.mp4", frames=100)
    with pytest.raises(SystemExit) as ended:
        run(["encode", str(clip), str(folder / "clip.lat"), "-q"])
    assert not ended.value.code
    return folder / "clip.lat"


def assert_refused(ran: Ran, code: int) -> None:
    """One line on standard error, nothing on standard output, the right exit code."""
    assert ran.code == code, ran.err
    assert ran.out == b""
    assert len(ran.lines) == 1, ran.err
    assert ran.err.startswith("latcomp: error: ")
    assert "unexpected" not in ran.err
