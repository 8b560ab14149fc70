"""The benchmark of cached latents: sizes and errors are those of what was really written and read back, and latcomp is
never let off with a larger error than the rivals have."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from latcomp.bench.latents import WAYS, bench_latents, tensors_of
from latcomp.container.zstd import compress
from latcomp.errors import UsageError


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Latents (1, 2, 5, 6, 8) in bfloat16 that change little along time, beside what are none."""
    rng = np.random.default_rng(0)
    values = rng.normal(0, 1, (2, 1, 6, 8)) + rng.normal(0, 0.05, (2, 5, 6, 8))
    path = tmp_path_factory.mktemp("latents") / "cache.safetensors"
    latents = torch.from_numpy(values[None].astype(np.float32)).to(torch.bfloat16)
    save_file({"latents": latents, "count": torch.ones(3, dtype=torch.int64), "text": torch.ones(4, 4)}, path)
    return path


def test_all_are_measured_at_one_error(file: Path) -> None:
    """Every rival and every way at each step; what the error cannot be met by has no size."""
    figures = bench_latents([file], [0.1])
    rows = {row["method"]: row for row in figures["rows"]}
    assert list(rows) == ["bf16", "bf16-zstd", "int8-zstd", "int8-delta-zstd", *WAYS]
    assert rows["bf16"]["bytes"] == 2 * 2 * 5 * 6 * 8 and rows["bf16"]["relative_error"] == 0
    (_, latents), *_ = tensors_of(file)
    values = latents.float().numpy()
    symbols = np.rint(values / np.float32(0.1)).astype(np.int8)
    error = np.square(symbols * 0.1 - values).sum() / np.square(values).sum()
    assert rows["int8-zstd"]["bytes"] == len(compress(symbols.tobytes()))
    assert rows["int8-zstd"]["relative_error"] == rows["int8-delta-zstd"]["relative_error"]
    assert rows["int8-zstd"]["relative_error"] == pytest.approx(error, rel=1e-4)
    best = min(row["bytes"] for name, row in rows.items() if name not in WAYS)
    (gain,) = figures["gain"]
    for name in WAYS:
        row = rows[name]
        assert (row["bytes"] is None) == (gain[name] is None)
        if row["bytes"] is not None:
            assert 0 < row["relative_error"] <= error * 1.001
            assert gain[name] == best / row["bytes"] and row["ratio"] == rows["bf16"]["bytes"] / row["bytes"]
    assert rows["lat"]["keep_ratio"] == 1


def test_what_holds_no_latents_is_refused(tmp_path: Path) -> None:
    save_file({"text": torch.ones(4, 4)}, tmp_path / "text.safetensors")
    save_file({"latents": torch.zeros(1, 2, 3, 4, 4)}, tmp_path / "zero.safetensors")
    (tmp_path / "junk.safetensors").write_bytes(b"junk")
    for name, words in (
        ("text", "no latents"),
        ("zero", "zero"),
        ("junk", "cannot be read"),
        ("none", "cannot be read"),
    ):
        with pytest.raises(UsageError, match=words):
            bench_latents([tmp_path / f"{name}.safetensors"])
    with pytest.raises(UsageError, match="steps"):
        bench_latents([tmp_path / "zero.safetensors"], [0.0])


def test_the_command_writes_its_figures(file: Path) -> None:
    """As JSON on standard output, and a table for people on standard error."""
    command = [sys.executable, "-m", "latcomp", "bench", "latents", str(file), "--steps", "0.2", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    figures = json.loads(done.stdout)
    assert {row["step"] for row in figures["rows"]} == {None, 0.2} and len(figures["gain"]) == 1
    assert "int8-delta-zstd" in done.stderr
