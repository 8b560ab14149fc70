"""A small textured clip, what x264 makes of it, and the program and weights where they are installed."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from latcomp.metrics.ffmpeg_program import find_ffmpeg

FRAMES, WIDTH, HEIGHT = 8, 128, 96


def textured(frames: int = FRAMES, width: int = WIDTH, height: int = HEIGHT) -> list[np.ndarray]:
    """(H, W, 3) uint8 frames: soft noise that moves by a pixel a frame, dull enough that no colour is cut off."""
    random = np.random.default_rng(0)
    field = random.normal(0, 1, (height + 8, width + frames + 8, 3))
    for axis in (0, 1):
        field = sum(np.roll(field, shift, axis) for shift in range(-2, 3)) / 5**0.5
    field = 128 + 30 * field / field.std()
    whole = np.clip(0.4 * field + 0.6 * field.mean(axis=2, keepdims=True), 40, 215).astype(np.uint8)
    return [np.ascontiguousarray(whole[4 : 4 + height, 4 + n : 4 + n + width]) for n in range(frames)]


@pytest.fixture(scope="session")
def original() -> list[np.ndarray]:
    return textured()


@pytest.fixture(scope="session")
def coded(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """The clip as x264 codes it at a CRF; 0 is lossless 4:2:0."""
    folder = tmp_path_factory.mktemp("coded")

    def code(crf: int) -> Path:
        path = folder / f"{crf}.mkv"
        if path.exists():
            return path
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=25, options={"crf": str(crf), "threads": "1"})
            stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
            for index, pixels in enumerate(textured()):
                frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
        return path

    return code


@pytest.fixture(scope="session")
def planes(coded: Callable[[int], Path]) -> Callable[[int], list[np.ndarray]]:
    """The stored luma (H, W) of every frame at a CRF."""

    def of(crf: int) -> list[np.ndarray]:
        with av.open(str(coded(crf))) as container:
            return [frame.to_ndarray(format="yuv420p")[:HEIGHT].copy() for frame in container.decode(video=0)]

    return of


@pytest.fixture(scope="session")
def ffmpeg_with() -> Callable[[str], Path]:
    """An ffmpeg program that has a filter."""

    def find(name: str) -> Path:
        found = find_ffmpeg(name)
        if found is None:
            pytest.skip(f"no ffmpeg with {name}: pip install 'latcomp[metrics]'")
        return found

    return find


@pytest.fixture(scope="session")
def program(ffmpeg_with: Callable[[str], Path]) -> Path:
    """An ffmpeg that has libvmaf."""
    return ffmpeg_with("libvmaf")
