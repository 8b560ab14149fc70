"""Protects: a batch encodes all it can, keeps what is valid, stops without a trace, and says of every file how it
ended.
"""

from __future__ import annotations

import importlib.util
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latcomp.batch import (
    DONE,
    FAILED,
    BatchSettings,
    Event,
    Outcome,
    Step,
    Task,
    Watch,
    make_plan,
    processes,
    run_batch,
)
from latcomp.errors import DeviceError

from .conftest import Latcomp, Ran, assert_refused

KEYS = {"source", "target", "status", "error", "exit_code", "bytes", "bpp", "frames", "seconds", "notes"}


def told(ran: Ran) -> dict[str, dict[str, Any]]:
    """The JSON objects of a run, by the name of their source."""
    return {Path(one["source"]).name: one for one in map(json.loads, ran.out.splitlines())}


def files(folder: Path) -> dict[str, bytes]:
    """Bytes of all files below a folder, also hidden ones, by name."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def statuses(ran: Ran) -> dict[str, str]:
    """How each source ended."""
    return {name: one["status"] for name, one in told(ran).items()}


@pytest.fixture
def source(clip: Path, make_video: Callable[..., Path], tmp_path: Path) -> Path:
    """Two small videos, one of them in a folder inside."""
    folder = tmp_path / "src"
    (folder / "day").mkdir(parents=True)
    (folder / "a.mp4").write_bytes(clip.read_bytes())
    make_video(folder / "day" / "b.mkv", frames=9, width=48)
    return folder


def test_what_is_valid_is_skipped_and_what_is_not_is_made_again(source: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    target = tmp_path / "deep" / "dst"
    first = latcomp("batch", source, target, "--json", "-q")
    assert (first.code, first.err) == (0, "")
    assert statuses(first) == {"a.mp4": "done", "b.mkv": "done"}
    assert all(set(one) >= KEYS for one in told(first).values())
    written = files(target)
    assert set(written) == {"a.lat", "day/b.lat"}
    assert told(first)["b.mkv"]["bytes"] == len(written["day/b.lat"])
    assert told(first)["b.mkv"]["frames"] == 9
    alone = latcomp("encode", source / "a.mp4", tmp_path / "alone.lat", "-q")
    assert alone.code == 0 and (tmp_path / "alone.lat").read_bytes() == written["a.lat"]

    second = latcomp("batch", source, target, "--json", "-q")
    assert (second.code, statuses(second)) == (0, {"a.mp4": "skipped", "b.mkv": "skipped"})
    assert told(second)["a.mp4"]["bpp"] == told(first)["a.mp4"]["bpp"]
    assert files(target) == written

    (target / "a.lat").write_bytes(written["a.lat"][:-40])
    damaged = bytearray(written["day/b.lat"])
    damaged[len(damaged) // 2] ^= 1
    (target / "day" / "b.lat").write_bytes(damaged)
    third = latcomp("batch", source, target, "--json")
    assert (third.code, statuses(third)) == (0, {"a.mp4": "done", "b.mkv": "done"})
    assert files(target) == written
    assert "a.lat was damaged" in third.err and "re-encoded" in told(third)["b.mkv"]["notes"][0]

    os.utime(target / "a.lat", (1, 1))
    fourth = latcomp("batch", source, target, "--json")
    assert statuses(fourth) == {"a.mp4": "done", "b.mkv": "skipped"}
    assert "older than its source" in fourth.err


def test_other_settings_need_force(source: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    target = tmp_path / "dst"
    assert latcomp("batch", source, target, "-q", "-Q", 3).code == 0
    before = files(target)
    refused = latcomp("batch", source, target, "-q", "-Q", 4, "--json")
    assert refused.code == 6 and files(target) == before
    assert "quality 3, not 4" in told(refused)["a.mp4"]["error"] and "--force" in told(refused)["a.mp4"]["error"]
    silent = latcomp("batch", source, target, "-Q", 3, "--no-audio", "--json")
    assert statuses(silent) == {"a.mp4": "failed", "b.mkv": "skipped"}, "only one of them has audio to leave out"
    forced = latcomp("batch", source, target, "-q", "-Q", 4, "--json", "-f")
    assert (forced.code, statuses(forced)) == (0, {"a.mp4": "done", "b.mkv": "done"})
    again = latcomp("batch", source, target, "-q", "-Q", 4, "--json", "-f")
    assert set(statuses(again).values()) == {"skipped"}, "an interrupted run with --force must be able to go on"


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_bad_file_does_not_stop_the_rest(jobs: int, source: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    (source / "broken.mp4").write_bytes(b"no video at all")
    (source / "z.mov").symlink_to("nowhere")
    (source / "readme.txt").write_text("not meant")
    ran = latcomp("batch", source, tmp_path / "dst", "--jobs", jobs, "--json")
    assert ran.code == 3, ran.err
    assert statuses(ran) == {"a.mp4": "done", "b.mkv": "done", "broken.mp4": "failed", "z.mov": "failed"}
    assert told(ran)["broken.mp4"]["exit_code"] == 3 and told(ran)["broken.mp4"]["bytes"] is None
    assert set(files(tmp_path / "dst")) == {"a.lat", "day/b.lat"}
    assert [line for line in ran.lines if "broken.mp4" in line and line.startswith("latcomp: error: ")]
    table = {line.split()[0]: line.split()[1] for line in ran.lines if line.split()[0] in ("done", "skipped", "failed")}
    assert table == {"done": "2", "skipped": "0", "failed": "2"}


def test_what_no_file_can_be_encoded_with_is_said_once(source: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    target = tmp_path / "dst"
    assert_refused(latcomp("batch", source, target, "--tokenizer", "nope"), 2)
    assert_refused(latcomp("batch", source, target, "--keep", 0.5, "--threshold", 1), 2)
    assert_refused(latcomp("batch", source, target, "--engine", "cloud"), 2)
    (source / "a.mkv").write_bytes(b"")
    assert_refused(latcomp("batch", source, target), 2)
    assert_refused(latcomp("batch", source / "nowhere", target), 3)
    assert not target.exists()


def test_an_interrupt_ends_all_workers_and_leaves_nothing(make_video: Callable[..., Path], tmp_path: Path) -> None:
    """As Ctrl-C in a terminal does, the signal goes to the command and to its workers."""
    source, target = tmp_path / "src", tmp_path / "dst"
    source.mkdir()
    long = make_video(source / "a.mp4", frames=250, width=320, height=240)
    (source / "b.mp4").write_bytes(long.read_bytes())
    command = [sys.executable, "-m", "latcomp", "batch", str(source), str(target), "--jobs", "2"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 90
    while len(list(target.glob(".*"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert len(list(target.glob(".*"))) == 2, "no two files were begun"
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert files(target) == {}
    assert err.splitlines() == ["latcomp: interrupted"]


def test_a_killed_worker_costs_one_file(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the system does when memory runs out."""
    source, target = tmp_path / "src", tmp_path / "dst"
    source.mkdir()
    long = make_video(source / "a.mp4", frames=250)
    for name in ("b", "c"):
        (source / f"{name}.mp4").write_bytes(long.read_bytes())
    outcomes: list[Outcome] = []
    killed: list[str] = []
    at_work: dict[str, processes._WorkerHandle] = {}
    give = processes._WorkerHandle.give

    def remember(worker: processes._WorkerHandle, task: Task, watch: Watch) -> None:
        at_work[task.name] = worker
        give(worker, task, watch)

    def watch(event: Event) -> None:
        if isinstance(event, Outcome):
            outcomes.append(event)
        elif isinstance(event, Step) and event.frames and not killed:
            at_work[event.task.name].process.kill()
            killed.append(event.task.name)

    monkeypatch.setattr(processes._WorkerHandle, "give", remember)
    run_batch(make_plan(source, target).tasks, BatchSettings(), 2, "local", watch)
    assert killed and not multiprocessing.active_children()
    assert sorted(outcome.status for outcome in outcomes) == [DONE, DONE, FAILED]
    (failed,) = (outcome for outcome in outcomes if outcome.status == FAILED)
    assert [failed.task.name] == killed
    assert isinstance(failed.error, DeviceError) and failed.error.settings == ("jobs",)
    assert len(files(target)) == 2 and all(name.endswith(".lat") and not name.startswith(".") for name in files(target))


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="ray is installed")
def test_without_ray_the_message_says_how_to_install_it(source: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("batch", source, tmp_path / "dst", "--engine", "ray")
    assert_refused(ran, 2)
    assert "pip install 'latcomp[ray]'" in ran.err


def test_ray_does_what_local_does(source: Path, shell: Latcomp, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    (source / "broken.mp4").write_bytes(b"no video at all")
    ran = shell("batch", source, tmp_path / "dst", "--engine", "ray", "--jobs", 2, "--json")
    assert ran.code == 3, ran.err
    assert statuses(ran) == {"a.mp4": "done", "b.mkv": "done", "broken.mp4": "failed"}
    assert set(files(tmp_path / "dst")) == {"a.lat", "day/b.lat"}
