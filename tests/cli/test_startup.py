"""Protects: help, stats and check start fast, that is without torch, and numbers in help texts are the true ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import latcomp

HEAVY = "import sys; heavy = {'torch', 'av', 'scipy'} & set(sys.modules); sys.exit(f'imported {heavy}' if heavy else 0)"


def run_and_look(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `code` in a fresh process and fail there when torch or av is loaded at its end."""
    program = f"{code}\n{HEAVY}"
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


CALL = """
import sys
from latcomp.cli.main import run
try:
    run(sys.argv[1:])
except SystemExit as ended:
    assert not ended.code, ended.code
"""


@pytest.mark.parametrize(
    "arguments", [["--help"], ["encode", "--help"], ["batch", "--help"], ["--version"]], ids=" ".join
)
def test_help_imports_neither_torch_nor_av(arguments: list[str]) -> None:
    done = run_and_look(CALL, *arguments)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("command", ["stats", "check"])
def test_reading_a_file_imports_no_torch(command: str, lat: Path) -> None:
    done = run_and_look(CALL, command, str(lat))
    assert done.returncode == 0, done.stderr


def test_importing_the_package_imports_no_torch() -> None:
    done = run_and_look("import latcomp; latcomp.__version__; dir(latcomp)")
    assert done.returncode == 0, done.stderr


def test_the_package_offers_what_the_commands_do() -> None:
    """The names of the Python interface resolve to functions, and no others do."""
    assert all(
        callable(getattr(latcomp, name))
        for name in ("encode", "decode", "open", "compare", "export", "check", "repair")
    )
    with pytest.raises(AttributeError):
        _ = latcomp.transcode


def test_the_default_quality_in_the_help_is_the_one_in_force() -> None:
    from latcomp.codec.settings import DEFAULT_QUALITY

    done = subprocess.run(
        [sys.executable, "-m", "latcomp", "encode", "--help"], capture_output=True, text=True, check=True
    )
    assert f"{DEFAULT_QUALITY:g} unless given" in " ".join(done.stdout.replace("│", " ").split())
