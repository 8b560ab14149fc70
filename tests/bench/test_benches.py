"""Benchmarks measure what they say: same masks for every fill, a choice that never loses to hold, round trips that are really checked."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latcomp.bench.fill import FILLS, bench_fill, interpolate
from latcomp.bench.summary import same_streams, summarise
from latcomp.inpaint.fill import HoldState

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def clip(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=24, width=64, height=48, sound=True)


def test_fill_rows_cover_every_fill_and_the_choice_never_loses_to_hold(clip: Path) -> None:
    figures = bench_fill([clip], 5.0, [0.4], "cpu")
    rows = {row["fill"]: row for row in figures["rows"]}
    assert set(rows) == set(FILLS)
    assert rows["hold"]["gain_db"] == 0
    assert rows["auto"]["gain_db"] >= 0
    assert rows["auto"]["latent_mse"] <= rows["hold"]["latent_mse"]
    assert all(20 < row["psnr_y"] < 60 for row in rows.values())


def test_interpolation_meets_both_kept_values() -> None:
    mask = np.array([True, False, False, False, True, False]).reshape(6, 1, 1)
    held = HoldState().hold(np.array([[0.0], [4.0]], np.float32), mask)
    assert interpolate(held).flatten().tolist() == [0, 1, 2, 3, 4, 4]


def test_a_summary_checks_the_round_trip_through_files(clip: Path) -> None:
    row = summarise(clip, "cpu")
    assert row.round_trip
    assert row.repeats
    assert row.frames == 24
    assert row.best_psnr_y > row.psnr_y
    assert row.fine_ratio_to_raw > 1


def test_streams_that_differ_are_told_apart(clip: Path, make_video: MakeVideo, tmp_path: Path) -> None:
    shorter = make_video(tmp_path / "short.mp4", frames=23, width=64, height=48, sound=True)
    silent = make_video(tmp_path / "silent.mp4", frames=24, width=64, height=48)
    assert same_streams(clip, clip)
    assert not same_streams(clip, shorter)
    assert not same_streams(clip, silent)


def test_the_command_writes_its_figures(clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "fill.json"
    command = [sys.executable, "-m", "latcomp", "bench", "fill", str(clip), "--keep", "0.5", "--json", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [row["keep"] for row in json.loads(out.read_text())["rows"]] == [0.5] * len(FILLS)
    assert subprocess.run([*command[:-4], "--keep", "2"], capture_output=True, check=False).returncode == 2


