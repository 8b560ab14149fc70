"""Fixtures of the tests that need CUDA: each runs on the CPU as well, so that in a usual run only CUDA itself is
untried.

`pytest -m gpu` runs them on a GPU alone and prints the differences to the CPU that they found.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from latcomp.codec.encode import encode
from tests.video.make import write

FIGURE = "differs: "  # properties of tests whose name begins so stand in the summary
NEEDS_CUDA = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="CUDA")]


@pytest.fixture(scope="session", params=["cpu", pytest.param("cuda", marks=NEEDS_CUDA)])
def device(request: pytest.FixtureRequest) -> str:
    """The device under test: CUDA, or the CPU as its stand-in."""
    return str(request.param)


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """36 frames of 72x48: texture that moves over texture that rests, so that tokens are kept and dropped; two
    groups.
    """
    rng = np.random.default_rng(5)
    still = np.kron(rng.integers(40, 215, (12, 18, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    patch = np.kron(rng.integers(0, 255, (6, 40, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    frames = []
    for index in range(36):
        frame = still.copy()
        frame[12:36, 20:52] = patch[:, 2 * index : 2 * index + 32]
        frames.append(frame)
    path = tmp_path_factory.mktemp("gpu") / "clip.mkv"
    write(path, frames)
    return path


@pytest.fixture(scope="session")
def encoded(clip: Path) -> Callable[..., bytes]:
    """`encoded(device, **settings)`: the clip as a .lat file that was made there; each is made once."""

    @cache
    def make(device: str, settings: tuple[tuple[str, Any], ...]) -> bytes:
        file = io.BytesIO()
        encode(clip, file, device=device, **dict(settings))
        return file.getvalue()

    return lambda device, **settings: make(device, tuple(settings.items()))


@pytest.fixture
def figure(
    record_property: Callable[[str, object], None], request: pytest.FixtureRequest
) -> Callable[[str, float], None]:
    """`figure(name, value)`: how far the device is from the CPU, for the report and the summary."""

    def keep(name: str, value: float) -> None:
        record_property(f"{FIGURE}{name}", value)

    return keep


def lines_of(reports: Sequence[pytest.TestReport]) -> list[str]:
    """The figures of some tests, a line each."""
    return [
        f"{value:<12.6g} {name.removeprefix(FIGURE)}  ({report.nodeid.rpartition('::')[2]})"
        for report in reports
        if report.when == "call"
        for name, value in report.user_properties
        if name.startswith(FIGURE)
    ]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The differences that were found on CUDA, a line each."""
    if config.getoption("markexpr", "") != "gpu":
        return
    lines = lines_of([report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])])
    if lines:
        on = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
        terminalreporter.section(f"{on} beside the CPU, PyTorch {torch.__version__}, {os.cpu_count()} cores")
        for line in lines:
            terminalreporter.write_line(line)
