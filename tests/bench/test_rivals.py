"""Protects fair rivals: the very frames latcomp reads, encoders at their own defaults, every frame back in order, odd
sizes whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from latcomp.bench.rd import source as rd_source
from latcomp.bench.rd.rivals import RIVALS, Rival, decode, encode, to_rgb
from latcomp.bench.rd.source import SourceClip, cropped, middle, padded, read_clip
from latcomp.errors import LimitError, NotAVideoError, UsageError
from latcomp.metrics.luma import luma, psnr
from latcomp.video import Frame, open_video

from ..video.make import pictures, write

AT_HAND = [pytest.param(rival, id=rival.name) for rival in RIVALS.values() if rival.at_hand]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> SourceClip:
    """20 frames of 96x80, every one of them a key frame in the file."""
    folder = tmp_path_factory.mktemp("clip")
    path = folder / "drift.mp4"
    write(path, pictures(20, 96, 80), options={"crf": "12", "g": "1"}, rate=Fraction(25), tags=(1, 1, 1), convert_as=1)
    return read_clip(path, folder)


def seen(path: Path) -> list[np.ndarray]:
    with open_video(path) as reader:
        return [item.pixels for item in reader if isinstance(item, Frame)]


def assert_same(first: list[np.ndarray], second: list[np.ndarray]) -> None:
    assert len(first) == len(second)
    assert all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def coded_psnr(rival: Rival, clip: SourceClip, crf: int) -> tuple[int, list[float]]:
    coded = encode(rival, clip, crf)
    frames, seconds = decode(rival, coded)
    assert coded.encode_seconds > 0 and seconds > 0
    decoded = list(to_rgb(frames, clip))
    return coded.size_bytes, [psnr(luma(a), luma(b)) for a, b in zip(clip.rgb, decoded, strict=True)]


@pytest.mark.parametrize("rival", AT_HAND)
def test_finer_settings_cost_more_and_every_frame_is_in_its_place(rival: Rival, clip: SourceClip) -> None:
    fine_bytes, fine = coded_psnr(rival, clip, rival.crfs[0])
    coarse_bytes, coarse = coded_psnr(rival, clip, rival.crfs[-2])
    coarsest_bytes, _ = coded_psnr(rival, clip, rival.crfs[-1])
    assert fine_bytes > coarse_bytes > coarsest_bytes
    assert min(fine) > np.mean(coarse)
    assert min(fine) > 38  # neighbours differ by far more


@pytest.mark.parametrize("rival", AT_HAND)
def test_picture_types_of_the_source_are_no_order_to_the_encoder(rival: Rival, clip: SourceClip) -> None:
    assert [packet.is_keyframe for packet in encode(rival, clip, 40).packets].count(True) == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("x264", {"qp": "0"}),
        ("x265", {"x265-params": "log-level=none:lossless=1"}),
        ("svtav1", {"svtav1-params": "lossless=1"}),
    ],
)
def test_a_codec_that_loses_nothing_is_measured_as_perfect(
    name: str, options: dict[str, str], clip: SourceClip
) -> None:
    """Decoders say different things of where chroma lies; the same planes must become the same RGB."""
    if not RIVALS[name].at_hand:
        pytest.skip("not in this PyAV")
    rival = replace(RIVALS[name], options=options)
    frames, _ = decode(rival, encode(rival, clip, 0))
    assert_same(list(to_rgb(frames, clip)), clip.rgb)


@pytest.mark.parametrize("rival", AT_HAND)
@pytest.mark.parametrize("size", [(97, 81), (33, 21)], ids=str)
def test_odd_and_small_sizes_come_back_whole(rival: Rival, size: tuple[int, int], tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    write(path, pictures(6, *size), codec="ffv1")
    odd = read_clip(path, tmp_path)
    assert odd.rgb[0].shape == (size[1], size[0], 3)
    _, found = coded_psnr(rival, odd, rival.crfs[0])
    assert min(found) > 34


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x264", ["sliced_threads=0", "bframes=3", "keyint=250", "subme=7", "rc=crf", "crf=30.0"]),
        ("x265", ["bframes=4", "keyint=250", "rd=3", "crf=30.0"]),
    ],
)
def test_encoders_run_at_the_defaults_of_their_preset_and_what_they_say_of_it_is_not_counted(
    name: str, said: list[str], clip: SourceClip
) -> None:
    if not RIVALS[name].at_hand:
        pytest.skip("not in this PyAV")
    talking, silent = (encode(rival, clip, 30) for rival in (replace(RIVALS[name], text_units=""), RIVALS[name]))
    text = b"".join(map(bytes, talking.packets)).decode("latin-1")
    assert all(f" {option}" in text for option in said)
    assert talking.size_bytes - silent.size_bytes > 500
    assert said[0] not in b"".join(map(bytes, silent.packets)).decode("latin-1")


def test_a_plain_clip_is_read_by_latcomp_as_it_is(clip: SourceClip) -> None:
    assert clip.path.name == "drift.mp4"
    assert clip.rate == 25 and clip.color.matrix == 1
    assert clip.pixels == 20 * 96 * 80
    assert_same(clip.rgb, seen(clip.path))


@pytest.mark.parametrize("square", [None, 32])
@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv420p"])
def test_a_changed_clip_is_handed_on_without_loss(pixel_format: str, square: int | None, tmp_path: Path) -> None:
    path = tmp_path / "in.mkv"
    write(
        path,
        pictures(5, 71, 49),
        codec="ffv1",
        pixel_format=pixel_format,
        rate=Fraction(30000, 1001),
        time_base=Fraction(1, 1000),
    )
    (tmp_path / "made").mkdir()
    made = read_clip(path, tmp_path / "made", square)
    assert (made.path == path) == (pixel_format == "yuv420p" and square is None)
    assert_same(made.rgb, seen(made.path))
    with open_video(made.path) as reader:
        assert (
            (reader.info.width, reader.info.height) == (made.width, made.height) == ((32, 32) if square else (71, 49))
        )
        assert reader.info.color.matrix == made.color.matrix


def test_a_square_is_the_middle_of_the_clip_scaled(tmp_path: Path) -> None:
    """Red, green and blue thirds of 192x64: the middle 32x32 of 96x32 is the green third."""
    picture = np.zeros((64, 192, 3), np.uint8)
    for third in range(3):
        picture[:, 64 * third : 64 * third + 64, third] = 200
    path = tmp_path / "thirds.mkv"
    write(path, [picture] * 2, codec="ffv1")
    found = read_clip(path, tmp_path, 32).rgb[0]
    assert found.shape == (32, 32, 3)
    assert np.all(found[:, 3:-3, 1] > 190) and np.all(found[:, 3:-3, ::2] < 10)


def test_padding_repeats_edges_and_is_cut_off_again() -> None:
    y, u = np.arange(15, dtype=np.uint8).reshape(3, 5), np.arange(6, dtype=np.uint8).reshape(2, 3)
    grown = padded((y, u, u), 2)
    assert [plane.shape for plane in grown] == [(4, 6), (2, 3), (2, 3)]
    assert np.array_equal(grown[0][3], grown[0][2]) and np.array_equal(grown[0][:3, 5], y[:, 4])
    assert [plane.shape for plane in padded((y, u, u), 8)] == [(8, 8), (4, 4), (4, 4)]
    assert all(np.array_equal(a, b) for a, b in zip(cropped(padded((y, u, u), 8), 3, 5), (y, u, u), strict=True))
    assert [plane.shape for plane in middle(padded((y, u, u), 8), 4)] == [(4, 4), (2, 2), (2, 2)]


def test_clips_that_cannot_be_measured_are_told_by_name(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text.mp4").write_bytes(b"no video")
    with pytest.raises(NotAVideoError, match=r"text\.mp4"):
        read_clip(tmp_path / "text.mp4", tmp_path)
    path = make_video(tmp_path / "long.mp4")
    with pytest.raises(UsageError, match="square 33"):
        read_clip(path, tmp_path, 33)
    monkeypatch.setattr(rd_source, "PIXELS_MOST", 10 * 64 * 48)
    with pytest.raises(LimitError, match=r"long\.mp4: has more than 10 frames of 64x48"):
        read_clip(path, tmp_path)


def test_a_codec_that_is_not_built_in_is_not_at_hand() -> None:
    assert not replace(RIVALS["x264"], encoder="libnone").at_hand
    assert "libx264" in av.codecs_available
