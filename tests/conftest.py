"""Fixtures for every room: small videos made on the spot."""

from __future__ import annotations

import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: it and the processes it starts take one thread each
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before NumPy and PyTorch, which look but once

import av
import numpy as np

MakeVideo = Callable[..., Path]


def moving_square(frames: int, width: int, height: int) -> np.ndarray:
    """(frames, height, width, 3) uint8: a smooth still background and a bright square that moves right."""
    y, x = np.mgrid[0:height, 0:width]
    still = np.stack([60 + 120 * x / width, 60 + 120 * y / height, np.full_like(x, 110)], axis=-1)
    pixels = np.repeat(still[None], frames, axis=0).astype(np.uint8)
    side = max(2, min(width, height) // 4)
    for index in range(frames):
        left = (2 * index) % max(1, width - side)
        pixels[index, height // 3 : height // 3 + side, left : left + side] = (230, 210, 60)
    return pixels


@pytest.fixture(scope="session")
def make_video() -> MakeVideo:
    """A function that writes a small video and returns its path; the suffix of the path chooses the container."""

    def make(path: Path, frames: int = 20, width: int = 64, height: int = 48, sound: bool = False) -> Path:
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": "12"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            audio = container.add_stream("aac", rate=16000, layout="mono") if sound else None
            for index, pixels in enumerate(moving_square(frames, width, height)):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
            if audio is not None:
                wave = (8000 * np.sin(np.arange(16000 * frames // 25) / 12)).astype(np.int16)
                sample = av.AudioFrame.from_ndarray(wave[None], format="s16", layout="mono")
                sample.sample_rate, sample.pts, sample.time_base = 16000, 0, Fraction(1, 16000)
                container.mux(audio.encode(sample))
                container.mux(audio.encode())
        return path

    return make
