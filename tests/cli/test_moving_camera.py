"""Protects: on the command line a file whose camera was followed is told by its figures, decoded from any time on, and
refused with the flag that helps where its latents are asked for in frame places.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from tests.panning import panning_video

from .conftest import Latcomp, assert_refused


@pytest.fixture(scope="module")
def panning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return panning_video(tmp_path_factory.mktemp("panning") / "clip.mp4", frames=20)


def test_from_video_to_figures_and_back(panning: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    lat = tmp_path / "clip.lat"
    made = json.loads(latcomp("encode", panning, lat, "--json", "-q").out)
    assert made["camera"]["mode"] == "auto" and made["camera"]["pixels_per_frame"] > 3
    shown = latcomp("stats", lat, "--groups")
    assert "pixels per frame" in shown.err and "travelled" in shown.err
    (row,) = csv.DictReader(io.StringIO(latcomp("stats", lat, "--csv").out.decode()))
    assert float(row["pixels_travelled"]) == pytest.approx(3.7 * 19, rel=0.05) and row["offset_x"] == "0"
    assert latcomp("check", lat).code == 0
    part = json.loads(latcomp("decode", lat, tmp_path / "part.mkv", "--start", "0.4", "--json", "-q").out)
    assert part["frames"] == 10
    assert json.loads(latcomp("compare", panning, lat, "--json", "-q").out)["psnr_y"] > 28
    assert latcomp("stats", lat, "--html", tmp_path / "page.html", "--video", panning).code == 0


def test_tokens_need_world_places_or_a_camera_that_is_off(panning: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    lat = tmp_path / "clip.lat"
    assert latcomp("encode", panning, lat, "-q").code == 0
    refused = latcomp("tokens", lat, tmp_path / "out.npz")
    assert_refused(refused, 2)
    assert "give --places world, or encode with --camera off" in refused.err
    assert latcomp("tokens", lat, tmp_path / "out.npz", "--places", "world").code == 0
    assert latcomp("encode", panning, lat, "--camera", "off", "-f", "-q").code == 0
    assert latcomp("tokens", lat, tmp_path / "still.npz").code == 0
    assert json.loads(latcomp("stats", lat, "--json").out)["camera"] is None


def test_a_slip_is_answered(latcomp: Latcomp, tmp_path: Path) -> None:
    refused = latcomp("encode", "in.mp4", tmp_path / "out.lat", "--camera", "of")
    assert_refused(refused, 2)
    assert "did you mean off?" in refused.err


def test_a_batch_knows_a_file_with_another_camera(panning: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    (source / "clip.mp4").write_bytes(panning.read_bytes())
    assert latcomp("batch", source, target, "-q").code == 0
    again = json.loads(latcomp("batch", source, target, "--json", "-q").out)
    assert again["status"] == "skipped"
    other = latcomp("batch", source, target, "--camera", "off", "-q")
    assert other.code == 6 and "camera auto, not off" in other.err
    assert latcomp("batch", source, target, "--camera", "off", "-f", "-q").code == 0
