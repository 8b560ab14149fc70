"""Protects colours: a known colour comes out right for every matrix, range and tag, and goes back unchanged."""

from pathlib import Path

import numpy as np
import pytest

from latcomp.video import ColorTags
from latcomp.video.color import FromRgb, ToRgb, resolve_tags
from latcomp.video.info import default_matrix

from . import make

COLOR = (211, 52, 20)


def read_color(path: Path) -> np.ndarray:
    _, frames, _ = make.read(path)
    return frames[0].pixels.reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize("matrix", [1, 5, 6, 9])
@pytest.mark.parametrize("full_range", [False, True])
def test_a_tagged_colour_is_read_by_its_tag(tmp_path: Path, matrix: int, full_range: bool) -> None:
    make.write(
        tmp_path / "a.mp4",
        [make.flat(COLOR)] * 2,
        convert_as=matrix,
        tags=(matrix, matrix, matrix),
        full_range=full_range,
    )
    assert np.abs(read_color(tmp_path / "a.mp4") - COLOR).max() <= 2
    info = make.read(tmp_path / "a.mp4")[0].info
    assert info.color == ColorTags(matrix, matrix, matrix, 2 if full_range else 1)


@pytest.mark.parametrize(("height", "matrix"), [(480, 6), (718, 6), (720, 1), (1080, 1)])
def test_an_untagged_colour_is_601_below_720_lines_and_709_from_there(tmp_path: Path, height: int, matrix: int) -> None:
    make.write(tmp_path / "a.mp4", [make.flat(COLOR, 64, height)], convert_as=matrix)
    assert np.abs(read_color(tmp_path / "a.mp4") - COLOR).max() <= 2
    assert make.read(tmp_path / "a.mp4")[0].info.color == ColorTags(2, 2, matrix, 1)


def test_the_matrix_makes_a_difference_that_these_tests_would_see(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", [make.flat(COLOR)], convert_as=1)  # untagged, but not what is assumed
    assert np.abs(read_color(tmp_path / "a.mp4") - COLOR).max() > 8


def test_rgb_video_has_no_matrix_and_gets_one_for_later(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mkv", [make.flat(COLOR)], codec="ffv1", pixel_format="bgr0")
    assert tuple(read_color(tmp_path / "a.mkv")) == COLOR
    assert make.read(tmp_path / "a.mkv")[0].info.color.matrix == 6
    assert make.read(tmp_path / "a.mkv")[0].info.color.range == 1


@pytest.mark.parametrize("tags", [(1, 1, 1), (6, 6, 6), (9, 16, 9), (2, 2, 2)])
@pytest.mark.parametrize("name", ["out.mp4", "out.mkv", "out.mov", "out.webm"])
def test_the_output_is_tagged_as_it_was_converted(tmp_path: Path, name: str, tags: tuple[int, int, int]) -> None:
    matrix = 6 if tags[2] == 2 else tags[2]
    make.write(tmp_path / "a.mp4", [make.flat(COLOR)] * 2, convert_as=matrix, tags=tags)
    make.copy(tmp_path / "a.mp4", tmp_path / name)
    info = make.read(tmp_path / name)[0].info
    assert info.color == ColorTags(tags[0], tags[1], matrix, 1)
    assert np.abs(read_color(tmp_path / name) - COLOR).max() <= 3


@pytest.mark.parametrize("name", ["out.y4m", "out.avi", "out.mkv"])
@pytest.mark.parametrize("codec", [None, "ffv1"])
def test_formats_that_hold_no_matrix_come_back_right_too(tmp_path: Path, name: str, codec: str | None) -> None:
    if name == "out.y4m" and codec:
        pytest.skip("y4m holds raw video only")
    make.write(tmp_path / "a.mp4", [make.flat(COLOR)] * 2, convert_as=1, tags=(1, 1, 1))
    make.copy(tmp_path / "a.mp4", tmp_path / name, codec=codec)
    assert np.abs(read_color(tmp_path / name) - COLOR).max() <= 3


def test_full_range_stays_full_range(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", [make.flat((255, 255, 255)), make.flat((0, 0, 0))], full_range=True)
    for name in ("out.mp4", "out.mkv", "out.y4m"):
        make.copy(tmp_path / "a.mp4", tmp_path / name)
        reader, frames, _ = make.read(tmp_path / name)
        assert reader.info.color.range == 2
        assert frames[0].pixels.min() >= 251  # lossy, but far from the 235 of a limited range
        assert frames[1].pixels.max() <= 4


@pytest.mark.parametrize("matrix", [1, 6, 9])
@pytest.mark.parametrize("range_", [1, 2])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_greys_survive_the_way_there_and_back_without_bias(matrix: int, range_: int, pixel_format: str) -> None:
    tags = ColorTags(2, 2, matrix, range_)
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(16, axis=0)
    back = ToRgb(256, 16, tags)(FromRgb(pixel_format, tags)(ramp)).astype(int)
    assert np.abs(back - ramp).max() <= 1
    assert abs((back - ramp).mean()) < 0.1


def test_what_cannot_be_converted_falls_back_to_the_convention() -> None:
    assert resolve_tags(ColorTags(2, 2, 8, 0), 480) == ColorTags(2, 2, 6, 1)
    assert resolve_tags(ColorTags(9, 16, 2, 2), 1080) == ColorTags(9, 16, 1, 2)
    assert (default_matrix(719), default_matrix(720)) == (6, 1)
