"""Protects training on a GPU: every kind of model for 20 steps (on the CPU, its stand-in, fewer), clips in the GPU's
memory, examples from processes, checkpoints.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from latcomp.training import decoder, lit, prior, tokenizer
from latcomp.training.clips import load_clips
from latcomp.training.crops import Footage
from latcomp.training.decoder import DecoderTask
from latcomp.training.feed import on_device
from latcomp.training.lit import LitTask
from latcomp.training.loop import TrainOptions, batch_factor_for, start
from latcomp.training.prior import PriorTask
from latcomp.training.tokenizer import TokenizerTask
from tests.video.make import write

MODULES = {"decoder": decoder, "lit": lit, "prior": prior}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of three clips."""
    folder = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number in range(3):
        texture = rng.integers(0, 255, (12, 16, 3), np.uint8).repeat(8, 0).repeat(8, 1)
        write(folder / f"{number}.mp4", [np.roll(texture, number * t, axis=1) for t in range(40)])
    return folder


@pytest.fixture(scope="module", autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def steps(device: str) -> int:
    return 20 if device == "cuda" else 5


@pytest.fixture(scope="module")
def base(clips: Path, device: str, steps: int, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer trained on the device, its checkpoint in pieces."""
    return tokenizer.train(
        clips,
        tmp_path_factory.mktemp("tokenizer"),
        steps=steps,
        preset="tiny",
        device=device,
        batch_factor=2,
        checkpoint_piece_mib=0.1,
    )


def final(folder: Path) -> dict[str, float]:
    """The figures of a model's last validation."""
    return json.loads((folder / "log.jsonl").read_text().splitlines()[-1])


def test_a_tokenizer_learns_and_goes_on_from_pieces(
    base: Path, clips: Path, device: str, steps: int, tmp_path: Path
) -> None:
    more = tokenizer.train(clips, tmp_path / "more", steps=steps, preset="tiny", device=device, resume=base, seed=1)
    assert final(more)["step"] == 2 * steps
    assert final(more)["objective"] < final(base)["objective"]
    assert all(torch.isfinite(value.float()).all() for value in load_file(more / "model.safetensors").values())


@pytest.mark.parametrize("kind", MODULES)
def test_what_is_trained_on_frozen_latents_trains(
    kind: str, base: Path, clips: Path, device: str, steps: int, tmp_path: Path
) -> None:
    """With examples made by a process of their own, as a GPU's are; on the CPU for one kind, since it takes seconds."""
    workers = int(device == "cuda" or kind == "prior")
    options = {"steps": steps, "preset": "tiny", "device": device, "tokenizer": base, "batch_factor": 2}
    folder = MODULES[kind].train(clips, tmp_path / kind, workers=workers, **options)
    assert final(folder)["step"] == steps
    assert all(torch.isfinite(value.float()).all() for value in load_file(folder / "model.safetensors").values())


def test_compiled_networks_train_as_others(clips: Path, device: str, tmp_path: Path) -> None:
    if device != "cuda":
        pytest.skip("CUDA")  # compiling takes a minute of a processor
    losses = []
    for compiled in (False, True):
        options = TrainOptions(
            clips, tmp_path / str(compiled), steps=2, preset="tiny", device=device, compile=compiled, batch_factor=1
        )
        task = start(TokenizerTask, options)
        batch = {name: value.to(task.setting.device) for name, value in task.make_batch()(0, False).items()}
        with task.setting.run.autocast():
            losses.append(float(task.loss(batch, 0)[0]))
    assert losses[1] == pytest.approx(losses[0], rel=0.02)


def test_clips_lie_on_a_gpu_and_give_the_crops_of_the_host(clips: Path, device: str) -> None:
    found = load_clips(clips, 8, 64)
    host = Footage(found, torch.device("cpu"))
    there = Footage(found, torch.device(device), most_bytes=2**30)
    crops = host.draw(0, 0, 6, 8, 64)
    assert there.take(crops, 8, 64).device.type == device
    assert torch.equal(there.take(crops, 8, 64).cpu(), host.take(crops, 8, 64))
    assert Footage(found, torch.device(device)).resident == (device == "cuda")


def test_a_gpu_has_larger_batches(device: str) -> None:
    factor = batch_factor_for(torch.device(device))
    assert factor == 1 if device == "cpu" else factor >= 1


def test_a_step_does_not_wait_for_the_gpu(base: Path, clips: Path, device: str, tmp_path: Path) -> None:
    """Every operation that would wait fails instead; only log lines, validations and checkpoints may."""
    if device != "cuda":
        pytest.skip("CUDA")
    for number, kind in enumerate((TokenizerTask, LitTask, PriorTask, DecoderTask)):
        options = TrainOptions(clips, tmp_path / str(number), steps=9, preset="tiny", device=device, tokenizer=base)
        task = start(kind, options)
        make = task.make_batch()
        for step in range(3):
            batch = on_device(make(step, False), task.setting.device)
            torch.cuda.set_sync_debug_mode("error" if step else "default")  # the first step makes what is kept
            try:
                with task.setting.run.autocast():
                    loss, _ = task.loss(batch, step)
                task.setting.run.update(loss, 1.0)
            finally:
                torch.cuda.set_sync_debug_mode("default")
