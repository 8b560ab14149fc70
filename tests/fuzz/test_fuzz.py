"""Every target holds over its corpus and over all that was ever found, over thousands of simple changes to them, and
for a moment under atheris. `make fuzz` runs longer."""

from __future__ import annotations

import importlib.util
import random
import subprocess
import sys
from pathlib import Path

import pytest

from latcomp.errors import LatcompError
from tests.fuzz.seal import changed_chunks, changed_file
from tests.fuzz.targets import TARGETS, Finding, demand

FOLDER = Path(__file__).parent
ATHERIS = importlib.util.find_spec("atheris") is not None
CHANGES = {
    "chunks": 150,
    "mask": 1500,
    "tokens": 400,
    "adaptive": 150,
    "modes": 400,
    "prior": 100,
    "moved": 100,
    "camera": 60,
    "file": 60,
    "repaired": 40,
}
WHOLE = {"chunks": changed_chunks, "camera": changed_chunks, "file": changed_file, "repaired": changed_file}
SHORT_RUNS = 400


def inputs(target: str) -> list[Path]:
    """The corpus of a target, and what was found with it."""
    return sorted(path for folder in ("corpus", "findings") for path in (FOLDER / folder / target).glob("*"))


def change(data: bytes, most: int, rng: random.Random) -> bytes:
    """A few bytes set, put in or taken out."""
    found = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        place = rng.randint(0, len(found))
        new = [rng.choice((0, 1, 127, 128, 255, rng.randrange(256))) for _ in range(rng.randint(0, 2))]
        found[place : place + rng.randint(0, 2)] = bytes(new)
    return bytes(found[:most])


@pytest.mark.parametrize("target", TARGETS)
def test_corpus_and_changes(target: str) -> None:
    """Nothing in the corpus, and none of many changed inputs, is a finding; whole files are changed under right
    checksums.
    """
    found = inputs(target)
    assert found
    rng = random.Random(1)
    for path in found:
        TARGETS[target](path.read_bytes())
    for _ in range(CHANGES.get(target, 3000)):
        data = rng.choice(found).read_bytes()
        whole = WHOLE.get(target)
        if whole is None:
            TARGETS[target](change(data, 2000, rng))
        else:
            TARGETS[target](whole(data, 3000, lambda piece, most: change(piece, most, rng), rng.randrange(1 << 30)))


def test_a_finding_is_seen() -> None:
    """A contradiction is raised past what suppresses the reader's own errors."""
    with pytest.raises(Finding):
        demand(False, "seen")
    assert not issubclass(Finding, LatcompError)


@pytest.mark.skipif(not ATHERIS, reason="needs atheris")
@pytest.mark.parametrize("target", ["times", "header", "chunks", "tokens"])
def test_a_moment_under_atheris(target: str, tmp_path: Path) -> None:
    """The targets run under atheris, with the mutator of whole chunks where it belongs, and it finds nothing in a
    moment.
    """
    command = [
        sys.executable,
        "-m",
        "tests.fuzz.run",
        target,
        "--runs",
        str(SHORT_RUNS),
        "--seed",
        "1",
        "--work",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=FOLDER.parents[1])
    assert done.returncode == 0, done.stdout + done.stderr
    assert int(done.stdout.split()[1]) >= SHORT_RUNS
