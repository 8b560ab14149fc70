"""Protects: what goes to a machine without a network arrives there, runs for its time and no longer, and comes back
whole.
"""

from __future__ import annotations

import importlib.util
import os
import random
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

KIT = Path(__file__).parents[2] / "tools" / "offline-gpu" / "kit.py"


@pytest.fixture
def kit(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The kit, in pieces of one MiB."""
    spec = importlib.util.spec_from_file_location("offline_gpu_kit", KIT)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    monkeypatch.setattr(module, "PIECE_MIB", 1)
    return module


def noise(path: Path, size: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(path.name).randbytes(size))
    return path


def test_models_and_checkpoints_come_back_where_a_resumed_training_finds_them(kit: ModuleType, tmp_path: Path) -> None:
    work = tmp_path / "work"
    whole = {
        name: noise(work / name, size).read_bytes()
        for name, size in {
            "tok/model.safetensors": 900,
            "tok/recipe.toml": 30,
            "tok/checkpoints/stable.pt.000": 1_000_000,
            "tok/checkpoints/stable.pt.001": 700_000,
            "tok/checkpoints/stable.pt.json": 40,
        }.items()
    }
    noise(work / "tok" / "checkpoints" / "state.pt", 10)  # of the two the one before the learning rate fell is sent
    noise(work / "huge" / "checkpoints" / "state.pt", 9_000_000)
    kit._collect(work, tmp_path / "out", most_files=8, most_mib=5)
    sizes = [path.stat().st_size for path in (tmp_path / "out").iterdir()]
    assert len(sizes) <= 8
    assert max(sizes) <= 2**20
    assert sum(sizes) <= 5 * 2**20
    kit.join(tmp_path / "out", tmp_path / "back")
    found = {
        str(path.relative_to(tmp_path / "back")): path.read_bytes()
        for path in (tmp_path / "back").rglob("*")
        if path.is_file()
    }
    assert found == whole


def test_all_clips_go_to_train_and_some_of_them_in_full_size(kit: ModuleType, tmp_path: Path) -> None:
    for number in range(10):
        noise(tmp_path / "small" / f"{number}.mp4", 1000)
        noise(tmp_path / "full" / f"{number}.mp4", 5000)
    chosen = kit._chosen_clips("train", tmp_path / "small", tmp_path / "full", 20_000)
    assert [path.name for path in chosen] == [f"{number}.mp4" for number in range(10)]
    assert sum(path.stat().st_size for path in chosen) == 18_000
    assert len(kit._chosen_clips("test", tmp_path / "small", None, 0)) == 2


def test_commands_find_what_came_along_and_leave_what_goes_back(kit: ModuleType, tmp_path: Path) -> None:
    folder = tmp_path / "kit"
    (folder / "clips").mkdir(parents=True)
    (folder / "clips" / "a.mp4").write_bytes(b"clip")
    (folder / "offsets").mkdir()
    (folder / "offsets" / "1.npy").write_bytes(b"offsets")
    (folder / "blocked").mkdir()
    (folder / "blocked" / "av.py").write_text("raise ImportError")
    (folder / "kit.py").write_bytes(KIT.read_bytes())
    noise(tmp_path / "old" / "model" / "checkpoints" / "state.pt", 1000)
    (folder / "state").mkdir()
    kit._pack([tmp_path / "old" / "model" / "checkpoints" / "state.pt"], tmp_path / "old", folder / "state")
    commands = [
        "ls $DATA; test -s $STATE/model/checkpoints/state.pt && echo state",
        "cat $XDG_CACHE_HOME/latcomp/offsets/1.npy",
        "python -c 'import latcomp'; python -c 'import av' 2>/dev/null || echo no av",
        "mkdir -p $WORK/m && echo weights > $WORK/m/model.safetensors; exit 3",
    ]
    environment = os.environ | {
        "LATCOMP_KIT_DRY": "1",
        "LATCOMP_KIT_NO_AV": "1",
        "OUT": str(tmp_path / "out"),
        "TMPDIR": str(tmp_path),
    }
    run = [sys.executable, str(folder / "kit.py"), "run", "--seconds", "300", *commands]
    done = subprocess.run(run, env=environment, cwd=KIT.parents[2], capture_output=True, text=True, check=False)
    for said in ("a.mp4", "\nstate\n", "offsets", "no av", "exit 3:"):
        assert said in done.stdout, done.stdout + done.stderr
    assert done.returncode == 3
    kit.join(tmp_path / "out", tmp_path / "back")
    assert (tmp_path / "back" / "m" / "model.safetensors").read_text() == "weights\n"
    assert not list(tmp_path.glob("latcomp-kit-*"))
    late = subprocess.run(
        [*run[:3], "--seconds", "1", "echo never"], env=environment, capture_output=True, text=True, check=False
    )
    assert "no time left for: echo never" in late.stdout
    assert late.returncode == 124


def test_a_command_whose_time_is_up_is_interrupted_and_may_finish_its_work(kit: ModuleType, tmp_path: Path) -> None:
    waits = f"trap 'echo saved > {tmp_path}/state; exit 5' INT; sleep 600 & wait"
    assert kit._run_for(waits, dict(os.environ), 1.0) == 5
    assert (tmp_path / "state").read_text() == "saved\n"
