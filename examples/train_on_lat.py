"""Train a tiny network on .lat files: it predicts the next latent frame from the last two.

    latcomp batch videos/ lats/ --camera off --coding zstd
    python examples/train_on_lat.py lats/ --minutes 2

It shows how `LatDataset` feeds a training loop: random stretches, batches of one shape, workers, and files held back.
What it reaches is compared with hold, the guess that the next latent frame is as the last one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from latcomp.datasets import BucketSampler, LatDataset, collate, find_files

PAST = 2  # latent frames that the network sees


class Predictor(nn.Module):
    """(B, C, h, w) next latent frame of (B, PAST, C, h, w) last ones: a correction to the last one."""

    def __init__(self, channels: int, width: int = 64) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Conv2d(PAST * channels, width, 1),
            nn.Conv2d(width, width, 5, padding=2, groups=width),
            nn.GELU(),
            nn.Conv2d(width, width, 1),
            nn.GELU(),
            nn.Conv2d(width, width, 5, padding=2, groups=width),
            nn.GELU(),
            nn.Conv2d(width, channels, 1),
        )
        nn.init.zeros_(self.net[-1].weight)  # it begins as hold
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, past: Tensor) -> Tensor:
        """See the class."""
        last = past[:, -1]
        return last + self.net(torch.cat([last, last - past[:, -2]], dim=1))


def pairs(batch: dict[str, Any], scale: Tensor) -> tuple[Tensor, Tensor]:
    """((N, PAST, C, h, w) latent frames, (N, C, h, w) the next ones) of a batch, each channel by its own scale."""
    latents = batch["latents"].float() / scale[:, None, None, None]  # (B, C, T, h, w)
    runs = latents.unfold(2, PAST + 1, 1).permute(0, 2, 5, 1, 3, 4).flatten(0, 1)  # (B * (T - PAST), PAST + 1, C, h, w)
    return runs[:, :PAST], runs[:, PAST]


def batches(loader: DataLoader[Any], sampler: BucketSampler) -> Iterator[dict[str, Any]]:
    """Batches without end; each epoch has other stretches in another order."""
    epoch = 0
    while True:
        sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def main() -> None:
    """Train for some minutes, and say how far the guess is off on files that were held back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lats", nargs="+", type=Path, help="files, folders, globs or lists of .lat files")
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--latent-frames", type=int, default=6)
    parser.add_argument("--fill", default="hold", choices=["auto", "hold", "lit"])
    args = parser.parse_args()

    torch.manual_seed(0)
    files = [path for path, _ in find_files(args.lats)]
    held_back = files[:: max(len(files) // 4, 2)][:4]
    training = [path for path in files if path not in held_back]
    shared = {"latent_frames": args.latent_frames, "fill": args.fill, "short": "skip", "damaged": "skip"}
    dataset = LatDataset(training, stretches=4, seed=0, **shared)
    sampler = BucketSampler(dataset, args.batch, seed=0)
    loader = DataLoader(
        dataset,
        batch_sampler=sampler,
        collate_fn=collate,
        num_workers=args.workers,
        persistent_workers=args.workers > 0,
    )
    evaluation = LatDataset(held_back, seed=1, **shared)
    held = list(DataLoader(evaluation, batch_size=1, collate_fn=collate))  # one stretch of each file, always the same

    # (C,) size of each channel; one that says nothing on these files must not be blown up
    sizes = torch.stack([batch["latents"].float().square().mean(dim=(0, 2, 3, 4)) for batch in held]).mean(0).sqrt()
    scale = sizes.clamp_min(float(sizes.max()) / 100)
    model = Predictor(len(scale))
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
    print(f"{dataset}, {len(sampler)} batches an epoch; {len(held)} files held back")

    def error(predict: nn.Module | None) -> float:
        """Mean squared error on the files that were held back; None: of hold."""
        with torch.no_grad():
            found = []
            for batch in held:
                past, following = pairs(batch, scale)
                guess = past[:, -1] if predict is None else predict(past)
                found.append((guess - following).square().mean())
            return float(torch.stack(found).mean())

    hold = error(None)
    began, waited, step = time.monotonic(), 0.0, 0
    source = batches(loader, sampler)
    said = began
    while time.monotonic() - began < 60 * args.minutes:
        asked = time.monotonic()
        batch = next(source)
        waited += time.monotonic() - asked
        past, following = pairs(batch, scale)
        loss = (model(past) - following).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        step += 1
        if time.monotonic() - said > 15:
            said = time.monotonic()
            print(f"{said - began:4.0f} s, step {step}: {100 * (error(model) / hold - 1):+.1f} % against hold")
    taken = time.monotonic() - began
    found = error(model)
    print(
        f"{step} steps in {taken:.0f} s, {100 * waited / taken:.0f} % of them waiting for data; "
        f"squared error {found:.4f}, hold {hold:.4f} ({100 * (found / hold - 1):+.1f} %)"
    )


if __name__ == "__main__":
    main()
