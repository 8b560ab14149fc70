"""Protects: long work shows on a terminal how far it is and how long it takes, on standard error alone, and never
elsewhere.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from latcomp.cli.progress import Pace, clock, words
from latcomp.codec.progress import Progress


def test_pace_leaves_the_loading_out() -> None:
    """The first report starts the clock, however late it comes."""
    pace = Pace()
    pace.add(32, 20.0)
    assert pace.frames_per_second is None
    assert pace.seconds_left(128) is None
    pace.add(64, 22.0)
    assert pace.frames_per_second == 16
    assert pace.seconds_left(128) == 4
    assert pace.seconds_left(None) is None
    assert pace.seconds_left(50) == 0


def test_a_burst_is_no_speed() -> None:
    """A decoder works on 32 frames for two seconds and then reports them at once: that is 16 a second, not hundreds."""
    pace = Pace()
    for frames in range(4, 33, 4):
        pace.add(frames, 20 + frames / 1000)
        assert pace.frames_per_second is None
    for frames in range(36, 65, 4):
        pace.add(frames, 22 + frames / 1000)
    assert pace.frames_per_second == pytest.approx(16, rel=0.1)


def test_a_fast_machine_has_a_speed_too() -> None:
    """Reports that never pause are no burst for ever."""
    pace = Pace()
    for step in range(1, 301):
        pace.add(4 * step, step / 100)
    assert pace.frames_per_second == pytest.approx(400, rel=0.05)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0:00"), (7, "0:07"), (754, "12:34"), (3723, "1:02:03"), (59.6, "1:00")]
)
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_words_say_what_is_known() -> None:
    """Frames of all, tokens, speed and time left; what is not known, or was estimated too low, is left out."""
    pace = Pace()
    pace.add(32, 1.0)
    assert words(Progress(32, None, 0, 0), pace) == "32 frames"
    pace.add(64, 2.0)
    assert words(Progress(64, 128, 1000, 250), pace) == "64 of 128 frames, 25.0 % of tokens, 32.0 fps, 0:02 left"
    assert words(Progress(64, 60, 1000, 250), pace) == "64 frames, 25.0 % of tokens, 32.0 fps"


def on_terminal(arguments: list[str], columns: int) -> tuple[int, bytes, str]:
    """(exit code, standard output, what a terminal of so many columns got as standard error)."""
    master, slave = os.openpty()
    shown: list[bytes] = []

    def watch() -> None:
        while True:
            try:
                data = os.read(master, 4096)
            except OSError:  # Linux says so when the last writer has closed
                return
            if not data:
                return
            shown.append(data)

    thread = threading.Thread(target=watch)
    thread.start()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(columns)}
    try:
        done = subprocess.run(
            [sys.executable, "-m", "latcomp", *arguments],
            stdout=subprocess.PIPE,
            stderr=slave,
            env=environment,
            timeout=120,
            check=False,
        )
    finally:
        os.close(slave)
        thread.join()
        os.close(master)
    return done.returncode, done.stdout, b"".join(shown).decode()


def test_a_terminal_sees_a_bar(long_lat: Path) -> None:
    """Decoding into a pipe: the bar on the terminal, the video in the pipe, and a line of figures at the end; 80
    columns are enough.
    """
    code, out, shown = on_terminal(["decode", str(long_lat), "-", "--format", "y4m"], columns=80)
    assert code == 0, shown
    assert out.startswith(b"YUV4MPEG2 W64 H48")
    assert "decoding" in shown and "of 100 frames" in shown and "% of tokens" in shown
    assert "100 frames, 64x48" in shown.splitlines()[-1]


def test_quiet_shows_no_bar(long_lat: Path, tmp_path: Path) -> None:
    assert on_terminal(["decode", str(long_lat), str(tmp_path / "out.mkv"), "-q", "--duration", "0.2"], columns=80) == (
        0,
        b"",
        "",
    )
