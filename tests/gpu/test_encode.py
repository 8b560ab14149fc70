"""Protects encoding on a GPU: hardly a token differs from the CPU's, every setting works there, and the same file comes
out twice.

Latents are computed in full fp32 everywhere, but not in the same order of sums: they differ by some 1e-5, which flips a
token where a latent lies that near to where rounding turns, and with it now and then a neighbour's rounding by cost.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.container import check
from latcomp.errors import DeviceError
from latcomp.metrics.luma import luma, psnr
from latcomp.models import prior_finder
from latcomp.video import Frame, open_video

TOKENS_MOST = 0.02  # share of the kept tokens that may differ from the CPU's; without FMA 0 to 1e-4 of a CPU's differ
MASK_MOST = 0.005  # share of the positions that one keeps and the other drops
LATENTS_MOST = 2e-3  # largest difference of a latent in quantiser steps at step scale 1
FIXED: list[dict[str, Any]] = [
    {},
    {"quality": 8.0},
    {"threshold": 0.01},
    {"keep": 0.3},
    {"coding": "zstd"},
    {"reference": "previous"},
]
Encoded = Callable[..., bytes]
Figure = Callable[[str, float], None]


def name_of(settings: dict[str, Any]) -> str:
    return " ".join(f"{key}={value}" for key, value in settings.items()) or "default"


def dense(file: bytes) -> tuple[np.ndarray, np.ndarray]:
    """(mask (T, h, w), symbols (T, h, w, C), zero where nothing is kept) of a file."""
    masks, symbols = [], []
    with open_lat(io.BytesIO(file), device="cpu") as lat:
        for group in lat:
            grid = np.zeros((*group.mask.shape, group.tokens.shape[1]), group.tokens.dtype)
            grid[group.mask] = group.tokens
            masks.append(group.mask)
            symbols.append(grid)
    return np.concatenate(masks), np.concatenate(symbols)


@pytest.mark.parametrize("settings", FIXED, ids=name_of)
def test_hardly_a_token_differs_from_the_cpus(
    settings: dict[str, Any], device: str, encoded: Encoded, figure: Figure
) -> None:
    (mask, tokens), (wanted_mask, wanted) = dense(encoded(device, **settings)), dense(encoded("cpu", **settings))
    assert mask.shape == wanted_mask.shape
    assert 0.05 < wanted_mask.mean() < 1, "some tokens are kept, some are dropped"
    both = mask & wanted_mask
    flipped = float((tokens != wanted).any(-1)[both].mean())
    moved = float((mask != wanted_mask).mean())
    figure(f"share of kept tokens, {name_of(settings)}", flipped)
    figure(f"share of mask positions, {name_of(settings)}", moved)
    assert flipped <= TOKENS_MOST
    assert moved <= MASK_MOST


def test_latents_are_those_of_the_cpu_within_rounding(device: str, encoded: Encoded, figure: Figure) -> None:
    """A lossless file that keeps everything holds them as they were computed."""
    (_, here), (_, there) = (dense(encoded(name, lossless=True, keep=1.0)) for name in (device, "cpu"))
    difference = np.abs(here - there)
    figure("largest difference of a latent", float(difference.max()))
    figure("mean difference of a latent", float(difference.mean()))
    assert there.std() > 0.5
    assert difference.max() <= LATENTS_MOST


def test_a_lossless_file_by_the_threshold_is_read_back(device: str, encoded: Encoded) -> None:
    """What the fill adds is left out: only kept tokens are said to be exact."""
    file = encoded(device, lossless=True)
    mask, tokens = dense(file)
    _, exact = dense(encoded(device, lossless=True, keep=1.0))
    assert np.array_equal(tokens[mask], exact[mask])


def test_a_rate_is_met(device: str, encoded: Encoded) -> None:
    """Latents go to and fro between the search and the device no more than once; what comes out is what was asked
    for.
    """
    with open_lat(io.BytesIO(encoded(device, target_bpp=0.6))) as lat:
        assert lat.stats()["bpp"] == pytest.approx(0.6, rel=0.05)


def test_a_psnr_is_reached_as_the_device_decodes(device: str, clip: Path, encoded: Encoded) -> None:
    """Every probe of the search fills and decodes on the device."""
    with open_video(clip) as reader:
        matrix = reader.info.color.matrix
        truth = [luma(item.pixels, matrix) for item in reader if isinstance(item, Frame)]
    frames = decode_frames(io.BytesIO(encoded(device, min_psnr=24.0)), device=device)
    assert np.mean([psnr(a, luma(b.pixels, matrix)) for a, b in zip(truth, frames, strict=True)]) >= 24.0


@pytest.mark.parametrize("settings", [*FIXED, {"target_bpp": 0.6}, {"min_psnr": 24.0}, {"lossless": True}], ids=name_of)
def test_every_file_passes_the_check(settings: dict[str, Any], device: str, encoded: Encoded) -> None:
    assert check(io.BytesIO(encoded(device, **settings)), find_prior=prior_finder()) == []


@pytest.mark.parametrize("settings", [{}, {"keep": 0.3}], ids=name_of)
def test_encoding_twice_gives_the_same_bytes(
    settings: dict[str, Any], device: str, clip: Path, encoded: Encoded
) -> None:
    again = io.BytesIO()
    encode(clip, again, device=device, **settings)
    assert again.getvalue() == encoded(device, **settings)


def test_tf32_that_somebody_allowed_does_not_show(device: str, clip: Path, encoded: Encoded) -> None:
    """The library is used in programs with settings of their own; they get them back."""
    before = torch.get_float32_matmul_precision()
    again = io.BytesIO()
    try:
        torch.set_float32_matmul_precision("high")
        encode(clip, again, device=device)
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
    assert again.getvalue() == encoded(device)


def test_a_gpu_by_its_number(device: str, clip: Path) -> None:
    """The last one there is; and the one behind it is not there."""
    count = torch.cuda.device_count()
    name = "cpu" if device == "cpu" else f"cuda:{count - 1}"
    file = io.BytesIO()
    assert encode(clip, file, device=name).device == name
    file.seek(0)
    assert len(list(decode_frames(file, device=name))) == 36
    with pytest.raises(DeviceError, match=f"cuda:{count} is not available"):
        encode(clip, io.BytesIO(), device=f"cuda:{count}")
