"""Protects: a published tokenizer at the command line: shown, encoded and decoded with, and asked for where it is
missing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from latcomp.models import public as room
from tests.cli.conftest import Latcomp
from tests.tokenizer.published import save_taehv


@pytest.fixture
def tokenizer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file whose networks are part of latcomp: these tests need no diffusers."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(room, "_MEASURED", {})
    return save_taehv(tmp_path / "taew2_1.pth")


def test_models_shows_what_it_is(tokenizer: Path, latcomp: Latcomp) -> None:
    shown = latcomp("models", tokenizer)
    assert shown.code == 0
    for words in (
        "taew2_1",
        "16 channels, 8x8 pixels x 4 frames",
        "1 + 4 k frames",
        "cannot be followed",
        "latcomp train",
    ):
        assert words in shown.err
    (card,) = json.loads(latcomp("models", tokenizer, "--json").out)["models"]
    assert (card["kind"], card["published"]["class"], card["spec"]["temporal"]) == ("tokenizer", "TAEHV", 4)
    assert len(card["notes"]) == 2


def test_models_shows_one_by_name(latcomp: Latcomp) -> None:
    (card,) = json.loads(latcomp("models", "cv8x8x4", "--json").out)["models"]
    assert card["name"] == "cv8x8x4" and card["spec"]["movable"] and card["published"] is None
    assert "can be followed" in latcomp("models", "cv8x8x4").err
    wrong = latcomp("models", "cv8x8x5")
    assert wrong.code == 2 and "no tokenizer 'cv8x8x5' was found" in wrong.err


def test_there_and_back(tokenizer: Path, clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    lat, back = tmp_path / "a.lat", tmp_path / "back.mp4"
    encoded = latcomp("encode", clip, lat, "--tokenizer", tokenizer)
    assert encoded.code == 0 and "no profile, lit, prior of taew2_1 found" in encoded.err
    assert latcomp("decode", lat, back, "--tokenizer", tokenizer).code == 0
    figures = json.loads(latcomp("stats", lat, "--json").out)
    assert (figures["frames"], figures["tokenizer"]["name"], figures["lit"]) == (20, "taew2_1", None)
    missing = latcomp("decode", lat, back, "-f")
    assert missing.code == 5 and "needs the tokenizer 'taew2_1'" in missing.err and "--tokenizer PATH" in missing.err
    other = save_taehv(tmp_path / "other.pth", seed=1)
    assert "is another one" in latcomp("decode", lat, back, "-f", "--tokenizer", other).err


def test_a_file_is_held_against_it_without_torch(tokenizer: Path, clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """By what was kept when it was encoded."""
    lat = tmp_path / "a.lat"
    assert latcomp("encode", clip, lat, "--tokenizer", tokenizer, "-q").code == 0
    code = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from latcomp.codec.check import check\n"
        "from latcomp.models.headers import known_spec\n"
        f"assert known_spec(Path({str(tokenizer)!r})).temporal == 4\n"
        f"assert check({str(lat)!r}, tokenizer={str(tokenizer)!r}).ok"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
