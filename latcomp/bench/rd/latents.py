"""What a clip's latents cost when they are kept as training sets keep them: raw fp16, and int8 under zstd."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from latcomp import models
from latcomp.bench.rd.source import SourceClip
from latcomp.codec.groups import EncodedGroup, LatentStream
from latcomp.codec.pieces import DecodingStream
from latcomp.codec.settings import GROUP_LATENT_FRAMES
from latcomp.container.zstd import LEVEL, compress, decompress
from latcomp.devices import decodes_in_bf16, pick_device
from latcomp.video import Frame

LATENT_CODECS = ("raw-fp16", "int8-zstd")
INT8_MOST = 127


@dataclass(frozen=True)
class PackedLatents:
    """The latents of a clip as bytes."""

    data: bytes
    """raw-fp16: all values in order (C, T, h, w). int8-zstd: one zstd frame of the int8 values in that order, channel
    by channel.
    """
    shape: tuple[int, ...]
    steps: np.ndarray | None
    """(C,) float32 step of each channel; None for raw-fp16."""

    @property
    def size_bytes(self) -> int:
        """Bytes of values and steps."""
        return len(self.data) + (0 if self.steps is None else self.steps.nbytes)


def pack(latents: np.ndarray, codec: str) -> PackedLatents:
    """float32 latents (C, T, h, w) as bytes; codec: one of `LATENT_CODECS`."""
    if codec == "raw-fp16":
        return PackedLatents(latents.astype(np.float16).tobytes(), latents.shape, None)
    largest = np.abs(latents).reshape(len(latents), -1).max(axis=1)
    steps = np.maximum(largest / INT8_MOST, np.finfo(np.float32).tiny).astype(np.float32)
    values = np.rint(latents / steps.reshape(-1, 1, 1, 1)).clip(-INT8_MOST, INT8_MOST).astype(np.int8)
    return PackedLatents(compress(values.tobytes(), LEVEL), latents.shape, steps)


def unpack(packed: PackedLatents) -> np.ndarray:
    """float32 latents (C, T, h, w) of what `pack` made."""
    if packed.steps is None:
        return np.frombuffer(packed.data, np.float16).reshape(packed.shape).astype(np.float32)
    count = int(np.prod(packed.shape))
    values = np.frombuffer(decompress(packed.data, count, "int8 latents", exactly=count), np.int8).reshape(packed.shape)
    found: np.ndarray = values * packed.steps.reshape(-1, 1, 1, 1)
    return found


class LatentBench:
    """A loaded tokenizer; turns clips into latents and latents into frames."""

    def __init__(self, tokenizer: str | Path | None = None, device: str = "auto") -> None:
        self.device = pick_device(device)
        self.tokenizer = models.load_tokenizer(models.find_tokenizer(tokenizer)).to(self.device)
        self.half = decodes_in_bf16(self.device)

    def encode(self, clip: SourceClip) -> tuple[np.ndarray, float]:
        """(latents (C, T, h, w) float32 of all frames, seconds)."""
        began = time.perf_counter()
        stream = LatentStream(self.tokenizer, self.device, GROUP_LATENT_FRAMES)
        frames = (Frame(pixels, index) for index, pixels in enumerate(clip.rgb))
        groups = [group.latents for group in stream.run(frames) if isinstance(group, EncodedGroup)]
        return np.concatenate(groups, axis=1), time.perf_counter() - began

    @torch.inference_mode()
    def decode(self, packed: PackedLatents, clip: SourceClip) -> Iterator[np.ndarray]:
        """Frames (H, W, 3) uint8 RGB of packed latents, as many as the clip has."""
        latents = torch.from_numpy(unpack(packed)).unsqueeze(0)
        left, stream = len(clip.rgb), DecodingStream(self.tokenizer, self.half)
        for start in range(0, latents.shape[2], GROUP_LATENT_FRAMES):
            part = latents[:, :, start : start + GROUP_LATENT_FRAMES].to(self.device)
            # int8 steps too are finer than the finest that decoders know: a channel's largest value over 127
            for piece in stream.decode(part, None):
                decoded = piece.frames[:left, : clip.height, : clip.width].cpu().numpy()
                left -= len(decoded)
                yield from decoded
