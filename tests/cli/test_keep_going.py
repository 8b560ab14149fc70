"""Protects `--keep-going`: exit 3 that names the frame and the flag without it, exit 0 and the whole story with it;
batch alike.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from .conftest import Latcomp, assert_refused


@pytest.fixture(scope="module")
def spoiled(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a video of 30 frames, and the same cut off within the 21st."""
    folder = tmp_path_factory.mktemp("spoiled")
    whole = make_video(folder / "whole.mkv", 30)
    data = whole.read_bytes()
    with av.open(str(whole)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    (folder / "cut.mkv").write_bytes(data[: places[20][0] + places[20][1] // 2])
    return folder


def test_encode(spoiled: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", spoiled / "cut.mkv", tmp_path / "a.lat")
    assert_refused(ran, 3)
    assert "frames (" in ran.err and "--keep-going" in ran.err
    assert list(tmp_path.iterdir()) == []
    ran = latcomp("encode", spoiled / "cut.mkv", tmp_path / "a.lat", "--keep-going", "--json")
    told = json.loads(ran.out)
    assert ran.code == 0
    assert "is damaged" in ran.lines[0] and "its end is missing" in ran.lines[0]
    (damage,) = told["damage"]
    assert set(damage) == {"first_frame", "frames", "held", "start_seconds", "reason"}
    assert 10 < told["frames"] < 30 and damage["first_frame"] + damage["frames"] == told["frames"]
    assert latcomp("check", tmp_path / "a.lat").code == 0
    assert latcomp("compare", spoiled / "cut.mkv", tmp_path / "a.lat", "--keep-going").code == 0
    whole = latcomp("encode", spoiled / "whole.mkv", tmp_path / "b.lat", "--keep-going", "--json")
    assert json.loads(whole.out)["damage"] == [] and "damaged" not in whole.err


def test_a_part_that_is_whole_needs_no_flag(spoiled: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", spoiled / "cut.mkv", tmp_path / "a.lat", "--duration", "0.2", "--json")
    assert ran.code == 0 and json.loads(ran.out)["frames"] == 5


def test_batch(spoiled: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("batch", spoiled, tmp_path, "--json")
    assert ran.code == 3 and "--keep-going" in ran.err
    ran = latcomp("batch", spoiled, tmp_path, "--json", "--keep-going")
    told = {Path(line["source"]).name: line for line in map(json.loads, ran.out.splitlines())}
    assert ran.code == 0
    assert told["cut.mkv"]["status"] == "done" and told["cut.mkv"]["damage"]
    assert told["whole.mkv"]["status"] == "skipped" and told["whole.mkv"]["damage"] == []
    assert "cut.mkv is damaged" in ran.err


def test_noise_in_the_middle(make_video: Callable[..., Path], latcomp: Latcomp, tmp_path: Path) -> None:
    """600 random bytes in the media data of an mp4: every frame keeps its place."""
    source = make_video(tmp_path / "a.mp4", 50, 160, 96)
    data = bytearray(source.read_bytes())
    place = data.index(b"mdat") + 4
    middle = place + (len(data) - place) // 3
    data[middle : middle + 600] = random.Random(2).randbytes(600)
    source.write_bytes(data)
    ran = latcomp("encode", source, tmp_path / "a.lat")
    assert_refused(ran, 3)
    ran = latcomp("encode", source, tmp_path / "a.lat", "--keep-going", "--json")
    assert ran.code == 0 and json.loads(ran.out)["frames"] == 50
    assert json.loads(ran.out)["damage"][0]["frames"] >= 1
