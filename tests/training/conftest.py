"""A folder of small generated clips and a cache folder of its own for every training test."""

from pathlib import Path

import av
import numpy as np
import pytest


def write_clip(path: Path, seed: int, frames: int = 40, height: int = 96, width: int = 128) -> None:
    """A moving pattern as H.264, frames of (height, width)."""
    rng = np.random.default_rng(seed)
    texture = rng.integers(0, 255, (height // 8, width // 8, 3), np.uint8).repeat(8, 0).repeat(8, 1)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=24)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for t in range(frames):
            picture = np.roll(texture, t if seed % 2 else 0, axis=1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))


@pytest.fixture
def clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three clips."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "clips"
    folder.mkdir()
    for seed in range(3):
        write_clip(folder / f"clip-{seed}.mp4", seed)
    return folder
