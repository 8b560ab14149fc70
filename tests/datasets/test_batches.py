"""Protects that batches hold items of one shape, all of them once an epoch, in an order that a seed decides."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.utils.data import DataLoader

from latcomp.datasets import BucketSampler, LatDataset, collate
from latcomp.datasets.items import Shape
from latcomp.errors import UsageError
from tests.datasets.lats import lats  # noqa: F401


def test_a_batch_stacks_items(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset([lats / "a.lat", lats / "sub/b.lat"], latent_frames=4, seed=1)
    batch = next(iter(DataLoader(dataset, batch_size=2, collate_fn=collate)))
    assert batch["latents"].shape == (2, 96, 4, 4, 6) and batch["mask"].shape == (2, 4, 4, 6)
    assert batch["num_frames"].tolist() == [16, 16] and batch["fps"].tolist() == [25.0, 25.0]
    assert [Path(key).name for key in batch["key"]] == ["a", "b"] and len(set(batch["tokenizer"])) == 1


def test_unequal_shapes_are_refused_with_the_way_out(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats, latent_frames=4)
    with pytest.raises(UsageError, match="BucketSampler"):
        collate([dataset[0], dataset[2]])
    with pytest.raises(UsageError, match="other:1"):
        collate([dataset[0], {**dataset[1], "tokenizer": "other:1"}])


def test_world_places_stay_lists(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats, places="world")
    batch = collate([dataset[0], dataset[2]])
    assert [len(parts) for parts in batch["latents"]] == [10, 2] and batch["num_frames"].tolist() == [300, 40]


def test_buckets_hold_one_shape_and_every_item_once(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats, latent_frames=4, stretches=5, seed=0)
    sampler = BucketSampler(dataset, 4, seed=2)
    first = list(sampler)
    assert sorted(number for batch in first for number in batch) == list(range(15)) and len(first) == len(sampler) == 5
    for batch in first:
        assert len({number >= 10 for number in batch}) == 1
    assert list(sampler) == first
    sampler.set_epoch(1)
    assert list(sampler) != first and dataset.epoch == 1
    assert [len(batch) for batch in BucketSampler(dataset, 4, drop_last=True)] == [4, 4, 4]
    assert next(iter(BucketSampler(dataset, 4, shuffle=False))) == [0, 1, 2, 3]
    for batch in DataLoader(dataset, batch_sampler=sampler, collate_fn=collate):
        assert batch["latents"].dtype == torch.bfloat16


def test_processes_share_the_batches(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats, latent_frames=4, stretches=5)
    shapes = dataset.shapes()
    whole = list(BucketSampler(dataset, 4, shapes=shapes))
    shares = [BucketSampler(dataset, 4, replicas=2, rank=rank, shapes=shapes) for rank in range(2)]
    assert [len(share) for share in shares] == [2, 2]
    assert [list(share) for share in shares] == [whole[0:4:2], whole[1:4:2]]


def test_files_that_are_left_out_are_in_no_batch(lats: Path, tmp_path: Path) -> None:  # noqa: F811
    (tmp_path / "broken.lat").write_bytes(b"nothing")
    dataset = LatDataset([lats, tmp_path], damaged="skip", latent_frames=20, short="skip")
    with pytest.warns(RuntimeWarning):
        sampler = BucketSampler(dataset, 8)
    assert [sorted(batch) for batch in sampler] == [[0, 1]]
    assert list(sampler.buckets) == [Shape(96, 20, 4, 6, dataset[0]["tokenizer"])]


def test_numbers_out_of_range_are_refused(lats: Path) -> None:  # noqa: F811
    dataset = LatDataset(lats)
    for settings, word in (({"rank": 1}, "rank"), ({"replicas": 0}, "replicas"), ({"shapes": [None]}, "1 shapes")):
        with pytest.raises(UsageError, match=word):
            BucketSampler(dataset, 2, **settings)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="batch_size"):
        BucketSampler(dataset, 0)
