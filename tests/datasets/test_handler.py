"""Protects that .lat members of tar files become items, in WebDataset and in Megatron Energon where they are installed,
and that everything else is left to others.
"""

from __future__ import annotations

import pickle
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch

from latcomp.datasets import LatDataset, LatHandler, collate, lat_handler
from latcomp.errors import DamagedFileError, UsageError
from tests.datasets.lats import lats  # noqa: F401


@pytest.fixture(scope="session")
def shard(lats: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A tar of two samples, each a .lat (one of them named in two parts) and a caption."""
    folder = tmp_path_factory.mktemp("shards")
    for number, suffix in enumerate(("lat", "clip.lat")):
        (folder / f"{number}.{suffix}").write_bytes((lats / "a.lat").read_bytes())
        (folder / f"{number}.txt").write_text(f"caption {number}")
    with tarfile.open(folder / "shard-0.tar", "w") as tar:
        for name in ("0.lat", "0.txt", "1.clip.lat", "1.txt"):
            tar.add(folder / name, name)
            (folder / name).unlink()
    return folder / "shard-0.tar"


def test_only_lat_members_are_taken(lats: Path) -> None:  # noqa: F811
    data = (lats / "a.lat").read_bytes()
    item = LatDataset(lats / "a.lat")[0]
    for key in ("lat", ".lat", ".LAT", "clip.lat", ".a.b.lat"):
        found = lat_handler(key, data)
        assert found is not None and torch.equal(found["latents"], item["latents"]) and found["key"] == ""
    for key in ("jpg", ".lat.json", "flat", "lat.txt", ""):
        assert lat_handler(key, data) is None


def test_a_handler_has_the_settings_of_a_data_set(lats: Path) -> None:  # noqa: F811
    data = (lats / "a.lat").read_bytes()
    handler = LatHandler(latent_frames=4, dtype=torch.float32, seed=1, fill="hold")
    found = handler("lat", data)
    again = pickle.loads(pickle.dumps(handler))("lat", data)
    assert found is not None and again is not None
    assert found["latents"].shape == (96, 4, 4, 6) and found["latents"].dtype == torch.float32
    assert found["first_latent_frame"] == again["first_latent_frame"]
    with pytest.raises(DamagedFileError):
        handler("lat", b"no video")
    with pytest.raises(UsageError, match="damaged"):
        LatHandler(damaged="skip")


def test_webdataset_decodes_lat_members(shard: Path) -> None:
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    samples = list(wds.WebDataset(str(shard), shardshuffle=False).decode(LatHandler(latent_frames=4, seed=0)))
    assert [sample["__key__"] for sample in samples] == ["0", "1"] and samples[1]["txt"] == "caption 1"
    one, other = samples[0]["lat"], samples[1]["clip.lat"]
    assert one["latents"].shape == (96, 4, 4, 6) and torch.equal(one["latents"], other["latents"])


def test_webdataset_leaves_lat_members_alone_without_a_handler(shard: Path, lats: Path) -> None:  # noqa: F811
    wds = pytest.importorskip("webdataset", reason="webdataset is not installed")
    sample = next(iter(wds.WebDataset(str(shard), shardshuffle=False).decode("torchrgb")))
    assert sample["lat"] == (lats / "a.lat").read_bytes()


def test_energon_trains_on_lat_members(shard: Path) -> None:
    """From shards that energon prepared to batches."""
    energon = pytest.importorskip("megatron.energon", reason="megatron-energon is not installed")
    from latcomp.datasets import LatSampleDecoder

    energon.CrudeWebdataset.prepare_dataset(
        shard.parent, [shard.name], split_parts_ratio=[("train", 1.0), ("val", 0.0), ("test", 0.0)], workers=1
    )
    kind = "__module__: megatron.energon\n__class__: CrudeWebdataset\n"
    (shard.parent / ".nv-meta/dataset.yaml").write_text(kind)

    @energon.stateless
    def cook(sample: dict[str, Any]) -> dict[str, Any]:
        name = "lat" if "lat" in sample else "clip.lat"
        told = {"caption": sample["txt"], "key": sample["__key__"]}
        return sample[name] | told | {name: sample[name] for name in ("__key__", "__restore_key__")}

    class Encoder(energon.DefaultTaskEncoder):  # type: ignore[misc,name-defined]
        decoder = LatSampleDecoder(LatHandler(latent_frames=4, seed=0))
        cookers = (energon.Cooker(cook),)

        @energon.stateless
        def batch(self, samples: list[dict[str, Any]]) -> dict[str, Any]:
            return collate(samples)

    assert "latent_frames=4" in Encoder.decoder.config()["lat"]
    found = energon.get_train_dataset(
        shard.parent,
        worker_config=energon.WorkerConfig(rank=0, world_size=1, num_workers=0),
        batch_size=2,
        shuffle_buffer_size=None,
        max_samples_per_sequence=None,
        task_encoder=Encoder(),
    )
    batch = next(iter(energon.get_loader(found)))
    assert sorted(batch["key"]) == ["0", "1"] and sorted(batch["caption"]) == ["caption 0", "caption 1"]
    assert batch["latents"].shape == (2, 96, 4, 4, 6)


def test_energon_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "megatron.energon", None)
    monkeypatch.delitem(sys.modules, "latcomp.datasets.energon", raising=False)
    with pytest.raises(UsageError, match="pip install megatron-energon"):
        __import__("latcomp.datasets.energon")
