"""Protects `latcomp bench rd`: wrong command lines are told before any work, figures and plots appear where they were
asked for.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from latcomp.report import extras

from .conftest import Latcomp, assert_refused
from .test_startup import CALL, run_and_look

QUICK = ["--codecs", "latcomp,x264", "-Q", "2,8", "--device", "cpu"]

WRONG = [
    (["--codecs", "latcomp,vp9"], "vp9"),
    (["--codecs", ""], "choose from"),
    (["-Q", "1,11"], "0 to 10"),
    (["-Q", "1;5"], "1,3,5"),
    (["-Q", "nan"], "1,3,5"),
    (["--at", "0"], "above 0"),
    (["--at", "0.1,x"], "list of numbers"),
    (["--group", "static"], "NAME=clip,clip"),
    (["--group", "=clip"], "NAME=clip,clip"),
    (["--group", "static=other"], "other"),
    (["--square", "8"], "16"),
    (["--square", "33"], "33"),
    (["--tokenizer", "none-such"], "none-such"),
]


@pytest.mark.parametrize(
    ("arguments", "named"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_wrong_setting_is_one_line_and_exit_2(arguments: list[str], named: str, latcomp: Latcomp, clip: Path) -> None:
    ran = latcomp("bench", "rd", clip, *arguments)
    assert_refused(ran, 2)
    assert named in ran.err


def test_clips_that_are_not_there_or_share_a_name_are_refused(latcomp: Latcomp, clip: Path) -> None:
    assert_refused(latcomp("bench", "rd", clip.with_name("none.mp4")), 2)
    assert_refused(latcomp("bench", "rd", clip, clip), 2)


def test_a_file_that_is_no_video_is_exit_3(latcomp: Latcomp, tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    ran = latcomp("bench", "rd", tmp_path / "text.mp4", *QUICK)
    assert_refused(ran, 3)


def test_outputs_that_exist_are_kept(latcomp: Latcomp, clip: Path, tmp_path: Path) -> None:
    (tmp_path / "mean.png").write_text("mine")
    (tmp_path / "out.json").write_text("mine")
    assert_refused(latcomp("bench", "rd", clip, "--json", tmp_path / "out.json"), 6)
    assert_refused(latcomp("bench", "rd", clip, "--plot", tmp_path), 6)
    assert_refused(latcomp("bench", "rd", clip, "--plot", tmp_path / "mean.png"), 6)
    assert_refused(latcomp("bench", "rd", clip, "--plot", tmp_path / "out.json"), 6)
    assert_refused(latcomp("bench", "rd", clip, "--json", tmp_path / "none" / "out.json"), 6)
    assert_refused(latcomp("bench", "rd", clip, "--json", clip, "-f"), 2)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}


def test_a_missing_library_is_named(latcomp: Latcomp, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(extras.importlib.util, "find_spec", lambda name: None if name == "matplotlib" else found(name))
    ran = latcomp("bench", "rd", clip, "--plot", "plots")
    assert_refused(ran, 2)
    assert "matplotlib not installed: pip install 'latcomp[report]'" in ran.err


def test_figures_and_plots_are_written_and_tables_are_for_people(latcomp: Latcomp, clip: Path, tmp_path: Path) -> None:
    out, plots = tmp_path / "out.json", tmp_path / "plots"
    ran = latcomp(
        "bench",
        "rd",
        clip,
        *QUICK,
        "--square",
        "32",
        "--at",
        "0.5,1e6",
        "--group",
        "all=clip",
        "--json",
        out,
        "--plot",
        plots,
    )
    assert (ran.code, ran.out) == (0, b"")
    figures = json.loads(out.read_text())
    assert {row["codec"] for row in figures["clips"]} == {"latcomp", "x264"}
    assert figures["square"] == 32 and figures["sources"]["clip"]["width"] == 32
    assert set(figures["bd_rate"]["x264"]) == {"clip", "mean", "mean of all"}
    assert [row["bpp"] for row in figures["at"]] == [0.5, 0.5, 1e6, 1e6]
    assert sorted(path.name for path in plots.iterdir()) == ["clip.png", "mean-of-all.png", "mean.png"]
    assert "latcomp: clip: 9 points in " in ran.err
    assert "x264 does not reach 1e+06 bpp on clip" in ran.err
    assert "mean of all" in ran.err


def test_figures_on_standard_output_are_one_object(latcomp: Latcomp, clip: Path) -> None:
    ran = latcomp("bench", "rd", clip, "--codecs", "x264", "--json", "-", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["bd_rate"] == {}


def test_help_imports_neither_torch_nor_scipy_nor_matplotlib() -> None:
    done = run_and_look(f"{CALL}\nassert 'matplotlib' not in sys.modules", "bench", "rd", "--help")
    assert done.returncode == 0, done.stderr
    for flag in ("--quality", "--codecs", "--square", "--at", "--group", "--plot", "--json"):
        assert flag in done.stdout
