"""Batches of items of equal shape: a batch sampler that groups them, and the function that stacks them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Sampler, default_collate

from latcomp.checks import check_whole
from latcomp.datasets.items import Shape
from latcomp.datasets.lat_dataset import LatDataset
from latcomp.errors import UsageError

_LISTS = ("latents", "mask", "window", "offsets", "visible")


def collate(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A batch of `LatDataset` items: `latents` (B, C, T, h, w), `mask` (B, T, h, w), numbers as tensors (B,), texts as
    lists. What places='world' gives in lists, and members that are no tensors, numbers or texts, stays a list.

    For `DataLoader(collate_fn=collate)`. Raises `UsageError` for items of different shapes or tokenizers."""
    first = items[0]
    world = isinstance(first["latents"], list)
    if not world:
        kinds = {(item["tokenizer"], tuple(item["latents"].shape)) for item in items}
        if len(kinds) > 1:
            told = " and ".join(f"{shape} of {name}" for name, shape in sorted(kinds)[:2])
            raise UsageError(
                f"a batch of latents {told}: give latent_frames, and BucketSampler as the batch_sampler, which puts "
                "equal shapes together"
            )
    apart = {name for name in first if world and name in _LISTS}
    apart |= {name for name, value in first.items() if isinstance(value, dict | list | type(None))}
    batch: dict[str, Any] = default_collate([{k: v for k, v in item.items() if k not in apart} for item in items])
    return batch | {name: [item[name] for item in items] for name in first if name in apart}


class BucketSampler(Sampler[list[int]]):
    """Batches of numbers of items that have one shape, for `DataLoader(batch_sampler=...)`.

    In each epoch items are shuffled within their bucket and batches among all buckets. Of several processes that train
    together each takes its share: equally many batches of all alike, so that none waits for another at the end."""

    def __init__(
        self,
        dataset: LatDataset,
        batch_size: int,
        *,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
        replicas: int = 1,
        rank: int = 0,
        shapes: Sequence[Shape | None] | None = None,
    ) -> None:
        """drop_last: leave out batches that are not full; replicas: processes that train together, rank: which of them
        this is; where their number does not divide the batches, the last ones are left out. shapes: of
        `LatDataset.shapes`, which opens every file, where it was asked before.

        Raises `UsageError` for numbers out of range and shapes of another number of items, and what `shapes` raises."""
        check_whole("batch_size", batch_size, 1, "choose 1 item or more")
        check_whole("seed", seed, 0, "choose 0 or more")
        check_whole("replicas", replicas, 1, "choose 1 process or more")
        check_whole("rank", rank, 0, "choose 0 up to the number of processes")
        if rank >= replicas:
            raise UsageError(f"rank {rank} is out of range: choose 0 to {replicas - 1}", settings=("rank",))
        self.dataset, self.batch_size, self.shuffle, self.seed = dataset, batch_size, shuffle, seed
        self.drop_last, self.replicas, self.rank = drop_last, replicas, rank
        found = dataset.shapes() if shapes is None else shapes
        if len(found) != len(dataset):
            raise UsageError(f"{len(found)} shapes for {len(dataset)} items", settings=("shapes",))
        members: dict[Shape, list[int]] = defaultdict(list)
        for index, shape in enumerate(found):
            if shape is not None:
                members[shape].append(index)
        self.buckets: dict[Shape, np.ndarray] = {shape: np.array(numbers) for shape, numbers in members.items()}
        """The numbers of items by shape."""

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch begins, to the data set too."""
        self.dataset.set_epoch(epoch)

    def __len__(self) -> int:
        size = self.batch_size
        sizes = (
            len(numbers) // size if self.drop_last else -(-len(numbers) // size) for numbers in self.buckets.values()
        )
        return sum(sizes) // self.replicas

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng((self.seed, self.dataset.epoch))
        batches: list[np.ndarray] = []
        for numbers in self.buckets.values():
            order = generator.permutation(numbers) if self.shuffle else numbers
            cut = [order[start : start + self.batch_size] for start in range(0, len(order), self.batch_size)]
            batches += [batch for batch in cut if len(batch) == self.batch_size or not self.drop_last]
        if self.shuffle:
            generator.shuffle(turn := np.arange(len(batches)))
            batches = [batches[at] for at in turn]
        whole = len(batches) // self.replicas * self.replicas
        for batch in batches[self.rank : whole : self.replicas]:
            yield batch.tolist()
