"""Protects: what compare shows is what it measured: both videos frame by frame, upright, at the reference's times."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pytest

from latcomp.metrics.luma import psnr
from latcomp.report.compare_video import difference, side_by_side
from latcomp.video import Frame, open_video, open_writer

from ..conftest import moving_square
from .conftest import Latcomp, assert_refused


def frames_of(source: Path | BinaryIO) -> list[Frame]:
    with open_video(source) as reader:
        return [item for item in reader if isinstance(item, Frame)]


def test_side_by_side_shows_the_reference_left_and_the_test_right(
    clip: Path, lat: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    shown, decoded = tmp_path / "side.mkv", tmp_path / "decoded.mkv"
    ran = latcomp("compare", clip, lat, "--video", shown)
    assert ran.code == 0, ran.err
    assert "128x48, reference left, test right" in ran.err
    assert latcomp("decode", lat, decoded, "--codec", "ffv1", "-q").code == 0
    triples = list(zip(frames_of(clip), frames_of(decoded), frames_of(shown), strict=True))
    assert len(triples) == 20
    for reference, test, both in triples:
        assert both.pixels.shape == (48, 128, 3)
        assert (
            psnr(side_by_side(reference.pixels, test.pixels), both.pixels) > 33
        )  # it is coded once more, chroma at half size
        assert psnr(reference.pixels, both.pixels[:, :64]) > psnr(test.pixels, both.pixels[:, :64])
    with open_video(clip) as first, open_video(shown) as second:
        times = [
            [item.pts * reader.info.time_base for item in reader if isinstance(item, Frame)]
            for reader in (first, second)
        ]
        assert second.info.audio == ()
    assert times[1] == pytest.approx(times[0], abs=0.001)


def test_a_difference_is_grey_where_nothing_differs(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    shown = tmp_path / "difference.mp4"
    ran = latcomp("compare", clip, clip, "--video", shown, "--mode", "difference", "--amplify", 20)
    assert ran.code == 0 and "times 20, around mid grey" in ran.err
    frames = frames_of(shown)
    assert len(frames) == 20
    assert all(np.abs(frame.pixels.astype(int) - 128).max() <= 2 for frame in frames)


def test_a_difference_is_amplified_and_cut_off() -> None:
    reference = np.array([[[100, 100, 100], [0, 255, 10]]], np.uint8)
    test = np.array([[[101, 98, 100], [255, 0, 12]]], np.uint8)
    assert difference(reference, test, 8).tolist() == [[[136, 112, 128], [255, 0, 144]]]
    assert difference(reference, test, 0.5)[0, 0].tolist() == [128, 127, 128]


def test_a_turned_video_is_shown_upright(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    turned = tmp_path / "turned.mp4"
    with open_video(clip, audio=False) as reader:
        info = replace(reader.info, rotation_degrees=90)
        with open_writer(turned, info) as writer:
            for frame in reader:
                if isinstance(frame, Frame):
                    writer.write_frame(frame.pixels, frame.pts)
    assert latcomp("compare", turned, turned, "--video", tmp_path / "side.mp4", "-q").code == 0
    first, shown = frames_of(turned)[0].pixels, frames_of(tmp_path / "side.mp4")[0].pixels
    assert shown.shape == (64, 96, 3)
    assert psnr(np.ascontiguousarray(np.rot90(first)), np.ascontiguousarray(shown[:, :48])) > 30
    with open_video(tmp_path / "side.mp4") as reader:
        assert reader.info.rotation_degrees == 0


def test_the_video_can_go_to_a_pipe_but_not_with_json(clip: Path, latcomp: Latcomp) -> None:
    ran = latcomp("compare", clip, clip, "--video", "-", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert len(frames_of(io.BytesIO(ran.out))) == 20
    assert_refused(latcomp("compare", clip, clip, "--video", "-", "--json"), 2)


@pytest.mark.parametrize(("suffix", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_plot_is_written(
    suffix: str, start: bytes, clip: Path, make_video: Callable[..., Path], latcomp: Latcomp, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    other = make_video(tmp_path / "other.mp4", frames=20)
    plot = tmp_path / f"plot.{suffix}"
    ran = latcomp("compare", clip, other, "--plot", plot, "--json", "-q")
    assert ran.code == 0, ran.err
    assert json.loads(ran.out)["frames"] == 20
    assert plot.read_bytes().startswith(start)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other.mp4", plot.name]


def test_what_cannot_be_shown_is_refused_before_any_work(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    video, plot = tmp_path / "out.mp4", tmp_path / "out.png"
    for code, arguments in (
        (2, ["--mode", "side"]),
        (2, ["--video", video, "--mode", "wipe"]),
        (2, ["--video", video, "--amplify", 4]),
        (2, ["--video", video, "--mode", "difference", "--amplify", 0]),
        (2, ["--video", clip, "-f"]),
        (6, ["--video", tmp_path / "out.txt"]),
        (6, ["--video", tmp_path / "nowhere" / "out.mp4"]),
        (6, ["--plot", tmp_path / "out.pdf"]),
    ):
        assert latcomp("compare", clip, clip, *arguments).code == code, arguments
    assert list(tmp_path.iterdir()) == []
    video.write_bytes(b"mine")
    plot.write_bytes(b"mine")
    assert_refused(latcomp("compare", clip, clip, "--video", video), 6)
    assert_refused(latcomp("compare", clip, clip, "--plot", plot), 6)
    assert video.read_bytes() == plot.read_bytes() == b"mine"
    assert latcomp("compare", clip, clip, "--video", video, "-f", "-q").code == 0
    assert len(frames_of(video)) == 20


def test_videos_that_cannot_be_compared_leave_no_file(
    clip: Path, make_video: Callable[..., Path], latcomp: Latcomp, tmp_path: Path
) -> None:
    shorter = make_video(tmp_path / "shorter.mp4", frames=17)
    assert_refused(
        latcomp("compare", clip, shorter, "--video", tmp_path / "side.mp4", "--plot", tmp_path / "plot.png"), 2
    )
    assert [path.name for path in tmp_path.iterdir()] == ["shorter.mp4"]


def test_odd_sizes_are_shown_at_their_size(latcomp: Latcomp, tmp_path: Path, clip: Path) -> None:
    odd = tmp_path / "odd.mkv"
    with open_video(clip, audio=False) as reader:
        info = replace(reader.info, width=33, height=21)
    with open_writer(odd, info, codec="ffv1") as writer:
        for index, pixels in enumerate(moving_square(6, 33, 21)):
            writer.write_frame(pixels, index * 512)
    assert latcomp("compare", odd, odd, "--video", tmp_path / "side.mp4", "-q").code == 0
    assert frames_of(tmp_path / "side.mp4")[0].pixels.shape == (21, 66, 3)
