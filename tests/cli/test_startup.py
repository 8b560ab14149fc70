"""Protects: commands start fast, that is they import what they need alone, help, stats and check without torch; and
numbers in help texts are the true ones.
"""

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


@pytest.mark.parametrize("arguments", [["models"], ["models", "cv8x8x4"]], ids=" ".join)
def test_models_are_described_without_torch(arguments: list[str]) -> None:
    """What a model costs per pixel follows from its configuration."""
    done = run_and_look(CALL, *arguments)
    assert done.returncode == 0, done.stderr


NEEDLESS = {
    "rich",  # tables and bars, which nobody watches here
    "scipy",
    "matplotlib",
    "diffusers",
    "ray",
    "latcomp.batch",
    "latcomp.bench",
    "latcomp.datasets",
    "latcomp.training",
    "latcomp.codec.compare",
    "latcomp.codec.page",
    "latcomp.report.html",
    "latcomp.report.plot",
    "latcomp.report.terminal",
    "latcomp.tokenizer.public.load",
}
"""What neither encode nor decode of a usual file needs."""
FROZEN = """
import gc
assert gc.isenabled() and gc.get_freeze_count() > 100_000, gc.get_freeze_count()
"""


@pytest.mark.parametrize("command", ["encode", "decode"])
def test_a_command_imports_what_it_needs(command: str, clip: Path, lat: Path, tmp_path: Path) -> None:
    """And the garbage collector leaves what it imported alone, but is at work on all that comes after."""
    source, target = (clip, tmp_path / "a.lat") if command == "encode" else (lat, tmp_path / "a.mkv")
    looking = f"needless = {NEEDLESS} & set(sys.modules)\nsys.exit(f'imported {{needless}}' if needless else 0)"
    done = subprocess.run(
        [sys.executable, "-c", f"{CALL}{FROZEN}{looking}", command, str(source), str(target)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
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
