"""Protects: compare measures against the reference frame by frame, and refuses what cannot be compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.video.make import write

from .conftest import Latcomp, assert_refused

KEYS = {"frames", "psnr_rgb", "psnr_y", "ssim_y", "ms_ssim_y", "bpp", "psnr_rgb_pooled", "psnr_y_pooled", "per_frame"}


def test_a_lat_file_is_decoded_and_measured(clip: Path, lat: Path, latcomp: Latcomp) -> None:
    ran = latcomp("compare", clip, lat, "--json")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert set(told) >= KEYS
    assert told["frames"] == 20 == len(told["per_frame"]["psnr_y"])
    stats = json.loads(latcomp("stats", lat, "--json").out)
    assert told["bpp"] == stats["bpp"]
    assert 20 < told["psnr_y"] < 70


def test_a_video_against_itself_is_perfect(clip: Path, latcomp: Latcomp) -> None:
    told = json.loads(latcomp("compare", clip, clip, "--json").out)
    assert told["ssim_y"] == 1
    assert told["psnr_y"] is None or told["psnr_y"] >= 90
    assert told["bpp"] > 0


def test_other_frame_counts_and_sizes_exit_2_and_name_both(
    clip: Path, make_video: Callable[..., Path], latcomp: Latcomp, tmp_path: Path
) -> None:
    shorter = latcomp("compare", clip, make_video(tmp_path / "shorter.mp4", frames=17))
    assert_refused(shorter, 2)
    assert "20" in shorter.err and "17" in shorter.err
    longer = latcomp("compare", make_video(tmp_path / "reference.mp4", frames=11), clip)
    assert_refused(longer, 2)
    assert "11" in longer.err and "20" in longer.err
    smaller = latcomp("compare", clip, make_video(tmp_path / "smaller.mp4", width=48))
    assert_refused(smaller, 2)
    assert "64x48" in smaller.err and "48x48" in smaller.err


def test_people_read_it_on_standard_error(clip: Path, lat: Path, latcomp: Latcomp) -> None:
    ran = latcomp("compare", clip, lat)
    assert (ran.code, ran.out) == (0, b"")
    assert "PSNR" in ran.err and "bpp" in ran.err


def test_an_interlaced_original_is_compared_as_it_was_encoded(latcomp: Latcomp, tmp_path: Path) -> None:
    """Woven lines against whole frames would count the weave as loss."""
    frames = []
    for number in range(8):
        still, moved = (np.full((48, 64, 3), 40, np.uint8) for _ in range(2))
        still[8:40, 4 + 5 * number : 14 + 5 * number] = 220
        moved[8:40, 7 + 5 * number : 17 + 5 * number] = 220
        still[1::2] = moved[1::2]
        frames.append(still)
    source, file = tmp_path / "fields.mp4", tmp_path / "fields.lat"
    write(source, frames, options={"crf": "4", "x264-params": "tff=1"}, interlaced=True)
    assert latcomp("encode", source, file, "--deinterlace", "-Q", "8").code == 0
    woven, whole = (
        json.loads(latcomp("compare", source, file, "--json", *flag).out) for flag in ((), ("--deinterlace",))
    )
    assert whole["psnr_y"] > woven["psnr_y"] + 3
