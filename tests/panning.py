"""A clip whose camera moves over a still picture, for tests of every way to what a .lat file holds."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np


def panning_video(path: Path, frames: int = 40, width: int = 160, height: int = 96, speed: float = 3.7) -> Path:
    """Write a video that pans to the right over a smooth random picture, by `speed` pixels a frame; gives its path."""
    rng = np.random.default_rng(5)
    across = width + int(np.ceil(speed * frames)) + 2
    picture = np.zeros((height, across, 3))
    for size in (4, 8, 16, 32):
        coarse = rng.normal(size=(height // size + 2, across // size + 2, 3)) * size**0.5
        y, x = np.arange(height) / size, np.arange(across) / size
        rows = _between(coarse, y, 0)
        picture += _between(rows, x, 1)
    picture = np.clip(128 + 18 * picture, 0, 255)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25, options={"crf": "10"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for index in range(frames):
            left, part = divmod(index * speed, 1.0)
            at = int(left)
            pixels = (1 - part) * picture[:, at : at + width] + part * picture[:, at + 1 : at + 1 + width]
            frame = av.VideoFrame.from_ndarray(np.rint(pixels).astype(np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Values at places along an axis, in between by a straight line."""
    low = np.floor(places).astype(int)
    part = (places - low).reshape([-1 if number == axis else 1 for number in range(values.ndim)])
    found: np.ndarray = (1 - part) * values.take(low, axis) + part * values.take(low + 1, axis)
    return found
