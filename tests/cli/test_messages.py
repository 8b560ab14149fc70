"""Protects: the library's messages name settings, the command line's the flags of the same settings."""

from __future__ import annotations

import ast
import pickle
import re
from pathlib import Path

import pytest

import latcomp
from latcomp.cli.main import make_app
from latcomp.cli.messages import flag_of, in_flags, message_of
from latcomp.codec.settings import DecodeSettings, EncodeSettings
from latcomp.container import Limits
from latcomp.errors import LatcompError, LimitError, UsageError


@pytest.mark.parametrize(
    ("text", "settings", "shown"),
    [
        ("quality 20 is out of range", ("quality",), "--quality 20 is out of range"),
        ("a.lat: exists already; force=True replaces it", ("force",), "a.lat: exists already; --force replaces it"),
        ("the audio; audio=False leaves it out", ("audio=False",), "the audio; --no-audio leaves it out"),
        ("deinterlace=True or deinterlace=False", ("deinterlace",), "--deinterlace or --no-deinterlace"),
        ("use fill='auto' or fill='hold'", ("fill",), "use --fill auto or --fill hold"),
        (
            "5 are allowed (raise with max_group_tokens)",
            ("max_group_tokens",),
            "5 are allowed (raise with --max-tokens)",
        ),
        (
            "keep and target_bpp exclude each other",
            ("keep", "target_bpp"),
            "--keep and --target-bpp exclude each other",
        ),
        ("/data/keep/keep.mp4 and keep_all: keep 2", ("keep",), "/data/keep/keep.mp4 and keep_all: --keep 2"),
        ("quality is a word here", (), "quality is a word here"),
    ],
)
def test_settings_become_flags(text: str, settings: tuple[str, ...], shown: str) -> None:
    assert in_flags(text, settings) == shown


def test_errors_keep_their_settings_on_the_way_from_a_worker() -> None:
    error = pickle.loads(pickle.dumps(LimitError("too many (raise with max_frames)", settings=("max_frames",))))
    assert type(error) is LimitError and message_of(error) == "too many (raise with --max-frames)"


@pytest.mark.parametrize(
    "settings",
    [
        {"quality": 20},
        {"threshold": -1},
        {"keep": 0},
        {"target_bpp": 0},
        {"min_psnr": 99},
        {"keep": 0.3, "threshold": 0.1},
        {"quality": 3, "target_bpp": 0.1},
        {"lossless": True, "quality": 3},
        {"lossless": True, "min_psnr": 30},
        {"coding": "zip"},
        {"reference": "next"},
    ],
    ids=str,
)
def test_settings_out_of_range_are_named_as_python_does(settings: dict[str, object]) -> None:
    """Every message names what it is about, as a keyword for Python and as a flag on the command line."""
    with pytest.raises(UsageError) as told:
        EncodeSettings(**settings)  # type: ignore[arg-type]
    assert set(told.value.settings) == set(settings)
    assert "--" not in str(told.value)
    for name in settings:
        assert name in str(told.value) and flag_of(name) in message_of(told.value)


@pytest.mark.parametrize("settings", [{"fill": "smear"}, {"start_seconds": -1.0}, {"duration_seconds": 0.0}], ids=str)
def test_settings_of_a_decoding_are_checked_before_anything_is_read(
    tmp_path: Path, settings: dict[str, object]
) -> None:
    with pytest.raises(UsageError) as told:
        latcomp.decode(tmp_path / "missing.lat", tmp_path / "out.mkv", **settings)
    assert told.value.settings == tuple(settings)


def test_every_setting_of_a_message_has_a_flag() -> None:
    """What a message tells a person to give is an option of some command."""
    import typer.main

    commands = typer.main.get_command(make_app()).commands.values()  # type: ignore[attr-defined]
    flags = {flag for command in commands for param in command.params for flag in (*param.opts, *param.secondary_opts)}
    names = {*vars(EncodeSettings()), *vars(DecodeSettings()), *vars(Limits())}
    names -= {"lookahead_lambda", "rdo_lambda", "audio", "max_problems", "max_search_bytes"}  # no options
    assert {flag_of(name) for name in names} <= flags
    assert "--no-audio" in flags


def test_the_library_names_no_flags() -> None:
    """No error that is raised outside of `latcomp.cli` speaks of a flag."""
    root = Path(latcomp.__file__).parent
    found = []
    for path in root.rglob("*.py"):
        if path.relative_to(root).parts[0] == "cli":
            continue
        for raised in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Raise)):
            words = [node.value for node in ast.walk(raised) if isinstance(node, ast.Constant)]
            found += [(path.name, word) for word in words if re.search(r"(?<![\w-])--[a-z]", str(word))]
    assert not found


def test_an_error_without_settings_is_shown_as_it_is() -> None:
    assert message_of(LatcompError("quality lost")) == "quality lost"
