"""What training pays to read latents: `LatDataset` against tensors that `torch.load` reads, in workers of a DataLoader.

Files of both kinds are made of the same clips and read many times over, so they come from the system's cache: what is
measured is the work of a processor, and what a disk or a network would have to deliver is in the bytes."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from latcomp import __version__
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.codec.settings import DEFAULT_QUALITY, EncodeSettings
from latcomp.datasets import LatDataset
from latcomp.errors import UsageError

CODINGS = {"zstd": "zstd", "prior": "context"}
"""How the tokens of a file are coded, as figures call it, and the setting that does so."""
WAYS = (("tensors", None), ("zstd", "hold"), ("zstd", "auto"), ("prior", "hold"), ("prior", "auto"))
"""(files of which kind, filled by what) is measured."""
Watcher = Callable[[str], None]
"""Called with what is measured now, in a few words."""


@dataclass(frozen=True)
class DatasetSettings:
    """What to measure. Raises `UsageError` for values out of range."""

    quality: float = DEFAULT_QUALITY
    workers: int = 4
    """Worker processes of the DataLoader."""
    latent_frames: int = 8
    """Length of the random stretches."""
    items: int = 48
    """Items an epoch, which the clips take turns to give."""
    repeats: int = 3
    """Epochs that are timed, after one that is not."""
    device: str = "auto"
    """Where clips are encoded; all reading is on the CPU."""

    def __post_init__(self) -> None:
        EncodeSettings(quality=self.quality)
        for name in ("workers", "latent_frames", "items", "repeats"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} {getattr(self, name)} is out of range: choose 1 or more", settings=(name,))


class TensorDataset(Dataset[dict[str, Any]]):
    """The rival: latents (C, T, h, w) saved with `torch.save` in bfloat16, whole or a random stretch, of which
    no more is read than is needed.
    """

    def __init__(self, paths: Sequence[Path], latent_frames: int | None) -> None:
        self.paths, self.latent_frames = [str(path) for path in paths], latent_frames

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, Any]:
        """`{"latents": tensor}`."""
        if self.latent_frames is None:
            return {"latents": torch.load(self.paths[index], weights_only=True)}
        latents = torch.load(self.paths[index], weights_only=True, mmap=True)
        start = int(torch.randint(latents.shape[1] - self.latent_frames + 1, ()))
        return {"latents": latents[:, start : start + self.latent_frames].clone()}


class _Timed(Dataset[tuple[torch.Tensor, float]]):
    """(latents, processor seconds) of each item of a data set."""

    def __init__(self, inner: LatDataset | TensorDataset) -> None:
        self.inner = inner

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, float]:
        began = time.process_time()
        latents = self.inner[index]["latents"]
        return latents, time.process_time() - began


class DatasetBench:
    """Makes the files of some clips and measures reading them. Raises what encoding raises."""

    def __init__(self, settings: DatasetSettings) -> None:
        self.settings = settings
        self.clips: list[dict[str, Any]] = []
        self.rows: list[dict[str, Any]] = []

    def run(self, clips: Sequence[Path], watch: Watcher | None = None) -> None:
        """Measure all clips together. Raises `UsageError` for one that is shorter than a stretch."""
        say = watch or (lambda text: None)
        with tempfile.TemporaryDirectory(prefix="latcomp-dataset-") as name:
            folder = Path(name)
            for clip in clips:
                say(f"{clip.stem}: encoding")
                self.clips.append(self._make(clip, folder))
            for length in (None, self.settings.latent_frames):
                for kind, fill in WAYS:
                    say(f"{_what(length)}, {kind}{f' filled by {fill}' if fill else ''}")
                    self.rows.append(self._measure(folder, kind, fill, length))

    def figures(self) -> dict[str, Any]:
        """The figures so far.

        - `version`, `torch`, `processors` (of the machine), and the settings `quality`, `workers`, `latent_frames`,
          `items`, `repeats`
        - `clips`: of each `clip, frames, width, height, latent_frames, keep_ratio` and `bytes {tensors, zstd, prior}`
        - `rows`: of each way, whole files before stretches: `items` ('whole' or 'stretches'), `files` ('tensors',
          'zstd' or 'prior', how tokens are coded), `fill`, `samples_per_second {minimum, median, maximum}` of the timed
          epochs, `cpu_milliseconds` (median, of a processor in a worker, for one sample), `bytes` (of a sample: its
          share of its file), `bits_per_pixel`
        """
        chosen = self.settings
        return {
            "version": __version__,
            "torch": torch.__version__,
            "processors": os.cpu_count(),
            "quality": chosen.quality,
            "workers": chosen.workers,
            "latent_frames": chosen.latent_frames,
            "items": chosen.items,
            "repeats": chosen.repeats,
            "clips": self.clips,
            "rows": self.rows,
        }

    def _make(self, clip: Path, folder: Path) -> dict[str, Any]:
        """Make the files of a clip: one of each kind, and as many names for it as epochs have items."""
        number, chosen = len(self.clips), self.settings
        made = {kind: folder / f"{number}.{kind}" for kind in ("tensors", *CODINGS)}
        for kind, coding in CODINGS.items():
            result = encode(
                clip, made[kind], quality=chosen.quality, coding=coding, camera="off", audio=False, device=chosen.device
            )
        with open_lat(made["zstd"], device="cpu") as file:
            latents = file.latents()[0]
        if latents.shape[1] < chosen.latent_frames:
            raise UsageError(f"{clip} has {latents.shape[1]} latent frames, {chosen.latent_frames} are wanted")
        torch.save(latents.to(torch.bfloat16).clone(), made["tensors"])
        for kind, path in made.items():
            (folder / kind).mkdir(exist_ok=True)
            for copy in range(chosen.items):
                os.link(path, folder / kind / f"{copy:06}-{number}{'.pt' if kind == 'tensors' else '.lat'}")
        stats = result.stats
        return {
            "clip": clip.stem,
            **{name: stats[name] for name in ("frames", "width", "height", "latent_frames", "keep_ratio")},
            "bytes": {kind: path.stat().st_size for kind, path in made.items()},
        }

    def _measure(self, folder: Path, kind: str, fill: str | None, length: int | None) -> dict[str, Any]:
        """One row."""
        chosen = self.settings
        paths = sorted((folder / kind).iterdir())[: chosen.items]
        dataset: LatDataset | TensorDataset
        if fill is None:
            dataset = TensorDataset(paths, length)
        else:
            dataset = LatDataset(paths, latent_frames=length, fill=fill, open_files=len(paths))
        loader = DataLoader(_Timed(dataset), batch_size=None, num_workers=chosen.workers, persistent_workers=True)
        rates: list[float] = []
        costs: list[float] = []
        for epoch in range(chosen.repeats + 1):
            began = time.perf_counter()
            spent = [seconds for _, seconds in loader]
            if epoch:  # the first one starts the workers, opens the files and loads the models
                rates.append(len(paths) / (time.perf_counter() - began))
                costs += spent
        turns = [self.clips[index % len(self.clips)] for index in range(len(paths))]
        shares = [1.0 if length is None else length / clip["latent_frames"] for clip in turns]
        size = sum(share * clip["bytes"][kind] for share, clip in zip(shares, turns, strict=True))
        pixels = sum(s * clip["frames"] * clip["width"] * clip["height"] for s, clip in zip(shares, turns, strict=True))
        return {
            "items": "whole" if length is None else "stretches",
            "files": kind,
            "fill": fill,
            "samples_per_second": {"minimum": min(rates), "median": median(rates), "maximum": max(rates)},
            "cpu_milliseconds": 1e3 * median(costs),
            "bytes": size / len(paths),
            "bits_per_pixel": 8 * size / pixels,
        }


def _what(length: int | None) -> str:
    return "whole files" if length is None else f"stretches of {length} latent frames"
