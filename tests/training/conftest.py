"""Small generated clips with a cache of their own, and a tokenizer that was trained on them, made once for all
training tests.
"""

from pathlib import Path

import av
import numpy as np
import pytest

from latcomp.training import tokenizer


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


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with three clips in `clips`, and room for the cache of what they are decoded to."""
    folder = tmp_path_factory.mktemp("training")
    (folder / "clips").mkdir()
    for seed in range(3):
        write_clip(folder / "clips" / f"clip-{seed}.mp4", seed)
    return folder


@pytest.fixture
def clips(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three clips."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(home / "cache"))
    return home / "clips"


@pytest.fixture(scope="session")
def trained(home: Path) -> Path:
    """A tokenizer trained for two steps with its checkpoint. It is shared: what a test changes, it copies first."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(home / "cache"))
        return tokenizer.train(home / "clips", home / "tokenizer", steps=2, preset="tiny", device="cpu")
