"""Protects: VMAF is what ffmpeg says of the same files; where no libvmaf is, one line says how to get it; a program
that fails is told in its own words and leaves nothing behind.
"""

from __future__ import annotations

import json
import stat
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from latcomp.errors import OutputError, UsageError
from latcomp.metrics import ffmpeg_program, vmaf
from latcomp.metrics.comparison import VideoComparison
from latcomp.metrics.filters import has_filter
from latcomp.metrics.meter import LEAST_SIDE, FramePair, Meter
from latcomp.metrics.vmaf import VmafInProcess, VmafProgram, check_vmaf, read_log
from tests.metrics.planes import measured


@pytest.fixture
def meters(request: pytest.FixtureRequest) -> Iterator[Callable[[], Meter]]:
    """What measures VMAF here: PyAV where it has libvmaf, else the program."""
    if has_filter("libvmaf"):
        yield VmafInProcess
    else:
        found = request.getfixturevalue("program")
        yield lambda: VmafProgram(found)


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go in this test."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_it_is_what_ffmpeg_says_of_the_files(
    program: Path, coded: Callable[[int], Path], planes: Callable[[int], list[np.ndarray]], tmp_path: Path
) -> None:
    graph = "[0:v][1:v]libvmaf=log_fmt=json:log_path=log.json:n_threads=1"
    inputs = ["-i", str(coded(36)), "-i", str(coded(0))]
    command = [str(program), "-v", "error", *inputs, "-lavfi", graph, "-f", "null", "-"]
    subprocess.run(command, cwd=tmp_path, check=True, stdin=subprocess.DEVNULL)
    wanted = json.loads((tmp_path / "log.json").read_text())
    found = measured(VmafProgram(program), planes(0), planes(36))
    assert found.per_frame == pytest.approx([frame["metrics"]["vmaf"] for frame in wanted["frames"]], abs=1e-4)
    assert found.overall == pytest.approx(wanted["pooled_metrics"]["vmaf"]["mean"], abs=1e-4)


def test_it_falls_with_the_quality(
    meters: Callable[[], Meter], planes: Callable[[int], list[np.ndarray]], temporary: Path
) -> None:
    same, best, middle, worst = (measured(meters(), planes(0), planes(crf)).overall for crf in (0, 18, 28, 44))
    assert same > 90
    assert 100 >= same >= best > middle + 1 > worst + 10
    assert list(temporary.iterdir()) == []


def test_odd_sizes_are_whole(meters: Callable[[], Meter]) -> None:
    frames = [np.random.default_rng(n).integers(16, 236, (75, 101), np.uint8) for n in range(3)]
    found = measured(meters(), frames, frames)
    assert len(found.per_frame) == 3 and found.overall > 90


def test_small_frames_are_refused(meters: Callable[[], Meter]) -> None:
    """libvmaf ends with a fault on them."""
    small = [np.zeros((200, LEAST_SIDE - 1), np.uint8)]
    with pytest.raises(UsageError, match="vmaf needs frames of 48 pixels a side or more"):
        measured(meters(), small, small)
    least = [np.zeros((LEAST_SIDE, LEAST_SIDE), np.uint8)]
    assert len(measured(meters(), least, least).per_frame) == 1


@pytest.fixture
def nothing_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No PyAV, package or program has libvmaf; gives the only folder of PATH."""
    monkeypatch.setattr(vmaf, "has_filter", lambda name: False)
    monkeypatch.setattr(ffmpeg_program, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def fake_ffmpeg(folder: Path, filters: str, then: str = "exit 1") -> None:
    """A program that lists some filters and does nothing else."""
    path = folder / "ffmpeg"
    path.write_text(f'#!/bin/sh\ncase "$*" in *-filters*) echo " .. {filters} VV->V  words"; exit 0;; esac\n{then}\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)


def test_where_nothing_has_it_one_line_says_how_to_get_it(nothing_there: Path) -> None:
    with pytest.raises(UsageError, match=r"pip install 'latcomp\[metrics\]'"):
        check_vmaf()
    fake_ffmpeg(nothing_there, "psnr")
    with pytest.raises(UsageError, match="vmaf needs an ffmpeg that has libvmaf, on PATH or by: pip"):
        VideoComparison(metrics=("vmaf",))


def test_a_program_on_path_is_taken_when_it_lists_the_filter(nothing_there: Path) -> None:
    fake_ffmpeg(nothing_there, "libvmaf")
    check_vmaf()
    assert ffmpeg_program.find_ffmpeg("libvmaf") == nothing_there / "ffmpeg"
    assert ffmpeg_program.find_ffmpeg("vmaf") is None


@pytest.mark.parametrize("frames", [1, 40])
def test_a_program_that_fails_is_told_in_its_own_words(
    frames: int, nothing_there: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether it ends before it has read a frame, or while it reads."""
    fake_ffmpeg(nothing_there, "libvmaf", "echo 'no such model' >&2; echo more >&2; exit 3")
    folder = nothing_there / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    pictures = [np.zeros((300, 300), np.uint8)] * frames
    with pytest.raises(OutputError, match=r"ffmpeg ended with 3: no such model$"):
        measured(vmaf.new_vmaf(), pictures, pictures)
    assert list(folder.iterdir()) == []


def test_a_log_without_figures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.json").write_text('{"frames": [{"metrics": {}}]}')
    for name in ("log.json", "none.json"):
        with pytest.raises(OutputError, match="libvmaf wrote no figures"):
            read_log(tmp_path / name)


def test_one_that_is_given_up_leaves_no_process_and_no_files(
    meters: Callable[[], Meter], planes: Callable[[int], list[np.ndarray]], temporary: Path
) -> None:
    meter = meters()
    meter.add(FramePair(*[planes(0)[0]] * 4))
    process = getattr(meter, "_process", None)
    meter.close()
    assert process is None or process.returncode is not None
    assert list(temporary.iterdir()) == []
