"""Protects: committed damaged and hostile files keep their exit code, in one line each, and what can be repaired is
repaired.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from latcomp import container

from .conftest import Latcomp, assert_refused

FOLDER = Path(__file__).parents[1] / "container" / "golden" / "bad"
EXPECTED: dict[str, int] = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))


def test_the_manifest_names_every_file() -> None:
    assert {path.stem for path in FOLDER.glob("*.lat")} == set(EXPECTED)


@pytest.mark.parametrize("name", EXPECTED)
def test_exit_code(name: str, latcomp: Latcomp, tmp_path: Path) -> None:
    """`check` ends with the code of the manifest; a limit is named with its flag, unless it is the format's own;
    `check --repair` leaves a valid file or none.
    """
    source, target = FOLDER / f"{name}.lat", tmp_path / "repaired.lat"
    ran = latcomp("check", source, "--quiet")
    assert ran.code == EXPECTED[name], ran.err
    if ran.code:
        assert_refused(ran, ran.code)
    if ran.code == 7:
        assert "raise with --max-" in ran.err or "positions of the world, 4096 are allowed" in ran.err
    ran = latcomp("check", source, "--repair", target, "--quiet")
    assert ran.code == (EXPECTED[name] or ran.code) and ran.code in (0, 4, 5, 7)
    assert target.exists() == (ran.code == 0 or "was written" in ran.err)
    assert list(tmp_path.iterdir()) == [target] * target.exists()
    if (
        target.exists()
    ):  # the tests' headers describe no audio that FFmpeg would understand: that is not the container's business
        with target.open("rb") as file:
            assert container.check(file) == []
