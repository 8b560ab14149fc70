"""Encoder and decoder end to end with the shipped models: what goes in comes out, the same file twice, exact budgets,
time windows.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import latcomp
from latcomp.codec.decode import decode, decode_frames
from latcomp.codec.encode import encode
from latcomp.codec.groups import LatentStream
from latcomp.codec.lat_file import open_lat
from latcomp.codec.pieces import latent_frames_at_once
from latcomp.errors import DamagedFileError, UsageError
from latcomp.models import find_tokenizer, load_tokenizer
from latcomp.tokenizer.pixels import padded, to_pixels
from latcomp.video import Frame, open_video

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def video(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 frames of 72x44: two groups, sides that do not divide by 8, a frame count that does not divide by 4."""
    return make_video(tmp_path_factory.mktemp("video") / "in.mp4", frames=45, width=72, height=44, sound=True)


def encoded(video: Path, **settings: object) -> bytes:
    out = io.BytesIO()
    encode(video, out, device="cpu", **settings)
    return out.getvalue()


def source_frames(video: Path) -> list[Frame]:
    with open_video(video) as reader:
        return [item for item in reader if isinstance(item, Frame)]


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.square(a.astype(float) - b.astype(float)).mean()))


def test_every_frame_comes_back_in_size_and_time(video: Path, tmp_path: Path) -> None:
    lat = encoded(video)
    decode(io.BytesIO(lat), tmp_path / "out.mkv", device="cpu")
    before, after = source_frames(video), source_frames(tmp_path / "out.mkv")
    with open_video(video) as a, open_video(tmp_path / "out.mkv") as b:
        times = [[float(f.pts * i.time_base) for f in frames] for frames, i in ((before, a.info), (after, b.info))]
        assert len(a.info.audio) == len(b.info.audio) == 1
    assert [f.pixels.shape for f in after] == [f.pixels.shape for f in before]
    assert times[0] == pytest.approx(times[1], abs=1e-3)
    assert np.mean([psnr(x.pixels, y.pixels) for x, y in zip(before, after, strict=True)]) > 28


def test_encoding_twice_gives_the_same_bytes(video: Path) -> None:
    assert encoded(video) == encoded(video)


def test_quality_trades_bytes_for_error(video: Path) -> None:
    truth = source_frames(video)
    sizes, errors = [], []
    for quality in (1, 5, 9):
        lat = encoded(video, quality=quality, audio=False)
        sizes.append(len(lat))
        found = list(decode_frames(io.BytesIO(lat), device="cpu"))
        errors.append(np.mean([psnr(a.pixels, b.pixels) for a, b in zip(truth, found, strict=True)]))
    assert sizes == sorted(sizes)
    assert errors == sorted(errors)


def test_a_budget_is_met_to_the_token(video: Path) -> None:
    with open_lat(io.BytesIO(encoded(video, keep=0.4))) as lat:
        stats = lat.stats()
        assert stats["tokens_kept"] == int(lat.mask.sum()) == round(0.4 * stats["tokens_total"])


def test_lossless_files_hold_the_latents_bit_for_bit(video: Path) -> None:
    lat = encoded(video, lossless=True, keep=1.0)
    stream = LatentStream(load_tokenizer(find_tokenizer(None)), torch.device("cpu"), 8)
    with open_video(video, audio=False) as reader:
        truth = np.concatenate([group.latents for group in stream.run(reader)], axis=1)  # type: ignore[union-attr]
    with open_lat(io.BytesIO(lat), device="cpu") as file:
        assert np.array_equal(file.latents()[0].numpy(), truth)


def test_a_window_of_time_is_the_window_of_the_whole(video: Path, tmp_path: Path) -> None:
    lat = encoded(video)
    whole = list(decode_frames(io.BytesIO(lat), device="cpu"))
    part = list(decode_frames(io.BytesIO(lat), device="cpu", start_seconds=0.4, duration_seconds=0.6))
    assert len(part) == 15
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(whole[10:25], part, strict=True))


def test_piecewise_and_whole_groups_have_equal_latents() -> None:
    """The number of frames that go through the network at once depends on the picture's size and must not show."""
    frames = [np.random.default_rng(i).integers(0, 255, (40, 48, 3), np.uint8) for i in range(16)]
    model = load_tokenizer(find_tokenizer(None))
    spec, device = model.spec, torch.device("cpu")
    whole, _ = model.encode(to_pixels(padded(frames, spec, device), spec))
    state, pieces = None, []
    for start in range(0, 16, 4):
        latents, state = model.encode(to_pixels(padded(frames[start : start + 4], spec, device), spec), state)
        pieces.append(latents)
    assert torch.allclose(torch.cat(pieces, dim=2), whole, atol=1e-4)
    assert latent_frames_at_once(spec, 4320, 7680, 8, start=True) == 1
    assert latent_frames_at_once(spec, 48, 48, 8, start=False) == 8


def test_damage_is_reported_and_the_rest_is_decoded(video: Path, tmp_path: Path) -> None:
    lat = encoded(video, audio=False)
    result = decode(io.BytesIO(lat[: len(lat) * 7 // 8]), tmp_path / "out.mkv", device="cpu")
    assert result.damage
    assert result.frames >= 32
    with pytest.raises(DamagedFileError):
        list(decode_frames(io.BytesIO(lat[: len(lat) * 7 // 8]), device="cpu"))


def test_contradicting_settings_are_refused_before_anything_is_read(tmp_path: Path) -> None:
    for settings in (
        {"keep": 2.0},
        {"keep": 0.5, "threshold": 0.1},
        {"quality": 11},
        {"threshold": -1.0},
        {"keep": float("nan")},
    ):
        with pytest.raises(UsageError):
            latcomp.encode(tmp_path / "missing.mp4", tmp_path / "out.lat", **settings)


@pytest.mark.parametrize("frames", [1, 2, 3, 4, 5])
def test_the_shortest_clips_come_back(make_video: MakeVideo, tmp_path: Path, frames: int) -> None:
    clip = make_video(tmp_path / "in.mp4", frames=frames, width=16, height=16)
    assert len(list(decode_frames(io.BytesIO(encoded(clip)), device="cpu"))) == frames


def test_a_decoded_window_starts_at_zero_with_its_audio(video: Path, tmp_path: Path) -> None:
    decode(io.BytesIO(encoded(video)), tmp_path / "out.mkv", device="cpu", start_seconds=0.8, duration_seconds=0.6)
    frames, sound = [], []
    with open_video(tmp_path / "out.mkv") as reader:
        for item in reader:
            (frames if isinstance(item, Frame) else sound).append(item)
        audio_seconds = [float(p.pts * reader.info.audio[0].time_base) for p in sound]
    assert len(frames) == 15
    assert frames[0].pts == 0
    assert 0 <= min(audio_seconds) < 0.1
    assert max(audio_seconds) < 0.6
