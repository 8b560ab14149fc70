"""Protects: docs/commands.md is what the command line's declarations say."""

from __future__ import annotations

import re

import pytest

from tools.command_reference import COMMAND, PAGE, page


@pytest.fixture(scope="module")
def written() -> str:
    """The page as it would be written now."""
    return page()


def test_the_page_is_current(written: str) -> None:
    assert PAGE.read_text(encoding="utf-8") == written, f"docs/commands.md is out of date: run {COMMAND}"


def test_every_command_has_a_section_that_the_contents_lead_to(written: str) -> None:
    sections = re.findall(r"^##+ (latcomp .+)$", written, flags=re.MULTILINE)
    assert {"latcomp encode", "latcomp bench rd", "latcomp train prior"} <= set(sections)
    assert re.findall(r"^\| \[`(.+?)`\]", written, flags=re.MULTILINE) == sections


def test_no_cell_of_a_table_is_broken_by_what_it_says(written: str) -> None:
    for row in re.findall(r"^\|.*$", written, flags=re.MULTILINE):
        assert len(re.findall(r"(?<!\\)\|", row)) in (3, 4), row


def test_options_have_range_default_and_values(written: str) -> None:
    """Of each kind one: Typer's bounds, a check of the command line, a setting of the library, completed words."""
    rows = dict(re.findall(r"^\| (`.+?) \| .* \| (.+) \|$", written, flags=re.MULTILINE))
    assert rows["`--crf`"].endswith("Range: 0 to 63.")
    assert rows["`--amplify`"].endswith("Range: a number above 0 and up to 255.")
    assert rows["`--max-rmse`"].endswith("Range: a share above 0 and up to 1.")
    assert rows["`--seed`"].endswith("`0` unless given.")
    assert "BFCHW: FCHW in a batch" in rows["`--layout`"]
    assert rows["`--data`"].endswith("Required.")
