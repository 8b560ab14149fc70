"""The coding benchmark: sizes are those of the files, and every figure follows from the same tokens."""

from pathlib import Path

import numpy as np
import pytest

from latcomp.bench.coding import CodingRow, _conditional, _entropy, _pairs, measure, savings
from latcomp.codec.encode import encode
from latcomp.kernels import fastest
from tests.conftest import MakeVideo
from tests.panning import panning_video


def test_sizes_are_those_of_the_files(make_video: MakeVideo, tmp_path: Path) -> None:
    clip = make_video(tmp_path / "clip.mp4", frames=40, width=96, height=64)
    row = measure(clip, 5.0, device="cpu")
    found = {
        coding: encode(clip, tmp_path / f"{coding}.lat", quality=5.0, coding=coding, device="cpu").stats
        for coding in ("context", "zstd")
    }
    assert row.tokens_prior == found["context"]["bytes_tokens"]
    assert row.mask_prior == found["context"]["bytes_mask"]
    assert row.tokens_zstd == found["zstd"]["bytes_tokens"]
    assert row.values == found["zstd"]["tokens_kept"] * found["zstd"]["tokenizer"]["channels"]
    assert row.encode_speed > 0
    assert row.decode_speed > 0
    assert row.kernels == fastest("cpu").name


def test_a_moving_camera_is_gone_through_as_files_are(tmp_path: Path) -> None:
    """Positions enter and leave: the ideal sizes are counted where the file has its tokens."""
    clip = panning_video(tmp_path / "pan.mp4", frames=24, width=112, height=80)
    row = measure(clip, 5.0, device="cpu")
    stats = encode(clip, tmp_path / "pan.lat", quality=5.0, device="cpu").stats
    assert stats["camera"]["segments"][0]["mode"] == "follow"
    assert row.tokens_prior == stats["bytes_tokens"]
    assert 0.5 * row.tokens_prior < row.ideal_predicted < row.tokens_prior


def test_entropy_is_the_known_one() -> None:
    assert _entropy(np.array([4, 4])) == pytest.approx(8)
    assert _entropy(np.array([8, 0])) == 0


def test_contexts_that_tell_the_value_leave_no_bits() -> None:
    values = np.array([3, 3, -7, -7, 3])
    assert _conditional(_pairs(np.array([0, 0, 1, 1, 0]), values)) == 0
    assert _conditional(_pairs(np.zeros(5, np.uint8), values)) == pytest.approx(_entropy(np.array([3, 2])))


def test_savings_are_means_of_ratios() -> None:
    rows = [
        CodingRow("a", 5.0, 1.0, 10, 100, 50, 0, 80, 100, 10, 5, 2.0, 4.0),
        CodingRow("b", 5.0, 1.0, 10, 1000, 900, 0, 500, 500, 10, 10, 4.0, 4.0),
    ]
    found = savings(rows)
    assert found["tokens_saved_percent"] == pytest.approx(30)
    assert found["prediction_saved_percent"] == pytest.approx(10)
    assert found["mask_saved_percent"] == pytest.approx(25)
    assert found["encode_speed"] == pytest.approx(3)
