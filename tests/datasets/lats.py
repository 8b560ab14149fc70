"""Small .lat files for the tests of data sets: two shapes, under zstd alone so that reading is quick."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import latcomp


@pytest.fixture(scope="session")
def lats(tmp_path_factory: pytest.TempPathFactory, make_video: Callable[..., Path]) -> Path:
    """A folder with a.lat and sub/b.lat (300 frames of 48x32) and wide.lat (40 frames of 64x32); not to be changed."""
    folder = tmp_path_factory.mktemp("lats")
    (folder / "sub").mkdir()
    long = make_video(folder / "long.mp4", 300, 48, 32)
    wide = make_video(folder / "wide.mp4", 40, 64, 32)
    for video, name in ((long, "a"), (long, "sub/b"), (wide, "wide")):
        latcomp.encode(video, folder / f"{name}.lat", device="cpu", camera="off", coding="zstd")
    return folder
