"""Protects that the data set benchmark measures what it says: the same latents in three kinds of files, each read whole
and in part.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from latcomp.bench.dataset import WAYS, DatasetBench, DatasetSettings, TensorDataset
from latcomp.errors import UsageError
from tests.conftest import MakeVideo


def test_every_way_is_measured_on_the_files_of_the_clips(make_video: MakeVideo, tmp_path: Path) -> None:
    clips = [make_video(tmp_path / "a.mp4", 40, 64, 48), make_video(tmp_path / "b.mp4", 20, 48, 32)]
    bench = DatasetBench(DatasetSettings(workers=1, latent_frames=4, items=4, repeats=1, device="cpu"))
    said: list[str] = []
    bench.run(clips, said.append)
    figures = bench.figures()
    assert len(said) == 2 + 2 * len(WAYS) and [clip["latent_frames"] for clip in figures["clips"]] == [10, 5]
    rows = {(row["items"], row["files"], row["fill"]): row for row in figures["rows"]}
    assert list(rows) == [(items, *way) for items in ("whole", "stretches") for way in WAYS]
    for row in rows.values():
        rate = row["samples_per_second"]
        assert 0 < rate["minimum"] <= rate["median"] <= rate["maximum"] and row["cpu_milliseconds"] > 0
    sizes = [clip["bytes"] for clip in figures["clips"]]
    assert rows["whole", "zstd", "hold"]["bytes"] == sum(size["zstd"] for size in sizes) / 2
    assert rows["stretches", "tensors", None]["bytes"] == pytest.approx(
        (sizes[0]["tensors"] * 4 / 10 + sizes[1]["tensors"] * 4 / 5) / 2
    )
    assert sizes[0]["prior"] < sizes[0]["tensors"] and sizes[0]["zstd"] < sizes[0]["tensors"]


def test_the_rival_gives_what_was_saved(tmp_path: Path) -> None:
    latents = torch.randn(3, 9, 2, 4).to(torch.bfloat16)
    torch.save(latents, tmp_path / "a.pt")
    assert torch.equal(TensorDataset([tmp_path / "a.pt"], None)[0]["latents"], latents)
    part = TensorDataset([tmp_path / "a.pt"], 4)[0]["latents"]
    assert any(torch.equal(part, latents[:, start : start + 4]) for start in range(6))


def test_clips_shorter_than_a_stretch_are_refused(make_video: MakeVideo, tmp_path: Path) -> None:
    bench = DatasetBench(DatasetSettings(latent_frames=6, device="cpu"))
    with pytest.raises(UsageError, match="5 latent frames, 6 are wanted"):
        bench.run([make_video(tmp_path / "a.mp4", 20, 48, 32)])
    with pytest.raises(UsageError, match="workers"):
        DatasetSettings(workers=0)
