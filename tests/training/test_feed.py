"""Protects: batches reach the loop in order and repeat, whoever makes them, and a device that is faster than its data
never waits.
"""

from __future__ import annotations

import pickle
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp.training.clips import load_clips
from latcomp.training.crops import Footage
from latcomp.training.feed import Batch, Feed, Supply
from latcomp.training.latents import LatentClips

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Numbers:
    """A batch that says which step it is for."""

    def __call__(self, step: int, late: bool) -> Batch:
        return {"step": np.array([step]), "late": late, "context": None}


def taken(supply: Supply, steps: int, first: int = 7) -> list[int]:
    with Feed(Numbers(), CPU, supply, 0, first, lambda here: here >= 4) as feed:
        batches = [feed.take(here) for here in range(steps)]
    assert all(batch["late"] == (int(batch["step"]) - first >= 4) and batch["context"] is None for batch in batches)
    return [int(batch["step"]) for batch in batches]


@pytest.mark.parametrize(
    "supply", [Supply(), Supply(inline=True), Supply(workers=2)], ids=["thread", "inline", "processes"]
)
def test_batches_come_in_the_order_of_steps(supply: Supply) -> None:
    assert taken(supply, 6) == [7, 8, 9, 10, 11, 12]


def test_a_batch_that_serves_several_steps_is_drawn_from_again() -> None:
    steps = taken(Supply(reuse=3), 9)
    assert steps[::3] == [7, 10, 13]
    assert set(steps) <= {7, 10, 13}
    assert steps == taken(Supply(reuse=3), 9)


def test_a_loop_that_does_not_wait_takes_recent_batches_meanwhile() -> None:
    go_on = threading.Event()

    def make(step: int, late: bool) -> Batch:
        if step > 0:
            assert go_on.wait(30)
        return {"step": np.array([step])}

    with Feed(make, CPU, Supply(waits=False), 0, 0, lambda here: False) as feed:
        assert [int(feed.take(here)["step"]) for here in range(4)] == [0, 0, 0, 0]
        assert feed.made == 1
        go_on.set()
        here, seen = 4, 0
        while seen == 0 and here < 10_000_000:
            seen, here = int(feed.take(here)["step"]), here + 1
        assert seen == 1


def test_a_failure_while_a_batch_is_made_reaches_the_loop() -> None:
    def broken(step: int, late: bool) -> Batch:
        raise ValueError("no such clip")

    with Feed(broken, CPU, Supply(), 0, 0, lambda here: False) as feed, pytest.raises(ValueError, match="no such clip"):
        feed.take(0)


def test_other_processes_open_clips_and_latents_by_their_files(clips: Path, tmp_path: Path) -> None:
    """What is handed to workers is a few bytes, not the footage."""
    found = load_clips(clips, 8, 64)
    sent = pickle.dumps(found)
    assert len(sent) < 2000
    assert all(np.array_equal(a.planes, b.planes) for a, b in zip(found, pickle.loads(sent), strict=True))
    np.save(tmp_path / "latents.npy", np.arange(48_000, dtype=np.float16).reshape(4, 30, 20, 20))
    latents = LatentClips([np.load(tmp_path / "latents.npy", mmap_mode="r"), np.ones((4, 1, 2, 2), np.float32)])
    sent = pickle.dumps(latents)
    assert len(sent) < 2000
    again = pickle.loads(sent)
    assert all(np.array_equal(a, b) for a, b in zip(latents, again, strict=True))
    assert np.array_equal(latents.chances, again.chances)


def test_crops_cut_where_the_clips_lie_are_those_of_the_host(clips: Path) -> None:
    found = load_clips(clips, 8, 64)
    host, resident = Footage(found, CPU), Footage(found, CPU, most_bytes=2**30)
    assert resident.resident
    assert not host.resident
    crops = host.draw(seed=3, step=5, count=24, frames=8, side=64)
    assert crops == resident.draw(seed=3, step=5, count=24, frames=8, side=64)
    assert {crop.stride for crop in crops} == {1, 2}
    assert {(crop.mirrored, crop.backwards) for crop in crops} == {
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    }
    assert torch.equal(host.take(crops, 8, 64), resident.take(crops, 8, 64))


def test_clips_stay_on_the_host_where_the_device_has_no_room(clips: Path) -> None:
    assert not Footage(load_clips(clips, 8, 64), CPU, most_bytes=1000).resident
