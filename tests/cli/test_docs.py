"""Protects: what README and docs show works: commands and flags exist, the Python runs, links and their anchors lead
somewhere on GitHub, and tests that tests/README.md names are there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import typer.main

from latcomp.cli.main import COMMANDS, make_app
from tools.site_hook import anchor_of, links_of, pages, target_of

ROOT = Path(__file__).parents[2]
PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / page for page in pages())})
PROOFS = sorted(
    set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "tests" / "README.md").read_text(encoding="utf-8")))
)


def command_lines(page: Path) -> Iterator[list[str]]:
    """The words of every call of latcomp in a page's shell blocks."""
    for block in re.findall(r"```sh\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
            lexer.whitespace_split = True
            for operator, words in groupby(lexer, key=lambda word: set(word) <= set("|<>;&()")):
                call = [] if operator else list(words)
                if call[:1] == ["latcomp"]:
                    yield call[1:]


@cache
def top(name: str) -> Any:
    """A command of the first level, as Typer has it."""
    return typer.main.get_command(make_app(name)).commands[name]  # type: ignore[attr-defined]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_commands_and_flags_in_shell_blocks_exist(page: Path) -> None:
    for name, *words in command_lines(page):
        assert name in COMMANDS, name
        command = top(name)
        if hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {flag for param in command.params for flag in (*param.opts, *param.secondary_opts)}
        unknown = {word.partition("=")[0] for word in words if re.match(r"--?[A-Za-z]", word)} - known
        assert not unknown, f"latcomp {name}: {unknown}"


@cache
def anchors(page: Path) -> list[str]:
    """The anchors of a page's headings."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return [anchor_of(re.sub(r"\[([^\]]*)\]\([^)]*\)|[`*]", r"\1", heading)) for heading in headings]


def has_name(path: Path) -> bool:
    """Whether a file is there under this very name: capital letters count on GitHub, not on every disk."""
    return path.exists() and path.name in {each.name for each in path.parent.iterdir()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for link in links_of(page.read_text(encoding="utf-8")):
        target, anchor = target_of(link, page.relative_to(ROOT).as_posix()), link.partition("#")[2]
        if target is not None:
            assert has_name(ROOT / target), link
        if anchor and "://" not in link:
            assert anchors(page if target is None else ROOT / target).count(anchor) == 1, link


def test_the_python_of_the_readme_runs(clip: Path, lat: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "damaged.lat").write_bytes(lat.read_bytes()[:-40])
    monkeypatch.chdir(tmp_path)
    found: dict[str, Any] = {}
    for code in re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(encoding="utf-8"), flags=re.DOTALL):
        exec(code, found)
    assert all((tmp_path / name).stat().st_size > 0 for name in ("back.mp4", "saved.lat", "clip.npz", "cached.lat"))
    assert found["array"].shape == (16, 5, 12, 20) and 0 < found["result"].relative_rmse <= 0.05
    assert found["latents"].shape[2] == found["mask"].shape[0] == 5


@pytest.mark.parametrize(("file", "name"), PROOFS)
def test_a_test_that_stands_as_proof_exists(file: str, name: str) -> None:
    assert f"\ndef {name}(" in (ROOT / file).read_text(encoding="utf-8")
