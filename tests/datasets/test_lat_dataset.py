"""Protects what an item holds, that random stretches are the same wherever they are read, and what damage does."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

import latcomp
from latcomp.datasets import LatDataset
from latcomp.errors import DamagedFileError, UsageError
from tests.datasets.lats import lats  # noqa: F401
from tests.panning import panning_video


def test_an_item_is_what_the_file_says(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats)
    assert len(dataset) == 3 and [path.name for path in dataset.files] == ["a.lat", "b.lat", "wide.lat"]
    item = dataset[1]
    with latcomp.open(lats / "sub/b.lat", device="cpu") as file:
        latents, mask = file.latents()[0], file.mask
        assert item["tokenizer"] == f"cv8x8x4:{file.header.tokenizer['fingerprint'][:12]}"
    assert torch.equal(item["latents"], latents.to(torch.bfloat16)) and item["latents"].shape == (96, 75, 4, 6)
    assert torch.equal(item["mask"], torch.from_numpy(mask)) and item["mask"].dtype == torch.bool
    del item["latents"], item["mask"], item["tokenizer"]
    assert item == {
        "num_frames": 300, "height": 32, "width": 48, "fps": 25.0, "key": "sub/b", "first_latent_frame": 0,
    }  # fmt: skip
    assert dataset[-1]["key"] == "wide"
    with pytest.raises(IndexError):
        dataset[3]


def test_a_stretch_is_a_part_of_the_whole_in_the_type_that_was_asked_for(lats: Path) -> None:  # noqa: F811
    whole = LatDataset(lats / "a.lat", dtype=torch.float32)[0]
    for _ in range(4):
        item = LatDataset(lats / "a.lat", latent_frames=5, dtype="float32")[0]
        at = item["first_latent_frame"]
        assert torch.equal(item["latents"], whole["latents"][:, at : at + 5])
        assert torch.equal(item["mask"], whole["mask"][at : at + 5])
        assert item["num_frames"] == 20
    item["latents"].requires_grad_().sum().backward()  # it can be trained on
    assert LatDataset(lats / "a.lat", dtype="float16")[0]["latents"].dtype == torch.float16


def test_a_seed_decides_where_stretches_begin(lats: Path) -> None:  # noqa: F811
    def starts(dataset: LatDataset) -> list[int]:
        return [item["first_latent_frame"] for item in dataset]  # type: ignore[attr-defined]

    one, other = (LatDataset(lats, latent_frames=4, stretches=3, seed=7) for _ in range(2))
    assert len(one) == 9 and starts(one) == starts(other)
    first = starts(one)
    one.set_epoch(1)
    assert starts(one) != first and one.epoch == 1
    assert starts(LatDataset(lats, latent_frames=4, stretches=3, seed=8)) != first
    for part in range(3):  # each in its own third of the 72 places
        assert 24 * part <= first[part] < 24 * (part + 1)
    free = LatDataset(lats, latent_frames=4, stretches=3)
    torch.manual_seed(1)
    drawn = starts(free)
    assert starts(free) != drawn
    torch.manual_seed(1)
    assert starts(free) == drawn


def test_stretches_may_begin_where_segments_do(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats / "a.lat", latent_frames=11, starts="segments", seed=0)
    found = set()
    for epoch in range(8):
        dataset.set_epoch(epoch)
        found.add(dataset[0]["first_latent_frame"])
    assert found == {0, 64}


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_workers_read_what_this_process_reads(lats: Path, context: str) -> None:  # noqa: F811
    """Files are open here before workers are made, which may share their places; and workers that live on hear of the
    next epoch."""
    dataset = LatDataset(lats, latent_frames=4, stretches=2, seed=3)
    loader = DataLoader(
        dataset, batch_size=None, num_workers=2, multiprocessing_context=context, persistent_workers=True
    )
    for epoch in range(2):
        dataset.set_epoch(epoch)
        here = [dataset[number] for number in range(len(dataset))]
        for item, wanted in zip(loader, here, strict=True):
            assert torch.equal(item["latents"], wanted["latents"]) and item["key"] == wanted["key"]


def test_what_is_pickled_is_small_and_goes_on(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats, latent_frames=4, seed=3)
    item = dataset[0]  # opens a file and finds models
    packed = pickle.dumps(dataset)
    assert len(packed) < 4000
    assert torch.equal(pickle.loads(packed)[0]["latents"], item["latents"])


def test_few_files_stay_open(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats, latent_frames=4, open_files=2)
    for number in (0, 1, 0, 2):
        dataset[number]
    assert [Path(path).name for path in dataset._open._files] == ["a.lat", "wide.lat"]


@pytest.fixture
def damaged(lats: Path, tmp_path: Path) -> Path:  # noqa: F811
    """The folder with a.lat damaged in its first group, and gone.lat, which is no .lat file."""
    shutil.copytree(lats, tmp_path / "set")
    data = bytearray((tmp_path / "set/a.lat").read_bytes())
    data[len(data) // 4] ^= 255
    (tmp_path / "set/a.lat").write_bytes(data)
    (tmp_path / "set/gone.lat").write_bytes(b"no video")
    return tmp_path / "set"


def test_damage_raises_with_the_files_name(damaged: Path) -> None:
    dataset = LatDataset(damaged)
    for number, name in ((0, "a.lat"), (1, "gone.lat")):
        with pytest.raises(DamagedFileError, match=name):
            dataset[number]
    assert dataset[2]["key"] == "sub/b"


def test_the_next_file_of_its_shape_takes_the_place_of_a_damaged_one(damaged: Path) -> None:
    dataset = LatDataset(damaged, damaged="skip")
    with pytest.warns(RuntimeWarning, match=r"a\.lat is left out") as warned:
        assert dataset[0]["key"] == "sub/b"  # gone.lat stands between them
    assert len(warned) == 2
    assert dataset[1]["key"] == "sub/b"  # of no shape that could be known
    assert dataset[3]["key"] == "wide"
    alone = LatDataset(damaged / "gone.lat", damaged="skip")
    with pytest.warns(RuntimeWarning), pytest.raises(DamagedFileError, match="no other file"):
        alone[0]


def test_held_damage_keeps_every_latent_frame_in_its_place(damaged: Path, lats: Path) -> None:  # noqa: F811
    item = LatDataset(damaged / "a.lat", damaged="hold")[0]
    assert item["latents"].shape[1] == 75 and item["num_frames"] == 300
    whole = LatDataset(lats / "a.lat")[0]
    lost = int(item["mask"].flatten(1).sum(1).ne(0)[:64].sum())  # the rest of the first segment
    assert lost in range(8, 64, 8) and not item["mask"][lost:64].any()
    for part in (slice(0, lost), slice(64, None)):
        assert torch.equal(item["latents"][:, part], whole["latents"][:, part])
    assert torch.equal(item["latents"][:, 63], item["latents"][:, lost - 1])


def test_files_that_are_too_short_raise_or_are_skipped(lats: Path) -> None:  # noqa: F811
    with pytest.raises(UsageError, match=r"wide\.lat: 10 latent frames, 20 are wanted"):
        LatDataset(lats, latent_frames=20)[2]
    with pytest.warns(RuntimeWarning, match=r"wide\.lat is left out"):
        assert LatDataset(lats, latent_frames=20, short="skip")[2]["key"] == "a"


def test_a_followed_camera_is_refused_unless_places_are_the_worlds(tmp_path: Path) -> None:
    video = panning_video(tmp_path / "clip.mp4")
    latcomp.encode(video, tmp_path / "clip.lat", device="cpu")
    with pytest.raises(UsageError, match=r"clip\.lat: .*places='world'.*camera='off'"):
        LatDataset(tmp_path)[0]
    item = LatDataset(tmp_path, places="world", latent_frames=10, seed=0)[0]
    assert item["num_frames"] == 40 == sum(map(len, item["offsets"]))
    for latents, mask, visible, window in zip(
        item["latents"], item["mask"], item["visible"], item["window"], strict=True
    ):
        assert latents.shape[1:] == mask.shape == visible.shape and mask.shape[1:] == window[2:]
        assert not (mask & ~visible).any()


def test_settings_are_checked_before_any_file(lats: Path) -> None:  # noqa: F811
    for settings in (
        {"fill": "magic"},
        {"dtype": "int8"},
        {"latent_frames": 0},
        {"stretches": 2},
        {"starts": "segments"},
        {"damaged": "ignore"},
        {"short": "pad"},
        {"places": "moon"},
        {"seed": -1},
        {"open_files": 0},
    ):
        with pytest.raises(UsageError, match=next(iter(settings))):
            LatDataset(lats, **settings)  # type: ignore[arg-type]


def test_importing_the_room_imports_no_torch() -> None:
    code = (
        "import sys, latcomp.datasets, latcomp.datasets.paths, latcomp.datasets.handler\n"
        "latcomp.datasets.LatHandler(latent_frames=4)('jpg', b'')\n"
        "sys.exit(str({'torch', 'av'} & set(sys.modules)) if {'torch', 'av'} & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
