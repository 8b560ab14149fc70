"""What is to be least at a quality: bits or tokens, and what a file says of it."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.errors import UsageError
from latcomp.metrics.bdrate import bd_rate
from latcomp.metrics.luma import luma, psnr
from latcomp.video import Frame, open_video
from tests.video import make


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A still scene under a little noise, in which light moves slowly and a disc quickly."""
    rng = np.random.default_rng(5)
    y, x = np.mgrid[0:80, 0:112]
    scene = 110 + 40 * np.sin(x / 5) * np.cos(y / 7) + rng.normal(0, 12, (80, 112))
    frames = []
    for time in range(96):
        light = 30 * np.exp(-(np.square(x - 20 - time / 2) + np.square(y - 30)) / 400)
        disc = np.square(x - 2 * time % 112) + np.square(y - 60) < 80
        picture = np.where(disc, 220, scene + light) + rng.normal(0, 1.5, scene.shape)
        frames.append(np.repeat(picture.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2))
    path = tmp_path_factory.mktemp("video") / "in.mp4"
    make.write(path, frames)
    return path


def encoded(video: Path, **settings: object) -> tuple[bytes, dict[str, Any]]:
    out = io.BytesIO()
    stats = encode(video, out, device="cpu", audio=False, **settings).stats
    return out.getvalue(), stats


def decibels(video: Path, lat: bytes) -> float:
    with open_video(video) as reader:
        truth = [item.pixels for item in reader if isinstance(item, Frame)]
    found = decode_frames(io.BytesIO(lat), device="cpu")
    return float(np.mean([psnr(luma(a, 1), luma(b.pixels, 1)) for a, b in zip(truth, found, strict=True)]))


def test_the_fewest_tokens_are_fewer_at_equal_quality(video: Path) -> None:
    curves: dict[str, list[tuple[float, float]]] = {"bits": [], "tokens": []}
    for optimise, points in curves.items():
        for quality in (3, 6):
            lat, stats = encoded(video, quality=quality, optimise=optimise)
            points.append((stats["keep_ratio"], decibels(video, lat)))
    fewer = bd_rate(curves["bits"], curves["tokens"])
    assert fewer is not None and fewer < -10


def test_a_file_says_what_chose_its_tokens(video: Path) -> None:
    for settings, said, threshold in (
        ({}, "bits", False),
        ({"optimise": "tokens"}, "tokens", False),
        ({"min_psnr": 28.0, "optimise": "tokens"}, "tokens", False),
        ({"threshold": 0.01}, None, True),
        ({"keep": 0.3}, None, False),
        ({"reference": "previous"}, None, True),
        ({"lossless": True}, None, True),
        ({"coding": "adaptive"}, None, True),  # steps cannot be halved there
    ):
        stats = encoded(video, duration_seconds=0.3, **settings)[1]
        assert stats["optimise"] == said, settings
        assert (stats["threshold"] is not None) == threshold, settings


def test_the_threshold_of_the_paper_is_kept_to(video: Path) -> None:
    """A token is kept exactly where its difference to the last kept value exceeds the threshold that was given."""
    shares = [encoded(video, threshold=threshold)[1]["keep_ratio"] for threshold in (0.003, 0.01, 0.04, 1e9)]
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < shares[0]


@pytest.mark.parametrize("settings", [{"threshold": 0.01}, {"keep": 0.3}, {"lossless": True}])
def test_what_decides_the_tokens_alone_leaves_nothing_to_optimise(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        encode("in.mp4", io.BytesIO(), optimise="tokens", **settings)
