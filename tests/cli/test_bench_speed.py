"""Protects `latcomp bench speed`: wrong command lines are told before any work, figures and plot appear where they were
asked for.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused
from .test_startup import CALL, run_and_look

WRONG = [
    (["-Q", "11"], "0 to 10"),
    (["--repeats", "0"], "repeats"),
    (["--frames", "0"], "frames"),
    (["--plot", "out.xyz"], ".png"),
    (["--tokenizer", "none-such"], "none-such"),
    (["--device", "tpu"], "tpu"),
]


@pytest.mark.parametrize(
    ("arguments", "named"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_wrong_setting_is_one_line_and_exit_2(arguments: list[str], named: str, latcomp: Latcomp, clip: Path) -> None:
    """A mistake is told at once and by name."""
    ran = latcomp("bench", "speed", clip, *arguments)
    assert_refused(ran, 2)
    assert named in ran.err


def test_outputs_that_exist_are_kept(latcomp: Latcomp, clip: Path, tmp_path: Path) -> None:
    """Nothing is overwritten unasked, and no clip ever."""
    for option, name in (("--json", "out.json"), ("--plot", "out.png")):
        (tmp_path / name).write_text("mine")
        assert_refused(latcomp("bench", "speed", clip, option, tmp_path / name), 6)
    assert_refused(latcomp("bench", "speed", clip, "--json", clip, "-f"), 2)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}


def test_figures_and_plot_are_written_and_tables_are_for_people(latcomp: Latcomp, clip: Path, tmp_path: Path) -> None:
    """Data in the files, people on standard error, nothing on standard output; -f replaces."""
    out, plot = tmp_path / "out.json", tmp_path / "plot.png"
    plot.write_text("old")
    ran = latcomp(
        "bench", "speed", clip, "--frames", 8, "--repeats", 1, "--device", "cpu", "--json", out, "--plot", plot, "-f"
    )
    assert (ran.code, ran.out) == (0, b"")
    figures = json.loads(out.read_text())
    assert [row["clip"] for row in figures["clips"]] == ["clip"] and figures["clips"][0]["frames"] == 8
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "latcomp: clip: 7 points in " in ran.err
    for words in (
        "in one process",
        "whole process",
        "token coding",
        "wall ms",
        "thousand multiply-adds per pixel",
        "start-up: one",
    ):
        assert words in ran.err
    assert "device MB" not in ran.err


def test_a_clip_that_is_no_video_is_told(latcomp: Latcomp, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    assert_refused(latcomp("bench", "speed", tmp_path / "text.mp4", "--device", "cpu", "-q"), 3)


def test_help_imports_neither_torch_nor_scipy_nor_matplotlib() -> None:
    """Help is quick, and says what shares are of."""
    done = run_and_look(f"{CALL}\nassert 'matplotlib' not in sys.modules", "bench", "speed", "--help")
    assert done.returncode == 0, done.stderr
    for words in (
        "--quality",
        "--repeats",
        "--frames",
        "--device",
        "--plot",
        "--json",
        "--force",
        "--quiet",
        "overlap in",
    ):
        assert words in done.stdout
