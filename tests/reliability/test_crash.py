"""Protects: whatever ends a run, and whenever, no partial file stands under a final name, and the next run works.

Faults of all kinds on all commands in turn, at moments that a seed chooses; `python -m tests.reliability.crash` runs as
many as one likes."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.video.make import pictures, write

ROOT = Path(__file__).parents[2]


def test_faults_at_random_moments() -> None:
    """In a process of its own: its children are forks, and a fork of a process that has computed with torch may
    hang.
    """
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    command = [sys.executable, "-m", "tests.reliability.crash", "--trials", "10", "--seed", "11"]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **threads}, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.stdout, done.stderr
    report = json.loads(done.stdout)
    assert report["broken"] == []
    assert sum(sum(codes.values()) for codes in report["codes"].values()) == 10
    assert any(code != "0" for codes in report["codes"].values() for code in codes), "no fault hit anything"


def in_session(number: int) -> list[int]:
    """The living processes of a session."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == number and fields[0] != "Z":
                found.append(int(place.name))
    return found


def wait_for(what: Callable[[], object], seconds: float = 90) -> bool:
    """Whether it came true in time."""
    until = time.monotonic() + seconds
    while not what() and time.monotonic() < until:
        time.sleep(0.02)
    return bool(what())


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks for processes in /proc")
def test_a_batch_that_is_killed_leaves_no_worker_and_goes_on_where_it_was(tmp_path: Path) -> None:
    """Workers outlive a SIGKILL of their parent; they notice, take their temporary files along, and a file is there
    whole or not at all.
    """
    source, target = tmp_path / "src", tmp_path / "dst"
    source.mkdir()
    for name in "ab":
        write(source / f"{name}.mkv", pictures(100))
    write(source / "c.mkv", pictures(8))
    command = [sys.executable, "-m", "latcomp", "batch", str(source), str(target), "-q"]
    process = subprocess.Popen([*command, "--jobs", "2"], cwd=ROOT, start_new_session=True)
    assert wait_for(lambda: list(target.glob(".*.part.lat")) or process.poll() is not None)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert wait_for(lambda: not in_session(process.pid)), "workers stayed behind"
    assert not list(target.glob(".*")), "they removed what they could not finish"
    early = {path.name for path in target.glob("*.lat")}
    again = subprocess.run([*command, "--json"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    skipped = {
        Path(one["target"]).name for one in map(json.loads, again.stdout.splitlines()) if one["status"] == "skipped"
    }
    assert skipped == early
    assert sorted(path.name for path in target.iterdir()) == ["a.lat", "b.lat", "c.lat"]


SWALLOWS = """
import os, signal, sys, time
from latcomp.cli import main
def app(*arguments, **settings):
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(10)
    except BaseException:
        raise ValueError("a library's own words for it") from None
main.make_app = lambda word: app
main.run([])
"""


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGTERM, 143, ""), (signal.SIGINT, 130, "latcomp: interrupted\n")]
)
def test_a_signal_that_a_library_turns_into_an_error_is_still_a_signal(number: int, code: int, said: str) -> None:
    """As extensions in C and Rust do with what a handler raises below them."""
    done = subprocess.run(
        [sys.executable, "-c", SWALLOWS, str(int(number))], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (code, said)
