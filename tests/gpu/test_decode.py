"""Protects decoding on a GPU: the same frames as on the CPU within rounding, by every fill, whole and in parts; kept
tokens exactly.
"""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch

from latcomp.codec.decode import decode_frames
from latcomp.codec.lat_file import open_lat
from latcomp.devices import exact_fp32

FRAMES_MOST = 6  # largest difference of a pixel of 255, bf16 on one side or on both
FRAMES_MEAN = 0.5
FP32_MOST = 1  # the same where both decode in full fp32
FILLED_MEAN = 0.05  # mean difference of a latent that the LIT filled, bf16 on one side or on both, over their spread
Encoded = Callable[..., bytes]
Figure = Callable[[str, float], None]


def frames_of(file: bytes, device: str, **settings: object) -> np.ndarray:
    """(T, H, W, 3) int16 frames."""
    found = decode_frames(io.BytesIO(file), device=device, **settings)  # type: ignore[arg-type]
    return np.stack([frame.pixels for frame in found]).astype(np.int16)


@pytest.mark.parametrize("fill", ["auto", "lit", "hold"])
@pytest.mark.parametrize("keep", [0.2, 1.0])
def test_one_file_decodes_to_the_same_frames(
    fill: str, keep: float, device: str, encoded: Encoded, figure: Figure
) -> None:
    file = encoded("cpu", keep=keep)
    difference = np.abs(frames_of(file, device, fill=fill) - frames_of(file, "cpu", fill=fill))
    figure(f"largest difference of a pixel, {fill}, {keep:g} kept", int(difference.max()))
    figure(f"mean difference of a pixel, {fill}, {keep:g} kept", float(difference.mean()))
    assert difference.max() <= FRAMES_MOST
    assert difference.mean() <= FRAMES_MEAN


@pytest.mark.parametrize("coding", ["context", "zstd"])
def test_in_fp32_the_frames_are_the_cpus_but_for_the_last_bit(
    coding: str, device: str, encoded: Encoded, figure: Figure, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("latcomp.codec.filled.decodes_in_bf16", lambda device: False)
    file = encoded("cpu", coding=coding)
    with exact_fp32():
        difference = np.abs(frames_of(file, device, fill="lit") - frames_of(file, "cpu", fill="lit"))
    figure(f"largest difference of a pixel, fp32, {coding}", int(difference.max()))
    assert difference.max() <= FP32_MOST


def test_a_part_is_the_part_of_the_whole(device: str, encoded: Encoded) -> None:
    """The groups before it are filled on the device and decoded as far as the part depends on them."""
    file = encoded("cpu", keep=0.3)
    whole, part = frames_of(file, device), frames_of(file, device, start_seconds=1.32, duration_seconds=0.08)
    assert np.abs(part - whole[33:35]).max() <= FP32_MOST


def test_decoding_twice_gives_the_same_frames(device: str, encoded: Encoded) -> None:
    file = encoded("cpu", keep=0.3)
    assert np.array_equal(frames_of(file, device, fill="lit"), frames_of(file, device, fill="lit"))


@pytest.mark.parametrize("fill", ["auto", "lit", "hold"])
def test_latents_are_on_the_device_and_kept_ones_are_exact(
    fill: str, device: str, encoded: Encoded, figure: Figure
) -> None:
    file = encoded("cpu", keep=0.3)
    found = []
    for name in (device, "cpu"):
        with open_lat(io.BytesIO(file), device=name, fill=fill) as lat:
            latents, mask = lat.latents(), torch.from_numpy(lat.mask)
        assert (latents.device.type, latents.dtype) == (name, torch.float32)
        found.append(latents[0].cpu())
    here, there = found
    assert torch.equal(here[:, mask], there[:, mask])
    off = (here - there).abs().mean() / there.std()
    figure(f"mean difference of a latent over their spread, {fill}", float(off))
    assert off <= (0 if fill == "hold" else FILLED_MEAN)
