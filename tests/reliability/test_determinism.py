"""Protects: the same tokens from any number of threads and any instruction set, and frames that differ by rounding
alone.

What another processor would do is what oneDNN does here when it is told to use the instructions of an older one. Tokens
of one file are recovered exactly everywhere; what may differ between machines is which tokens an encoder chooses, where
a latent lies within 4e-6 of where rounding turns, and pixels."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from latcomp import models
from latcomp.codec.groups import LatentStream
from latcomp.container import Group, Reader
from latcomp.devices import _exact_switches
from latcomp.models import prior_finder
from latcomp.video import Frame
from tests.video.make import write

ROOT = Path(__file__).parents[2]
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
MACHINES = {
    "one thread": dict.fromkeys(THREADS, "1"),
    "two threads": dict.fromkeys(THREADS, "2"),
    "AVX2": {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    "SSE4.1": {"ONEDNN_MAX_CPU_ISA": "SSE41"},
}
FLIPPED_MOST = 1e-3  # share of tokens that may differ without fused multiply-adds; 0 to 1e-4 was measured
FP32_MOST = 1  # largest difference of a decoded pixel in fp32
BF16_MOST = 4  # the same where one machine decodes in bf16
MAKE = """
import sys
import numpy as np
from latcomp.codec import filled
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
video, lat, wanted, frames = sys.argv[1:]
encode(video, lat, quality=6, device="cpu")
for half in (False, True):
    filled.decodes_in_bf16 = lambda device: half
    np.save(frames + f"-{half}", np.stack([frame.pixels for frame in decode_frames(wanted, device="cpu", fill="lit")]))
"""


class Made(NamedTuple):
    """What one machine made of the video."""

    file: bytes
    masks: list[np.ndarray]
    tokens: list[np.ndarray]
    """Symbols at every position, zero where nothing is kept."""
    fp32: np.ndarray
    """(T, H, W, 3) frames of the file that the first machine made."""
    bf16: np.ndarray


def tokens_of(path: Path) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(masks, symbols at every position) of a file's groups."""
    masks, tokens = [], []
    with path.open("rb") as file:
        for group in Reader(file, find_prior=prior_finder()):
            assert isinstance(group, Group)
            dense = np.zeros((*group.mask.shape, group.tokens.shape[1]), np.int32)
            dense[group.mask] = group.tokens
            masks.append(group.mask)
            tokens.append(dense)
    return masks, tokens


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Made]:
    """A video of noise that pans, its camera followed, encoded, and one file of it decoded, on each machine."""
    folder = tmp_path_factory.mktemp("machines")
    texture = np.kron(np.random.default_rng(3).integers(0, 255, (30, 60, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    write(folder / "in.mkv", [texture[:96, 2 * i : 2 * i + 160] for i in range(12)])
    found: dict[str, Made] = {}
    for number, (name, variables) in enumerate(MACHINES.items()):
        environment = {**os.environ, **MACHINES["one thread"], **variables}
        lat, frames = folder / f"{number}.lat", folder / str(number)
        arguments = [str(folder / "in.mkv"), str(lat), str(folder / "0.lat"), str(frames)]
        subprocess.run([sys.executable, "-c", MAKE, *arguments], cwd=ROOT, env=environment, check=True)
        fp32, bf16 = (np.load(f"{frames}-{half}.npy").astype(np.int16) for half in (False, True))
        found[name] = Made(lat.read_bytes(), *tokens_of(lat), fp32, bf16)
    return found


def test_the_camera_is_followed_in_what_is_compared(made: dict[str, Made]) -> None:
    groups = list(Reader(io.BytesIO(made["one thread"].file), find_prior=prior_finder()))
    offsets = [group.offsets for group in groups if isinstance(group, Group)]
    assert offsets and all(each is not None and each[:, 1].max() > 8 for each in offsets)


def test_threads_and_wider_instructions_do_not_show_in_a_file(made: dict[str, Made]) -> None:
    """AVX2 and AVX-512 both have fused multiply-adds: the same sums in the same order."""
    assert made["one thread"].file == made["two threads"].file == made["AVX2"].file


def test_hardly_a_token_differs_without_fused_multiply_adds(made: dict[str, Made]) -> None:
    here, there = made["one thread"], made["SSE4.1"]
    assert [mask.shape for mask in here.masks] == [mask.shape for mask in there.masks]
    flipped = sum(int((a != b).any(-1).sum()) for a, b in zip(here.tokens, there.tokens, strict=True))
    assert flipped <= FLIPPED_MOST * sum(int(mask.sum()) for mask in here.masks)


@pytest.mark.parametrize("name", list(MACHINES)[1:])
def test_frames_differ_by_rounding_alone(made: dict[str, Made], name: str) -> None:
    one, other = made["one thread"], made[name]
    assert one.fp32.std() > 10, "the frames show something"
    assert np.abs(one.fp32 - other.fp32).max() <= FP32_MOST
    for left, right in ((one.bf16, other.bf16), (one.fp32, other.bf16)):
        difference = np.abs(left - right)
        assert difference.max() <= BF16_MOST and difference.mean() < 0.5


def test_a_gpu_would_encode_in_full_fp32() -> None:
    """TF32, on by default, would round what goes into every convolution to ten bits: tokens would flip by the
    hundred.
    """
    tokenizer = models.load_tokenizer(models.find_tokenizer(None))
    seen: list[list[object]] = []

    def flags() -> list[object]:
        return [getattr(place, name) for place, name, _ in _exact_switches()]

    tokenizer.encoder.trunk.register_forward_pre_hook(lambda *_: seen.append(flags()))
    before = flags()
    frames = (Frame(np.zeros((16, 16, 3), np.uint8), index) for index in range(8))
    assert len(list(LatentStream(tokenizer, torch.device("cpu"), 8).run(frames))) == 1
    assert seen == [[value for *_, value in _exact_switches()]] != [before]
    assert flags() == before
