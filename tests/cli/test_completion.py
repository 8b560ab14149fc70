"""Protects: shells complete commands, flags and values, from lists that are the true ones, fast, that is without torch,
av or numpy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from latcomp.cli import choices, completion

from .conftest import Latcomp

# (the line so far, its last word; what must be offered, what must not)
LINES = [
    ([""], {"encode", "decode", "stats", "bench", "train", "completion"}, {"--version"}),
    (["enc"], {"encode"}, {"decode"}),
    (["encode", "--min"], {"--min-psnr"}, {"--quality"}),
    (["encode", "in.mp4", "out.lat", "--"], {"--quality", "--keep", "--force", "--json", "--device"}, {"--fill"}),
    (["encode", "--coding", ""], {"context", "zstd"}, set()),
    (["encode", "--reference", "p"], {"previous"}, {"kept"}),
    (["encode", "--device", "c"], {"cpu", "cuda"}, {"auto"}),
    (["encode", "--camera", ""], {"auto", "off"}, set()),
    (["batch", "--camera", "o"], {"off"}, {"auto"}),
    (["tokens", "--places", ""], {"frame", "world"}, set()),
    (["decode", "--fill", ""], {"auto", "lit", "hold"}, set()),
    (["decode", "--codec", "lib"], {"libx264", "libx265", "libsvtav1", "libvpx-vp9"}, {"ffv1"}),
    (["decode", "--format", "m"], {"mp4", "mkv", "mov"}, {"webm"}),
    (["batch", "--engine", ""], {"local", "ray"}, set()),
    (["compare", "--mode", ""], {"side", "difference"}, set()),
    (["train", "t"], {"tokenizer"}, {"lit"}),
    (["completion", ""], {"bash", "zsh", "fish"}, set()),
]


def bash_line(words: list[str]) -> dict[str, str]:
    """What the script for bash puts into the environment; the cursor stands at the end of the last word."""
    return {
        "_LATCOMP_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(["latcomp", *words]),
        "COMP_CWORD": str(len(words)),
    }


def other_line(shell: str, words: list[str]) -> dict[str, str]:
    """The same for zsh and fish."""
    return {
        "_LATCOMP_COMPLETE": f"complete_{shell}",
        "_TYPER_COMPLETE_ARGS": " ".join(["latcomp", *words]),
        "_TYPER_COMPLETE_FISH_ACTION": "get-args",
    }


@pytest.fixture
def offered(latcomp: Latcomp, monkeypatch: pytest.MonkeyPatch) -> object:
    """A function from what a shell puts into the environment to what is printed for it."""

    def ask(environment: dict[str, str]) -> str:
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                patch.setenv(name, value)
            ran = latcomp()
        assert (ran.code, ran.err) == (0, "")
        return ran.out.decode()

    return ask


@pytest.mark.parametrize(("words", "wanted", "unwanted"), LINES, ids=[" ".join(line[0]) or "nothing" for line in LINES])
def test_bash_is_offered_what_fits(words: list[str], wanted: set[str], unwanted: set[str], offered) -> None:  # type: ignore[no-untyped-def]
    found = set(offered(bash_line(words)).split())
    assert found >= wanted
    assert not found & unwanted


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_zsh_and_fish_are_told_what_values_mean(shell: str, offered) -> None:  # type: ignore[no-untyped-def]
    found = offered(other_line(shell, ["decode", "--fill", ""]))
    for value, meaning in choices.FILLS.items():
        assert value in found and meaning in found


def test_a_value_after_an_equal_sign_is_completed(offered) -> None:  # type: ignore[no-untyped-def]
    """bash splits --fill=h into three words."""
    assert offered(bash_line(["decode", "--fill", "=", "h"])).split() == ["hold"]
    assert set(offered(bash_line(["decode", "--fill", "="])).split()) == set(choices.FILLS)


def test_tokenizers_at_hand_are_offered(offered) -> None:  # type: ignore[no-untyped-def]
    from latcomp.models import list_models

    assert offered(bash_line(["encode", "--tokenizer", ""])).split() == [
        card.name for card in list_models() if card.kind == "tokenizer"
    ]


def test_files_are_left_to_the_shell(offered) -> None:  # type: ignore[no-untyped-def]
    """Where a path stands nothing is offered, and the scripts let the shell offer its files."""
    assert offered(bash_line(["encode", ""])).strip() == ""
    assert "_files" in offered(other_line("zsh", ["encode", ""]))
    assert "complete -o default" in completion_script("bash")


def completion_script(shell: str) -> str:
    """What `latcomp completion` prints."""
    command = [sys.executable, "-m", "latcomp", "completion", shell]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def test_the_lists_are_those_in_force() -> None:
    """The command line has lists of its own, because the true ones import torch or av."""
    from latcomp.batch.engines import ENGINES
    from latcomp.codec.settings import FILLS, EncodeSettings
    from latcomp.devices import pick_device
    from latcomp.report.compare_video import MODES
    from latcomp.video.formats import CODECS, FORMATS

    assert tuple(choices.ENGINES) == tuple(ENGINES)
    assert tuple(choices.FILLS) == tuple(FILLS)
    assert tuple(choices.MODES) == tuple(MODES)
    assert set(choices.CODECS) == set(CODECS)
    assert set(choices.FORMATS) == set(FORMATS)
    for coding in choices.CODINGS:
        for reference in choices.REFERENCES:
            EncodeSettings(coding=coding, reference=reference)  # raises for one that is not known
    assert {pick_device(name).type for name in ("auto", "cpu")} <= {"cpu", "cuda"}


@pytest.mark.parametrize(
    "words", [["enc"], ["decode", "--fill", ""], ["encode", "--tokenizer", ""], ["stats", "--"]], ids=" ".join
)
def test_completion_imports_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\nfrom latcomp.cli.main import run\n"
        "try:\n    run()\nexcept SystemExit as ended:\n    assert not ended.code\n"
        "heavy = {'torch', 'av', 'numpy', 'scipy'} & set(sys.modules)\nsys.exit(f'imported {heavy}' if heavy else 0)"
    )
    environment = {**os.environ, **bash_line(words)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_one_command_alone_is_imported_where_it_is_named() -> None:
    assert completion.first_word(["stats", "a.lat"]) == "stats"
    made = "import sys\nfrom latcomp.cli.main import make_app\nmake_app('stats')"
    code = f"{made}\nsys.exit('latcomp.cli.encode' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


SESSIONS = {
    "bash": 'eval "$(latcomp completion bash)"; '
    'COMP_WORDS=(latcomp decode --fill ""); COMP_CWORD=3; _latcomp_completion latcomp; '
    'printf "%s\\n" "${COMPREPLY[@]}"',
    "fish": "latcomp completion fish | source; complete --do-complete 'latcomp decode --fill '",
}


@pytest.mark.parametrize("shell", SESSIONS)
def test_the_script_works_in_its_shell(shell: str, tmp_path: Path) -> None:
    """The real shell reads the script and asks the real command."""
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    command = tmp_path / "latcomp"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m latcomp "$@"\n')
    command.chmod(0o755)
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    done = subprocess.run(
        [shell, "-c", SESSIONS[shell]], env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == set(choices.FILLS), done.stderr


def test_the_script_for_zsh_is_one_that_zsh_can_read(tmp_path: Path) -> None:
    """It defines the function it registers, and asks the command under the name that the command listens to."""
    script = completion_script("zsh")
    assert script.startswith("#compdef latcomp") and completion.VARIABLE in script
    if shutil.which("zsh"):
        checked = subprocess.run(["zsh", "-n"], input=script, capture_output=True, text=True, timeout=60, check=False)
        assert (checked.returncode, checked.stderr) == (0, "")
