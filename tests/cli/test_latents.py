"""Protects: the commands work on a file that was made of latents as far as that goes without its tokenizer, and say
what is missing for the rest."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import latcomp as library
from latcomp.cli import exit_codes as codes
from latcomp.container import Attachment

from .conftest import Latcomp, assert_refused

TINY = Path(__file__).parents[1] / "codec" / "golden" / "tokenizer"


def latents(channels: int, frames: int = 5) -> np.ndarray:
    rng = np.random.default_rng(channels)
    return np.cumsum(rng.normal(size=(channels, frames, 4, 6)), 1).astype(np.float16)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "cached.lat"
    said = {"name": "wan2.1", "spatial": 8, "temporal": 4, "first_frames": 1}
    carried = [Attachment.of("text embedding", np.zeros((2, 3), np.float16))]
    library.encode_latents(latents(5), path, tokenizer=said, fps=16, architecture="wan", attachments=carried)
    return path


def test_check_and_repair(file: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    assert latcomp("check", file).code == 0
    ran = latcomp("check", file, "--repair", tmp_path / "repaired.lat", "--json")
    assert ran.code == 0 and json.loads(ran.out)["repaired"]["attachments"] == 1
    assert (tmp_path / "repaired.lat").read_bytes() == file.read_bytes()


def test_stats(file: Path, latcomp: Latcomp) -> None:
    found = json.loads(latcomp("stats", file, "--json").out)
    assert found["latents"] == {
        "space": "raw",
        "estimator": "mode",
        "layout": "CFHW",
        "dtype": "float16",
        "architecture": "wan",
    }
    assert found["tokenizer"]["name"] == "wan2.1" and found["tokenizer"]["sha256"] is None
    assert len(found["steps"]["channel_step"]) == len(found["steps"]["channel_scale"]) == 5
    (one,) = found["attachments"]
    assert (one["name"], one["dtype"], one["shape"]) == ("text embedding", "float16", [2, 3])
    assert one["bytes"] == found["bytes_attachments"] > 0
    shown = " ".join(latcomp("stats", file).err.split())
    assert "latents: raw, mode, float16 CFHW, of wan" in shown and "text embedding" in shown


def test_latents_need_no_tokenizer(file: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    assert latcomp("tokens", file, tmp_path / "out.safetensors").code == 0
    assert latcomp("tokens", file, tmp_path / "out.npz").code == 0
    found = np.load(tmp_path / "out.npz")["latents"]
    true = latents(5)[None].astype(np.float32)
    assert found.shape == true.shape and np.abs(found - true).mean() < 0.1 * true.std()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "latents of the tokenizer 'wan2.1', and none was given: frames can be made of them with --tokenizer PATH"),
        (("--tokenizer", TINY), "is not the tokenizer of these latents: the header says channels 5"),
    ],
    ids=["none", "another"],
)
def test_frames_need_the_tokenizer(
    file: Path, options: tuple[object, ...], words: str, latcomp: Latcomp, tmp_path: Path
) -> None:
    ran = latcomp("decode", file, tmp_path / "out.mkv", *options)
    assert_refused(ran, codes.UNSUPPORTED)
    assert words in ran.err and not (tmp_path / "out.mkv").exists()


def test_frames_of_latents_with_a_tokenizer_that_fits(latcomp: Latcomp, tmp_path: Path) -> None:
    config = json.loads((TINY / "config.json").read_text(encoding="utf-8"))
    said = {"name": "by hand", "spatial": 8, "temporal": 4}
    path = tmp_path / "a.lat"
    library.encode_latents(latents(config["channels"], 3), path, tokenizer=said, fps=25, frames=10)
    ran = latcomp("decode", path, tmp_path / "out.mkv", "--tokenizer", TINY, "--device", "cpu", "--json")
    assert ran.code == 0 and json.loads(ran.out)["frames"] == 10
