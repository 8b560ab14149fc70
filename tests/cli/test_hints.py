"""Protects: a slip of the fingers and names in the wrong order are told in one line that says what was meant, with exit code 2."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused

# (command line, the words that must be in the message); VIDEO and LAT exist, NEW.lat and NEW.mp4 do not
SLIPS = [
    ("encde VIDEO NEW.lat", "did you mean encode?"),
    ("bench rdd", "did you mean rd?"),
    ("help decode", "did you mean latcomp decode --help?"),
    ("VIDEO NEW.lat", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("LAT", "did you mean latcomp decode LAT or latcomp stats LAT?"),
    ("encode VIDEO NEW.lat --qualty 5", "did you mean --quality?"),
    ("decode LAT NEW.mp4 --fil lit", "did you mean --fill?"),
    ("encode VIDEO NEW.lat --coding contxt", "did you mean context?"),
    ("encode VIDEO NEW.lat --reference previus", "did you mean previous?"),
    ("encode VIDEO NEW.lat --device cud", "did you mean cuda?"),
    ("decode LAT NEW.mp4 --fill hodl", "did you mean hold?"),
    ("decode LAT NEW.mp4 --fill zero", "choose auto, lit or hold"),
    ("batch DIR OUT --engine rai", "did you mean ray?"),
    ("compare VIDEO LAT --video NEW.mp4 --mode diff", "did you mean difference?"),
    ("completion bsh", "did you mean bash?"),
    ("encode LAT NEW.mp4", "did you mean latcomp decode LAT NEW.mp4?"),
    ("encode LAT -", "did you mean latcomp decode LAT -?"),
    ("encode NEW.lat VIDEO", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("encode VIDEO NEW.mp4", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("decode VIDEO NEW.lat", "did you mean latcomp encode VIDEO NEW.lat?"),
    ("decode NEW.mp4 LAT", "did you mean latcomp decode LAT NEW.mp4?"),
]


@pytest.mark.parametrize(("line", "hint"), SLIPS, ids=[line for line, _ in SLIPS])
def test_what_was_meant_is_said(line: str, hint: str, latcomp: Latcomp, tmp_path: Path) -> None:
    names = {"VIDEO": "in.mp4", "LAT": "in.lat", "NEW.lat": "new.lat", "NEW.mp4": "new.mp4", "DIR": ".", "OUT": "out"}
    for name in ("in.mp4", "in.lat"):
        (tmp_path / name).write_bytes(b"kept as it is")
    for name, file in names.items():
        hint = hint.replace(name, str(tmp_path / file)) if name not in ("DIR", "OUT") else hint
    ran = latcomp(*[tmp_path / names[word] if word in names else word for word in line.split()])
    assert_refused(ran, 2)
    assert hint in ran.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.lat", "in.mp4"]
    assert all((tmp_path / name).read_bytes() == b"kept as it is" for name in ("in.mp4", "in.lat"))


def test_a_suggested_command_can_be_pasted(latcomp: Latcomp, tmp_path: Path) -> None:
    """Names with spaces are quoted as a shell needs them."""
    source, target = tmp_path / "my clip.lat", tmp_path / "my clip.mp4"
    source.write_bytes(b"")
    ran = latcomp("encode", source, target)
    assert_refused(ran, 2)
    suggestion = ran.err.split("did you mean ")[1].rstrip("?\n")
    assert shlex.split(suggestion) == ["latcomp", "decode", str(source), str(target)]


def test_a_name_far_from_all_known_ones_lists_them(latcomp: Latcomp) -> None:
    ran = latcomp("qqqq")
    assert_refused(ran, 2)
    assert "choose encode, decode" in ran.err
