"""Protects: the help names a usual range or the default for every number, its facts are true, and every option stands
in a panel.
"""

from __future__ import annotations

import re
from typing import Any

import pytest
import typer.main

from latcomp.cli.main import COMMANDS, make_app

from .conftest import Latcomp

USED = ("encode", "decode", "batch", "stats", "compare", "tokens")
FREE = {"start", "duration"}  # a time in the video: any


def options(command: str) -> list[Any]:
    """The options of a command, as Typer has them."""
    group = typer.main.get_command(make_app(command))
    found = group.commands[command]  # type: ignore[attr-defined]
    return [one for one in found.params if one.param_type_name == "option"]


@pytest.mark.parametrize("command", USED)
def test_every_number_has_a_usual_range_or_its_default(command: str) -> None:
    for option in options(command):
        if (
            option.is_flag
            or option.metavar not in {"0..10", "B", "DB", "T", "FRACTION", "N", "FACTOR"}
            or option.name in FREE
        ):
            continue
        assert re.search(r"usual|unless given", option.help), f"{command} {option.opts}: {option.help}"


@pytest.mark.parametrize("command", USED)
def test_every_option_is_in_a_panel(command: str) -> None:
    """One outside would come first, above what matters, under a heading of its own."""
    assert [option.opts for option in options(command) if not option.rich_help_panel] == []


def test_facts_in_the_help_are_those_in_force() -> None:
    from latcomp.codec.settings import DEFAULT_QUALITY
    from latcomp.limits import DEFAULT_MAX_PIXELS
    from latcomp.metrics.choice import DEFAULT_ST_LPIPS_FRAMES
    from latcomp.report.compare_video import DEFAULT_AMPLIFY
    from latcomp.video.formats import CODECS

    def text(command: str, name: str) -> str:
        return next(option.help for option in options(command) if option.name == name)

    assert f"{DEFAULT_QUALITY:g} unless given" in text("encode", "quality")
    assert f"{DEFAULT_MAX_PIXELS} (8192 x 4320)" in text("encode", "max_pixels") and DEFAULT_MAX_PIXELS == 8192 * 4320
    assert f"{CODECS['libx264'].crf} for libx264 unless given" in text("decode", "crf")
    assert f"{DEFAULT_AMPLIFY:g} unless given" in text("compare", "amplify")
    assert f"{DEFAULT_ST_LPIPS_FRAMES} unless given, 0 for all" in text("compare", "st_lpips_frames")


@pytest.mark.parametrize("command", [[], ["encode"], ["decode"], ["bench", "rd"], ["completion"]], ids=" ".join)
@pytest.mark.parametrize("columns", [80, 100])
def test_the_help_fits_the_terminal(
    command: list[str], columns: int, latcomp: Latcomp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No line is wider, no flag or name is cut, and flags show no type."""
    monkeypatch.setenv("COLUMNS", str(columns))
    shown = latcomp(*command, "--help")
    assert shown.code == 0
    text = shown.out.decode()
    assert max(map(len, text.splitlines())) <= columns
    assert "…" not in text and "{" not in text
    assert not re.search(r"<(bool|str|path|list\[\w+\])>", text), "types are for programmers"


@pytest.mark.parametrize(
    ("command", "extra"), [("stats", "report"), ("compare", "report"), ("compare", "metrics"), ("batch", "ray")]
)
def test_an_extra_is_named_with_its_brackets(
    command: str, extra: str, latcomp: Latcomp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are markup to what prints the help, and vanish when they are not escaped."""
    monkeypatch.setenv("COLUMNS", "200")
    assert f"pip install 'latcomp[{extra}]'" in latcomp(command, "--help").out.decode()


@pytest.mark.parametrize("command", COMMANDS)
def test_the_list_of_commands_shows_each_with_its_words(
    command: str, latcomp: Latcomp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`latcomp --help` has a line for it, and the one command alone has the same help as among all."""
    monkeypatch.setenv("COLUMNS", "200")
    line = next(line for line in latcomp("--help").out.decode().splitlines() if line.startswith(f"│ {command} "))
    words = line.strip("│ ").removeprefix(command).strip()
    assert len(words) > 10
    assert words in " ".join(latcomp(command, "--help").out.decode().split())


@pytest.mark.parametrize(("command", "usage"), [("stats", "[OPTIONS] IN.lat..."), ("models", "[OPTIONS] [NAME|PATH]")])
def test_the_usage_says_once_that_an_argument_may_be_left_out_or_repeated(
    command: str, usage: str, latcomp: Latcomp
) -> None:
    """Some versions of Typer add brackets and dots to those that are declared."""
    line = next(line for line in latcomp(command, "--help").out.decode().splitlines() if "Usage:" in line)
    assert line.strip() == f"Usage: latcomp {command} {usage}"
