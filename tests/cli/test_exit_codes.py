"""Protects: the exit codes are the ones that docs/cli.md and the help promise."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from latcomp import errors
from latcomp.cli import exit_codes
from latcomp.cli.main import EPILOG

DOCS = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
CODES = {value for name, value in vars(exit_codes).items() if name.isupper() and isinstance(value, int)} - {
    exit_codes.SIGNALLED
}


def test_the_table_has_every_code_once() -> None:
    table = DOCS.split("## Exit codes")[1].split("\n## ")[0]
    rows = [int(code) for code in re.findall(r"^\| (\d+) \|", table, flags=re.MULTILINE)]
    assert sorted(rows) == sorted(CODES)


def test_the_help_has_every_code() -> None:
    words = EPILOG.split("Exit codes:")[1]
    assert {int(code) for code in re.findall(r"\b(\d+) [a-z]", words)} == CODES


def all_errors(base: type[errors.LatcompError]) -> list[type[errors.LatcompError]]:
    """Every class of errors that is raised on purpose."""
    return [one for child in base.__subclasses__() for one in (child, *all_errors(child))]


@pytest.mark.parametrize("kind", all_errors(errors.LatcompError), ids=lambda kind: kind.__name__)
def test_every_error_has_a_code_of_its_own_meaning(kind: type[errors.LatcompError]) -> None:
    """None falls through to 1, which stands for a bug."""
    code = exit_codes.exit_code(kind.__new__(kind))
    assert code in CODES - {exit_codes.DONE, exit_codes.UNEXPECTED, exit_codes.INTERRUPTED}
