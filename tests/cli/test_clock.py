"""Protects: --start and --duration take seconds and clock times, to the same frame, in every command that has them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import typer

from latcomp.cli.clock import seconds_of

from .conftest import Latcomp, assert_refused

TIMES = [
    ("0", 0.0),
    ("83.5", 83.5),
    (".5", 0.5),
    ("1e1", 10.0),
    ("0:01", 1.0),
    ("1:23.5", 83.5),
    ("00:01:23.5", 83.5),
    ("90:00", 5400.0),
    ("1:02:03.125", 3723.125),
    ("0:01.1", 1.1),
    ("100:00:00", 360000.0),
    ("0:5", 5.0),
    (7, 7.0),
]


@pytest.mark.parametrize(("text", "seconds"), TIMES)
def test_times(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", "x", "1:", ":1", "0:60", "1:60:00", "-0:01", "1:2:3:4", "0:01:", "1:0x1", "0:1e1", "12h", "0:001"]
)
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a time"):
        seconds_of(text)


@pytest.mark.parametrize(("seconds", "clock"), [("0.4", "0:0.4"), ("0.2", "00:00:00.2")])
def test_encode_and_decode_take_either(
    seconds: str, clock: str, clip: Path, lat: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    made = []
    for name, time in (("plain", seconds), ("clock", clock)):
        target = tmp_path / f"{name}.lat"
        assert latcomp("encode", clip, target, "--start", time, "--duration", time, "-q").code == 0
        ran = latcomp("decode", lat, tmp_path / f"{name}.mkv", "--start", time, "--duration", time, "--json")
        made.append((target.read_bytes(), json.loads(ran.out)["frames"]))
    assert made[0] == made[1]


def test_a_time_that_is_none_says_how_to_write_one(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", clip, tmp_path / "out.lat", "--start", "1:99")
    assert_refused(ran, 2)
    assert "[HH:]MM:SS[.fff]" in ran.err
    assert_refused(latcomp("encode", clip, tmp_path / "out.lat", "--duration", "0:00"), 2)
