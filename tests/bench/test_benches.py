"""Benchmarks measure what they say: same masks for every fill, a choice that never loses to hold, round trips that are
really checked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latcomp.bench.fill.measure import FILLS, FillBench, interpolate
from latcomp.bench.fill.plots import save_plot
from latcomp.bench.summary import same_streams, summarise
from latcomp.latents import TokenMemory, hold

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def clip(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clip") / "clip.mp4", frames=24, width=64, height=48, sound=True)


def test_fill_rows_cover_every_fill_and_the_choice_never_loses_to_hold(clip: Path, tmp_path: Path) -> None:
    """Every fill gets the same tokens; `auto` is the encoder's rule; the plot draws from the same rows."""
    bench = FillBench(5.0, [0.4], "cpu")
    bench.run(clip)
    figures = bench.figures()
    rows = {row["fill"]: row for row in figures["rows"]}
    assert set(rows) == set(FILLS)
    assert list(rows["hold"]) == [
        "clip",
        "keep",
        "keep_ratio",
        "fill",
        "latent_mse",
        "gain_db",
        "psnr_y",
        "ms_ssim_y",
        "lit_share",
    ]
    assert len({row["keep_ratio"] for row in rows.values()}) == 1
    assert rows["hold"]["keep_ratio"] == pytest.approx(0.4, abs=0.01)
    assert rows["hold"]["gain_db"] == 0
    assert (rows["hold"]["lit_share"], rows["lit"]["lit_share"]) == (0, 1)
    assert rows["auto"]["gain_db"] >= 0
    assert rows["auto"]["latent_mse"] <= rows["hold"]["latent_mse"]
    assert all(20 < row["psnr_y"] < 60 and 0.5 < row["ms_ssim_y"] <= 1 for row in rows.values())
    assert [row["psnr_y"] for row in figures["mean"]] == [row["psnr_y"] for row in figures["rows"]]
    save_plot(bench.rows, tmp_path / "fill.png")
    assert (tmp_path / "fill.png").read_bytes().startswith(b"\x89PNG")


def test_interpolation_meets_both_kept_values() -> None:
    mask = np.array([True, False, False, False, True, False]).reshape(6, 1, 1)
    held = hold(TokenMemory.start((1, 1), 1, np.float32), np.array([[0.0], [4.0]], np.float32), mask)
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
    assert subprocess.run(command, capture_output=True, check=False).returncode == 6


@pytest.mark.parametrize("kind", ["tokenizer", "prior"])
def test_a_training_is_measured_with_its_data_alone_and_its_waits(
    kind: str, make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from latcomp.bench import training
    from latcomp.training.loop import TrainOptions

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(training, "DATA_SECONDS", 0.1)
    clips = tmp_path / "clips"
    clips.mkdir()
    for index in range(2):
        make_video(clips / f"{index}.mp4", frames=40, width=128, height=96)
    figures = training.measure(kind, TrainOptions(clips, tmp_path / "out", steps=2, preset="tiny", device="cpu"), 2)
    assert figures["steps_per_second"] == pytest.approx(1 / figures["step_seconds"])
    assert figures["data_examples_per_second"] > 0
    assert 0 <= figures["waiting_share"] <= 1
    assert not (tmp_path / "out").exists()
