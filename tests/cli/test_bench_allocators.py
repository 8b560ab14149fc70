"""Protects `latcomp bench allocators`: wrong command lines are told before any work, figures and plot appear where they
were asked for.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused
from .test_startup import CALL, run_and_look

QUICK = ["--at", "0.5", "--methods", "latcomp,infotok,uniform", "--duration", "0.4", "--device", "cpu"]

WRONG = [
    (["--at", "0"], "shares"),
    (["--at", "1.5"], "shares"),
    (["-Q", "11"], "0 to 10"),
    (["--methods", "latcomp,oracle"], "oracle"),
    (["--methods", "uniform"], "latcomp"),
    (["--plot", "out.xyz"], ".png"),
    (["--tokenizer", "none-such"], "none-such"),
]


@pytest.mark.parametrize(
    ("arguments", "named"), WRONG, ids=lambda value: " ".join(value) if isinstance(value, list) else ""
)
def test_a_wrong_setting_is_one_line_and_exit_2(arguments: list[str], named: str, latcomp: Latcomp, clip: Path) -> None:
    """A mistake is told at once and by name."""
    ran = latcomp("bench", "allocators", clip, *arguments)
    assert_refused(ran, 2)
    assert named in ran.err


def test_outputs_that_exist_are_kept(latcomp: Latcomp, clip: Path, tmp_path: Path) -> None:
    """Nothing is overwritten unasked, and no clip ever."""
    for option, name in (("--json", "out.json"), ("--plot", "out.png")):
        (tmp_path / name).write_text("mine")
        assert_refused(latcomp("bench", "allocators", clip, option, tmp_path / name), 6)
    assert_refused(latcomp("bench", "allocators", clip, "--json", clip, "-f"), 2)
    assert {path.read_text() for path in tmp_path.iterdir()} == {"mine"}


def test_figures_and_plot_are_written_and_tables_are_for_people(latcomp: Latcomp, clip: Path, tmp_path: Path) -> None:
    """Data in the files, people on standard error, nothing on standard output; -f replaces."""
    out, plot = tmp_path / "out.json", tmp_path / "plot.png"
    plot.write_text("old")
    ran = latcomp("bench", "allocators", clip, *QUICK, "--json", out, "--plot", plot, "-f")
    assert (ran.code, ran.out) == (0, b"")
    figures = json.loads(out.read_text())
    assert [row["method"] for row in figures["rows"]] == ["first", "all", "latcomp", "infotok", "uniform"]
    assert figures["sources"]["clip"]["frames"] == 10
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert "latcomp: clip: 5 points in " in ran.err
    assert "at the same number of tokens" in ran.err and "at latcomp's PSNR-Y" in ran.err


def test_figures_on_standard_output_are_one_object(latcomp: Latcomp, clip: Path) -> None:
    """`--json -` is for pipes."""
    ran = latcomp("bench", "allocators", clip, *QUICK, "--methods", "latcomp", "--square", "32", "--json", "-", "-q")
    assert (ran.code, ran.err) == (0, "")
    assert json.loads(ran.out)["sources"]["clip"]["width"] == 32


def test_help_imports_neither_torch_nor_scipy_nor_matplotlib() -> None:
    """Help is quick."""
    done = run_and_look(f"{CALL}\nassert 'matplotlib' not in sys.modules", "bench", "allocators", "--help")
    assert done.returncode == 0, done.stderr
    for flag in ("--quality", "--at", "--methods", "--seed", "--plot", "--json", "--force", "--quiet"):
        assert flag in done.stdout
