"""Caches as trainers write and read them: their keys, types, shapes, names and metadata, in code of our own."""

from __future__ import annotations

import io
import json
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file


def video_latents(channels: int = 16, frames: int = 5, height: int = 8, width: int = 10, seed: int = 0) -> torch.Tensor:
    """float32 (C, F, H, W): a picture that moves and a little noise, so that there is something to compress."""
    made = torch.Generator().manual_seed(seed)
    still = torch.randn(channels, 1, height, width, generator=made)
    drift = torch.randn(channels, 1, height, width, generator=made) * torch.linspace(0, 0.4, frames).view(1, -1, 1, 1)
    return still + drift + 0.02 * torch.randn(channels, frames, height, width, generator=made)


# -- musubi-tuner: a safetensors file a clip, keys that say shape and type, metadata of texts


def dtype_word(tensor: torch.Tensor) -> str:
    return str(tensor.dtype).split(".")[-1]


def write_musubi(
    folder: Path, item: str, latent: torch.Tensor, short: str, full: str, others: dict[str, torch.Tensor] | None = None
) -> Path:
    """latent: (C, F, H, W), or (C, H, W) of a picture."""
    frames, height, width = (1, *latent.shape[1:]) if latent.dim() == 3 else latent.shape[1:]
    table = {f"latents_{frames}x{height}x{width}_{dtype_word(latent)}": latent.contiguous(), **(others or {})}
    pixels = width * 8, height * 8
    metadata = {
        "architecture": full,
        "width": str(pixels[0]),
        "height": str(pixels[1]),
        "format_version": "1.0.1",
        "frame_count": str(4 * frames - 3),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{item}_00000-{4 * frames - 3:03d}_{pixels[0]:04d}x{pixels[1]:04d}_{short}.safetensors"
    save_file(table, path, metadata=metadata)
    return path


def write_musubi_wan_i2v(folder: Path, item: str, seed: int = 0) -> Path:
    """A clip of Wan's picture-to-video: more tensors beside the latents."""
    latent = video_latents(seed=seed).to(torch.bfloat16)
    first = torch.zeros(20, *latent.shape[1:], dtype=torch.bfloat16)
    first[:4, :1], first[4:, :1] = 1, latent[:, :1]
    others = {
        "clip_bfloat16": torch.randn(257, 32).to(torch.bfloat16),
        f"latents_image_{'x'.join(map(str, latent.shape[1:]))}_bfloat16": first,
        "f_indices_int32": torch.tensor([0, 3], dtype=torch.int32),
    }
    return write_musubi(folder, item, latent, "wan", "wan", others)


def read_musubi(folder: Path, short: str) -> dict[str, dict[str, Any]]:
    """By clip, what a batch gets: tensors by content, the clip's size and frames from the names."""
    batch = {}
    for path in sorted(folder.glob(f"*_{short}.safetensors")):
        words = path.name.split("_")
        width, height = (int(number) for number in words[-2].split("x"))
        start, frames = (int(number) for number in words[-3].split("-"))
        table = {}
        for key, tensor in load_file(path).items():
            content = key if key.endswith("_mask") else key.rsplit("_", 1)[0]
            if content.startswith("latents_"):
                content = content.rsplit("_", 1)[0]
                assert (
                    re.search(rf"_{'x'.join(map(str, tensor.shape[-3:]))}_{dtype_word(tensor)}$", key)
                    or tensor.dim() < 4
                )
            table[content] = tensor
        with safe_open(path, "pt") as file:
            metadata = file.metadata()
        batch["_".join(words[:-3])] = {
            "tensors": table,
            "size": (width, height),
            "frames": frames,
            "start": start,
            "metadata": metadata,
        }
    return batch


# -- diffusion-pipe: a database of items, torch.save of a dict each, in shards


class PipeCache:
    def __init__(self, folder: Path, fingerprint: str, shard_bytes: int = 1 << 30) -> None:
        self.folder, self.fingerprint, self.shard_bytes = folder, fingerprint, shard_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self.table = sqlite3.connect(folder / "metadata.db")
        self.table.execute("CREATE TABLE IF NOT EXISTS fingerprint(value)")
        found = self.table.execute("SELECT value FROM fingerprint").fetchone()
        self.deleted = found is not None and found[0] != fingerprint
        """Whether the trainer would delete what it finds."""
        if found is None:
            self.table.execute("INSERT INTO fingerprint VALUES(?)", (fingerprint,))
        self.table.execute("CREATE TABLE IF NOT EXISTS items(shard, shard_index)")
        self.items = self.table.execute("SELECT shard, shard_index FROM items").fetchall()
        self.places: dict[int, list[tuple[int, int]]] = {}
        for (name,) in self.table.execute("SELECT name FROM sqlite_master").fetchall():
            if name.startswith("shard_"):
                self.places[int(name.split("_")[-1])] = self.table.execute(
                    f"SELECT offset, size FROM {name}"
                ).fetchall()
        self.table.commit()
        self.shard = max((shard for shard, _ in self.items), default=-1) + 1
        self.file: Any = None

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, index: int) -> Any:
        shard, number = self.items[index]
        offset, size = self.places[shard][number]
        with (self.folder / f"shard_{shard}.bin").open("rb") as file:
            file.seek(offset)
            return torch.load(io.BytesIO(file.read(size)), map_location="cpu")

    def add(self, item: Any) -> None:
        if self.file is None:
            self.file = (self.folder / f"shard_{self.shard}.bin").open("wb")
            self.table.execute(f"CREATE TABLE shard_{self.shard}(offset, size)")
            self.number = 0
        buffer = io.BytesIO()
        torch.save(item, buffer)
        offset = self.file.tell()
        self.file.write(buffer.getbuffer())
        self.table.execute("INSERT INTO items VALUES(?, ?)", (self.shard, self.number))
        self.table.execute(f"INSERT INTO shard_{self.shard} VALUES(?, ?)", (offset, len(buffer.getbuffer())))
        self.number += 1
        if self.file.tell() >= self.shard_bytes:
            self.finish_shard()

    def finish_shard(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file, self.shard = None, self.shard + 1
            self.table.commit()

    def close(self) -> None:
        self.finish_shard()
        self.table.close()


def pipe_item(seed: int, latents: torch.Tensor | None = None) -> dict[str, Any]:
    latents = video_latents(seed=seed).to(torch.bfloat16) if latents is None else latents
    mask = torch.rand(80, 64).to(torch.float16) if seed % 2 else None
    return {
        "latents": latents,
        "image_spec": [None, f"/data/clip{seed}.mp4"],
        "mask": mask,
        "caption": ["a cat", "ein Kätzchen"],
    }


def write_pipe(folder: Path, items: Iterable[Any], fingerprint: str = "b2f0", shard_bytes: int = 60_000) -> Path:
    cache = PipeCache(folder, fingerprint, shard_bytes)
    for item in items:
        cache.add(item)
    cache.close()
    return folder


# -- the LTX trainer: a file of torch.save a clip, sizes in latent units


def write_ltx(path: Path, latents: torch.Tensor, fps: float = 24.0, legacy: bool = False) -> Path:
    """latents: (C, F, H, W); legacy: rows of C values, as before there was a layout."""
    frames, height, width = latents.shape[1:]
    table = {
        "latents": latents.flatten(1).T.contiguous() if legacy else latents.contiguous(),
        "num_frames": frames,
        "height": height,
        "width": width,
        "fps": fps,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(table, path)
    return path


def read_ltx(root: Path) -> Iterator[dict[str, Any]]:
    root = root / ".precomputed" if (root / ".precomputed").exists() else root
    for path in sorted((root / "latents").glob("**/*.pt")):
        table = torch.load(path, map_location="cpu", weights_only=True)
        if table["latents"].dim() == 2:
            shape = (table["num_frames"], table["height"], table["width"], -1)
            table["latents"] = table["latents"].reshape(shape).permute(3, 0, 1, 2)
        yield table


# -- ComfyUI: SaveLatent and LoadLatent


def write_comfyui(path: Path, samples: torch.Tensor, prompt: Any = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    metadata = {"prompt": json.dumps(prompt), "workflow": json.dumps({"nodes": ["é"]})}
    save_file(
        {"latent_tensor": samples.contiguous(), "latent_format_version_0": torch.tensor([])}, path, metadata=metadata
    )
    return path


def read_comfyui(path: Path) -> torch.Tensor:
    table = load_file(path)
    return table["latent_tensor"].float() * (1.0 if "latent_format_version_0" in table else 1 / 0.18215)


# -- finetrainers: moments, a file of torch.save each


def write_finetrainers(folder: Path, index: int, seed: int = 0, channels: int = 16) -> Path:
    """Mean and log variance of Wan's posterior, (1, 2C, F, H, W), and the statistics to normalise them by."""
    mean = video_latents(channels, seed=seed)
    log_variance = -6 + 0.3 * video_latents(channels, seed=seed + 1000)
    table = {
        "latents": torch.cat([mean, log_variance]).unsqueeze(0).to(torch.bfloat16),
        "latents_mean": torch.linspace(-1, 1, channels),
        "latents_std": 1 / torch.linspace(1, 3, channels),
    }
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"latent-{index}.pt"
    torch.save(table, path)
    return path


def read_finetrainers(folder: Path) -> Iterator[dict[str, Any]]:
    count = len(list(folder.glob("latent-*.pt")))
    for index in range(count):
        table = torch.load(folder / f"latent-{index}.pt", weights_only=True)
        mean, log_variance = table["latents"].chunk(2, dim=1)
        yield {**table, "mean": mean, "deviation": torch.exp(0.5 * log_variance.float().clamp(-30, 20))}
