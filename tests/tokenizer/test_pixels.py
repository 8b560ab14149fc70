"""Protects: frames come back from a tokenizer's pixels as they were, whatever its range, factors and frame rule."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latcomp.tokenizer.base import TokenizerSpec
from latcomp.tokenizer.pixels import padded, to_frames, to_pixels

CPU = torch.device("cpu")


def spec(spatial: int, temporal: int, first: int, pixel_range: tuple[float, float] = (-1.0, 1.0)) -> TokenizerSpec:
    return TokenizerSpec("t", 1, spatial, temporal, first, (1.0,), (1.0,), pixel_range=pixel_range)


@pytest.mark.parametrize("pixel_range", [(-1.0, 1.0), (0.0, 1.0), (0.0, 255.0), (-0.5, 0.5)], ids=str)
def test_padding_is_cut_off_again_and_every_grey_level_comes_back(pixel_range: tuple[float, float]) -> None:
    of = spec(8, 4, 4, pixel_range)
    frames = [np.arange(256, dtype=np.uint8).reshape(4, 64, 1).repeat(3, 2), np.full((4, 64, 3), 255, np.uint8)]
    pixels = to_pixels(padded(frames, of, CPU), of)
    assert pixels.shape == (1, 3, 4, 8, 64)
    assert pixels.min() == pixel_range[0] and pixels.max() == pixel_range[1]
    assert np.array_equal(to_frames(pixels, of)[:2, :4], np.stack(frames))


def test_padding_repeats_the_last_frame_row_and_column() -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 5, 9, 3), np.uint8))
    pixels = to_frames(to_pixels(padded(frames, spec(8, 4, 4), CPU), spec(8, 4, 4)), spec(8, 4, 4)).numpy()
    assert np.array_equal(pixels[3], pixels[2])
    assert np.array_equal(pixels[:, 5:], pixels[:, 4:5].repeat(3, 1))
    assert np.array_equal(pixels[:, :, 9:], pixels[:, :, 8:9].repeat(7, 2))


def test_only_a_stream_begins_with_a_first_latent_frame() -> None:
    frames = [np.zeros((16, 16, 3), np.uint8)] * 6
    assert len(padded(frames, spec(16, 4, 1), CPU)) == 9
    assert len(padded(frames, spec(16, 4, 1), CPU, start=False)) == 8
