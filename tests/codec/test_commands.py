"""Protects: what the commands do is there for Python: compare, export, check, repair and the page, with results that
cannot be changed and errors that name settings.
"""

from __future__ import annotations

import dataclasses
import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

import latcomp
from latcomp.codec.page import write_page
from latcomp.container import Limits
from latcomp.errors import DamagedFileError, LimitError, NotAVideoError, OutputError, UsageError
from latcomp.video import Frame, open_video

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def clip(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """72 frames of 64x48: three groups in one segment."""
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=72)


@pytest.fixture(scope="module")
def lat(clip: Path) -> Path:
    latcomp.encode(clip, clip.with_suffix(".lat"), device="cpu")
    return clip.with_suffix(".lat")


@pytest.fixture(scope="module")
def damaged(lat: Path) -> bytes:
    """The file with a byte of its last group changed."""
    data = bytearray(lat.read_bytes())
    with latcomp.open(lat) as file:
        groups = file.stats()["groups"]
    data[-groups[-1]["bytes"]] ^= 255
    return bytes(data)


def test_a_lat_file_is_compared_with_its_original(clip: Path, lat: Path, tmp_path: Path) -> None:
    found = latcomp.compare(clip, lat, device="cpu", video=tmp_path / "both.mkv")
    assert found.frames == 72 == len(found.seconds) == len(found.per_frame["psnr_y"])
    assert found.psnr_y == pytest.approx(np.mean(found.per_frame["psnr_y"]))
    with latcomp.open(lat) as file:
        assert found.bpp == file.stats()["bpp"]
    assert found.shown_size == (128, 48)
    with open_video(tmp_path / "both.mkv") as reader:
        assert sum(isinstance(item, Frame) for item in reader) == 72
    assert {"seconds", "notes", "shown_size"}.isdisjoint(found.to_json())


def test_a_comparison_takes_streams(clip: Path, lat: Path) -> None:
    by_path = latcomp.compare(clip, lat, device="cpu")
    with clip.open("rb") as original:
        assert latcomp.compare(original, io.BytesIO(lat.read_bytes()), device="cpu") == by_path


def test_what_cannot_be_compared_is_refused(clip: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="has 72 frames and the test 5"):
        latcomp.compare(clip, make_video(tmp_path / "short.mp4", frames=5))
    with pytest.raises(NotAVideoError, match="no such file"):
        latcomp.compare(clip, tmp_path / "missing.mp4")
    with pytest.raises(UsageError, match="mode 'both' is unknown") as told:
        latcomp.compare(clip, clip, video=io.BytesIO(), mode="both")
    assert told.value.settings == ("mode",)


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_the_arrays_of_an_export_are_those_of_the_reader(lat: Path, tmp_path: Path, suffix: str) -> None:
    target = tmp_path / f"arrays{suffix}"
    made = latcomp.export(lat, target, device="cpu")
    arrays = dict(np.load(target)) if suffix == ".npz" else load_file(target)
    with latcomp.open(lat, device="cpu") as file:
        assert np.array_equal(arrays["mask"], file.mask)
        assert np.array_equal(arrays["latents"], file.latents().numpy())
    assert np.array_equal(arrays["tokens"], arrays["latents"][0].transpose(1, 2, 3, 0)[arrays["mask"]])
    assert (made.tokens, made.positions) == (len(arrays["tokens"]), arrays["mask"].size)
    assert made.bytes_total == target.stat().st_size


def test_an_export_of_a_damaged_file_or_to_another_format_is_refused(lat: Path, damaged: bytes, tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match="the input stream is damaged"):
        latcomp.export(io.BytesIO(damaged), tmp_path / "out.npz")
    with pytest.raises(UsageError, match=r"must end in \.npz or \.safetensors"):
        latcomp.export(lat, tmp_path / "out.csv")
    (tmp_path / "there.npz").touch()
    with pytest.raises(OutputError, match="force=True replaces it"):
        latcomp.export(lat, tmp_path / "there.npz", device="cpu")
    assert [path.name for path in tmp_path.iterdir()] == ["there.npz"]


def test_a_file_is_checked_and_what_is_intact_of_it_saved(lat: Path, damaged: bytes) -> None:
    assert latcomp.check(lat).ok and latcomp.check(lat).problems == ()
    found = latcomp.check(io.BytesIO(damaged))
    assert not found.ok and len(found.problems) >= 1
    saved = io.BytesIO()
    done = latcomp.repair(io.BytesIO(damaged), saved)
    assert done.problems == found.problems and not done.ok
    assert 0 < done.frames < 72 and done.frames + done.frames_lost == 72
    assert latcomp.check(io.BytesIO(saved.getvalue())).ok
    assert done.bytes_total == len(saved.getvalue())
    copy = io.BytesIO()
    assert latcomp.repair(lat, copy).ok and copy.getvalue() == lat.read_bytes()


def test_the_limits_of_a_check_are_those_of_the_caller(lat: Path) -> None:
    with pytest.raises(LimitError) as told:
        latcomp.check(lat, limits=Limits(max_frames=5))
    assert told.value.settings == ("max_frames",)
    with pytest.raises(LimitError):
        latcomp.check(lat, max_pixels=64 * 48 - 1)


def test_a_page_shows_frames_of_the_video_or_decoded_ones(
    clip: Path, lat: Path, make_video: MakeVideo, tmp_path: Path
) -> None:
    pages = []
    for video in (None, clip):
        out = io.BytesIO()
        made = write_page(lat, out, video=video, device="cpu")
        assert made.frames == 72 and made.frames_shown > 0 and not made.damage
        assert made.bytes_total == len(out.getvalue())
        pages.append(out.getvalue())
    assert pages[0] != pages[1] and b"clip.lat" in pages[0] and b"Frames of clip.mp4" in pages[1]
    with pytest.raises(UsageError, match="48x48, the file was encoded from 64x48"):
        write_page(lat, io.BytesIO(), video=make_video(tmp_path / "other.mp4", width=48))


def test_results_cannot_be_changed(lat: Path) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        latcomp.check(lat).problems = ()  # type: ignore[misc]


def test_a_file_is_opened_and_checked_without_torch(lat: Path) -> None:
    """Also one that names a LIT: header, statistics, masks, check and repair need no network."""
    program = """
import io, sys, latcomp
with latcomp.open(sys.argv[1]) as file:
    assert file.header.lit is not None and file.stats()["lit"] is not None and file.mask.any()
    assert len(list(file)) == 3
assert latcomp.check(sys.argv[1]).ok and latcomp.repair(sys.argv[1], io.BytesIO()).frames == 72
sys.exit(str({"torch", "av"} & set(sys.modules)) if {"torch", "av"} & set(sys.modules) else 0)
"""
    done = subprocess.run([sys.executable, "-c", program, str(lat)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
