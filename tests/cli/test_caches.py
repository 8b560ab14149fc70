"""Protects `latcomp import` and `latcomp export`: a line of JSON a file, exit codes, what is said, and that neither
torch nor a tokenizer is needed for safetensors files."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.datasets import trainers

from .conftest import Latcomp
from .test_json_md import documented


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    for seed in range(3):
        trainers.write_musubi_wan_i2v(tmp_path / "cache", f"clip{seed}", seed)
    return tmp_path / "cache"


def objects(out: bytes) -> list[dict[str, object]]:
    return [json.loads(line) for line in out.splitlines()]


def test_a_line_of_json_a_file(cache: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("import", cache, tmp_path / "lats", "--max-rmse", "0.05", "--json", "-q")
    assert ran.code == 0 and ran.err == ""
    lines = objects(ran.out)
    assert len(lines) == 3 and all(line["status"] == "done" and line["relative_rmse"] <= 0.05 for line in lines)
    assert all(set(line) == documented("`import` and `export`") for line in lines)
    assert {line["dtype"] for line in lines} == {"BF16"} and {line["space"] for line in lines} == {"normalised"}
    ran = latcomp("export", tmp_path / "lats", tmp_path / "back", "--as", "musubi", "--json", "-q")
    assert ran.code == 0 and len(objects(ran.out)) == 3
    assert all(set(line) == documented("`import` and `export`") for line in objects(ran.out))
    assert sorted(path.name for path in (tmp_path / "back").iterdir()) == sorted(path.name for path in cache.iterdir())


def test_a_file_that_fails_decides_the_exit_code_and_stops_nothing(
    cache: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    (cache / "bad.safetensors").write_bytes(b"no")
    ran = latcomp("import", cache, tmp_path / "lats", "--json")
    assert ran.code == 3
    assert sorted(str(line["status"]) for line in objects(ran.out)) == ["done"] * 3 + ["failed"]
    assert [line for line in ran.err.splitlines() if "error" in line] == [
        f"latcomp: error: {cache / 'bad.safetensors'} is cut off: it has no header"
    ]
    assert "3 files" in ran.err and "1 failed" in ran.err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["import", "MISSING", "OUT"], 3, "no such file or folder"),
        (["import", "EMPTY", "OUT"], 3, "is no cache of latents"),
        (["import", "CACHE", "OUT", "-Q", "11"], 2, "--quality 11"),
        (["import", "CACHE", "OUT", "-Q", "3", "--lossless"], 2, "--quality and --lossless exclude each other"),
        (["import", "CACHE", "OUT", "--max-rmse", "0"], 2, "--max-rmse 0"),
        (["import", "CACHE", "OUT", "--moments", "men"], 2, "did you mean mean?"),
        (["export", "EMPTY", "OUT", "--as", "musubi"], 4, "no .lat files were found"),
        (["export", "MISSING", "OUT", "--as", "musubi"], 4, "no such file or folder"),
        (["export", "EMPTY", "OUT", "--as", "musbi"], 2, "did you mean musubi?"),
        (["export", "EMPTY", "OUT"], 2, "--as"),
        (["import", "CACHE", "FILE"], 6, "cannot be made"),
    ],
)
def test_what_goes_wrong_is_one_line(
    words: list[str], code: int, said: str, cache: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_bytes(b"")
    places = {name: tmp_path / name.lower() for name in ("MISSING", "EMPTY", "CACHE", "OUT", "FILE")}
    ran = latcomp(*(places.get(word, word) for word in words))
    assert ran.code == code
    assert said in ran.err and len(ran.err.strip().splitlines()) == 1


def test_notes_are_said_once(latcomp: Latcomp, tmp_path: Path) -> None:
    for seed in range(3):
        latent = trainers.video_latents(seed=seed).half()
        trainers.write_musubi(tmp_path / "cache", f"c{seed}", latent, "hv", "hunyuan_video")
    ran = latcomp("import", tmp_path / "cache", tmp_path / "lats")
    assert ran.err.count("samples of the posterior") == 1 and "(3 files)" in ran.err
    ran = latcomp("export", tmp_path / "lats", tmp_path / "back", "--as", "ltx")
    assert ran.code == 2 and "and ltx keeps normalised ones" in ran.err


def test_safetensors_files_need_no_torch(cache: Path, tmp_path: Path) -> None:
    lats, back = str(tmp_path / "lats"), str(tmp_path / "back")
    code = (
        "import sys, latcomp\n"
        f"assert latcomp.import_cache({str(cache)!r}, {lats!r}).done == 3\n"
        f"assert latcomp.export_cache({lats!r}, {back!r}, form='musubi').done == 3\n"
        "assert 'torch' not in sys.modules and 'av' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interrupted_run_leaves_whole_files_and_goes_on(jobs: str, latcomp: Latcomp, tmp_path: Path) -> None:
    cache, lats = tmp_path / "cache", tmp_path / "lats"
    for number in range(60):
        trainers.write_musubi(cache, f"c{number}", trainers.video_latents(seed=number % 3).bfloat16(), "wan", "wan")
    words = ["import", str(cache), str(lats), "--max-rmse", "0.05", "--json", "--jobs", jobs]
    process = subprocess.Popen(
        [sys.executable, "-m", "latcomp", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout is not None and process.stdout.readline()
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130 and err.splitlines() == ["latcomp: interrupted"]
    found = sorted(path.name for path in lats.iterdir())
    assert 0 < len(found) < 60 and not any(name.startswith(".") for name in found)
    lines = objects(latcomp(*words[:-2]).out)
    assert sum(line["status"] == "skipped" for line in lines) == len(found) and len(lines) == 60
