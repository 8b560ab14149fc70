"""Protects: models that a user trains at the command line encode and decode, beside the shipped ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused


@pytest.fixture
def clips(make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three clips, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "clips"
    folder.mkdir()
    for index in range(3):
        make_video(folder / f"{index}.mp4", frames=40, width=128, height=96)
    return folder


def test_a_trained_tokenizer_and_its_lit_code_a_video(
    clips: Path, clip: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    """Train both, then go there and back with them; without the folder the file's tokenizer is not at hand."""
    model, options = tmp_path / "mine", ["--data", clips, "--steps", 2, "--preset", "tiny", "--device", "cpu"]
    assert latcomp("train", "tokenizer", *options, "--out", model).code == 0
    assert latcomp("train", "lit", *options, "--tokenizer", model, "--out", model / "lit").code == 0
    target = tmp_path / "out.lat"
    ran = latcomp("encode", clip, target, "--tokenizer", model, "--json", "-q")
    assert ran.code == 0, ran.err
    told = json.loads(ran.out)
    assert told["tokenizer"]["channels"] == 16 and told["lit"] is not None
    back = latcomp("decode", target, tmp_path / "back.mp4", "--tokenizer", model, "--fill", "lit", "--json", "-q")
    assert back.code == 0, back.err
    assert json.loads(back.out)["frames"] == 20
    assert_refused(latcomp("decode", target, tmp_path / "other.mp4"), 5)


def test_a_trained_model_is_not_replaced_by_chance(clips: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    model = tmp_path / "mine"
    model.mkdir()
    (model / "model.safetensors").write_bytes(b"hours of work")
    assert_refused(latcomp("train", "tokenizer", "--data", clips, "--steps", 1, "--out", model), 6)
    assert (model / "model.safetensors").read_bytes() == b"hours of work"


def test_a_folder_without_clips_is_told(latcomp: Latcomp, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = latcomp("train", "tokenizer", "--data", tmp_path / "empty", "--steps", 1, "--out", tmp_path / "out")
    assert_refused(ran, 2)
