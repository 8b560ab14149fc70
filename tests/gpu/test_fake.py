"""Protects, where there is no GPU: every tensor of a CUDA run is on the device where it is used, and on the CPU before
numpy has it.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensor

from latcomp.bench.codec import BenchCodec
from latcomp.bench.fill.measure import FillBench
from latcomp.bench.rd.latents import LatentBench, pack
from latcomp.bench.rd.source import read_clip
from latcomp.codec.decode import decode
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.stages import StageClock
from latcomp.video import Frame, open_video
from tests.video.make import write

from .fake_cuda import fake_cuda

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason="CUDA is there, and is tried itself")
SHORT = {"duration_seconds": 0.5, "device": "cuda"}


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    with fake_cuda(monkeypatch) as asked:
        yield asked


def encoded(clip: Path, **settings: Any) -> bytes:
    file = io.BytesIO()
    assert encode(clip, file, **{**SHORT, **settings}).device == "cuda"
    return file.getvalue()


def test_tensors_on_two_devices_are_an_error(cuda: list[str]) -> None:
    """The stand-in tells what it is for; without this no test here could fail."""
    there, here = torch.empty(3, 4, device="cuda"), torch.from_numpy(np.zeros((3, 4), np.float32))
    assert isinstance(there, FakeTensor) and (there + there[1:2, None, 0]).device.type == "cuda"
    with pytest.raises(RuntimeError, match="same device"):
        there + here
    with pytest.raises(TypeError, match="can't convert cuda"):
        there.numpy()
    assert (there + here.to("cuda")).cpu().numpy().shape == (3, 4)
    assert cuda == ["to", "back"]


WAYS: list[dict[str, Any]] = [
    {},
    {"keep": 0.3},
    {"target_bpp": 20.0},
    {"min_psnr": 3.0},
    {"lossless": True},
    {"coding": "zstd"},
    {"reference": "previous"},
]


@pytest.mark.parametrize("settings", WAYS, ids=lambda settings: next(iter(settings), "default"))
def test_encoding(settings: dict[str, Any], clip: Path, cuda: list[str]) -> None:
    with open_lat(io.BytesIO(encoded(clip, **settings))) as lat:
        assert lat.stats()["frames"] == 13
    assert {"to", "back"} <= set(cuda)


@pytest.fixture
def file(encoded: Callable[..., bytes]) -> bytes:
    """Two groups, made on the CPU."""
    return encoded("cpu", keep=0.3)


@pytest.fixture
def short(clip: Path, tmp_path: Path) -> Path:
    """The first 8 frames of the clip."""
    with open_video(clip) as reader:
        write(tmp_path / "short.mkv", [item.pixels for item in reader if isinstance(item, Frame)][:8])
    return tmp_path / "short.mkv"


@pytest.mark.parametrize("fill", ["lit", "hold"])
def test_decoding(fill: str, file: bytes, cuda: list[str], tmp_path: Path) -> None:
    """A part behind a skipped group, in bf16 as on any GPU since Ampere, and latents of both groups."""
    decoded = decode(io.BytesIO(file), tmp_path / "out.mkv", fill=fill, device="cuda", start_seconds=1.32)
    assert (decoded.frames, decoded.device) == (3, "cuda")
    assert {"to", "back", "bf16"} == set(cuda)
    with open_lat(io.BytesIO(file), fill=fill, device="cuda") as lat:
        latents = lat.latents()
    assert (latents.device.type, latents.dtype, latents.shape[2:]) == ("cuda", torch.float32, (9, 6, 9))


def test_benches(short: Path, cuda: list[str], tmp_path: Path) -> None:
    """Those that run networks themselves: fill, allocators, raw latents; and the clock that waits for the GPU."""
    assert FillBench(5.0, [0.3], "cuda").run(short)
    codec = BenchCodec(5.0, device="cuda")
    source = codec.read(short)
    segments = codec.encode(source)
    codec.warm_up(segments)
    masks = [
        [np.arange(np.prod(shape)).reshape(shape) < (shape[1] * shape[2]) for shape in segment.shapes]
        for segment in segments
    ]
    assert len(codec.written(source, segments, masks, 0.3).frames) == 8
    bench = LatentBench(device="cuda")
    whole = read_clip(short, tmp_path)
    latents, _ = bench.encode(whole)
    assert len(list(bench.decode(pack(latents, "raw-fp16"), whole))) == 8
    with StageClock(codec.device) as clock:
        encode(short, io.BytesIO(), device="cuda")
    assert {"tokenizer", "lit"} <= set(clock.seconds)
