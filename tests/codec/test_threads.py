"""The same file from any number of threads and any size of the pieces that go through the network at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp.codec import pieces as pieces_module
from latcomp.codec.encode import encode
from latcomp.tokenizer.cv8x8x4.exact import Conv2d
from tests.video.make import write


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Noise that moves: thousands of values, some of them close to where rounding turns."""
    rng = np.random.default_rng(11)
    texture = np.kron(rng.integers(0, 255, (40, 80, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    path = tmp_path_factory.mktemp("video") / "in.mkv"
    write(path, [texture[:, 3 * i : 3 * i + 200] for i in range(12)])
    return path


def test_the_number_of_threads_does_not_show_in_a_file(video: Path, tmp_path: Path) -> None:
    """Sums in another order move latents by 1e-5, which is enough to flip a token of a longer video."""
    found = []
    for threads in "13":
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        out = tmp_path / f"{threads}.lat"
        command = [sys.executable, "-m", "latcomp", "encode", str(video), str(out), "-Q", "9", "--device", "cpu", "-q"]
        subprocess.run(command, env=environment, check=True)
        found.append(out.read_bytes())
    assert found[0] == found[1]


def test_the_size_of_the_pieces_does_not_show_in_a_file(
    video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = []
    for pixels in (1, 4 * 1280 * 720):
        monkeypatch.setattr(pieces_module, "PIECE_PIXELS", pixels)
        encode(video, tmp_path / f"{pixels}.lat", quality=9, device="cpu")
        found.append((tmp_path / f"{pixels}.lat").read_bytes())
    assert found[0] == found[1]


FORKED = """
import io, os, signal, sys
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode

def both():
    out = io.BytesIO()
    encode(sys.argv[1], out, device="cpu")
    return out.getvalue(), [frame.pixels.tobytes() for frame in decode_frames(io.BytesIO(out.getvalue()), device="cpu")]

before = both()
child = os.fork()
if child == 0:
    signal.alarm(150)
    os._exit(0 if both() == before else 3)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_forked_child_encodes_and_decodes_as_its_parent_did(video: Path) -> None:
    """A child has none of its parent's threads: waiting for them would never end."""
    environment = {**os.environ, **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "2")}
    assert subprocess.run([sys.executable, "-c", FORKED, str(video)], env=environment, timeout=300).returncode == 0


def test_exact_convolutions_are_convolutions() -> None:
    layer = Conv2d(24, 18, 3, padding=1)
    x = torch.randn(3, 24, 9, 7)
    with torch.inference_mode():
        assert torch.allclose(layer(x), torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1), atol=1e-5)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
