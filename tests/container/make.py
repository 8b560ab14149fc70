"""Headers, groups and whole files for the tests of the container."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from latcomp.container import AudioChunk, AudioPacketBytes, Group, Header, Writer


def header(**changes: Any) -> Header:
    """A header of a small video: 5 x 7 positions, 6 channels."""
    values: dict[str, Any] = {
        "width": 50, "height": 40, "time_base": (1, 12800), "average_rate": (25, 1), "sample_aspect_ratio": (1, 1), "rotation": 0,
        "color": {"primaries": 1, "transfer": 1, "matrix": 1, "range": 1}, "audio": [{"codec": "aac"}, {"codec": "opus"}],
        "tokenizer": {"name": "test", "sha256": "ab" * 32, "channels": 6, "spatial": 8, "temporal": 4}, "lit": None, "quality": 5.0,
        "step_scale": 1.0, "coding": "int", "threshold": 0.3, "keep": None, "reference": "kept", "group_latent_frames": 8,
        "segment_groups": 2, "created_by": "tests",
    }  # fmt: skip
    return Header(**{**values, **changes})


def sized(rows: int, columns: int, channels: int, **changes: Any) -> Header:
    """A header whose grid has so many rows and columns."""
    tokenizer = {"name": "test", "sha256": "ab" * 32, "channels": channels, "spatial": 8, "temporal": 4}
    return header(width=8 * columns - 3, height=8 * rows - 5, tokenizer=tokenizer, **changes)


def lifelike(rows: int, columns: int, channels: int, frames: int, seed: int = 0) -> np.ndarray:
    """(frames, rows, columns, channels) int32 like quantised latents: smooth in space and time, energy falling by channel."""
    rng = np.random.default_rng(seed)
    scale = 3.0 * (0.05 / 3.0) ** (np.arange(channels) / max(channels - 1, 1))
    field = np.zeros((rows, columns, channels))
    found = []
    y, x = np.mgrid[:rows, :columns]
    for t in range(frames):
        noise = rng.laplace(size=(rows, columns, channels))
        smooth = sum(np.roll(noise, shift, axis) for axis in (0, 1) for shift in (-1, 0, 1)) / 2.4
        moving = (np.hypot(y - rows / 2, x - columns / 2 - t / 3) < 0.35 * max(rows, columns))[..., None]
        field = smooth if t == 0 else np.where(moving, 0.8 * field + 0.6 * smooth, field)
        found.append(np.rint(field * scale).astype(np.int32))
    return np.stack(found)


def groups(of: Header, count: int, seed: int = 0, last_frames: int | None = None, dense: bool = False) -> list[Group]:
    """Successive groups of lifelike latents with masks as a threshold gives them, or all kept; the last group may be short."""
    rows, columns = of.grid
    full = of.group_latent_frames
    latents = lifelike(rows, columns, of.channels, count * full, seed)
    made, first, kept = [], 0, np.zeros((rows, columns, of.channels), np.int32)
    for index in range(count):
        frames = last_frames if last_frames is not None and index == count - 1 else full * of.temporal
        steps = -(-frames // of.temporal)
        key = index % of.segment_groups == 0
        mask = np.zeros((steps, rows, columns), bool)
        tokens = []
        for t in range(steps):
            now = latents[index * full + t]
            mask[t] = True if dense or (key and t == 0) else (np.abs(now - kept).sum(-1) > 1)
            kept[mask[t]] = now[mask[t]]
            tokens.append(now[mask[t]])
        symbols = np.concatenate(tokens)
        if of.coding == "lossless":
            symbols = (symbols * np.float32(0.37)).astype(np.float32)
        pts = 512 * np.arange(first, first + frames, dtype=np.int64)
        made.append(Group(index, key, first, pts, mask, symbols, ("hold", "lit")[index % 2], index - 1))
        first += frames
    return made


def audio(place: int) -> AudioChunk:
    """A chunk of two packets."""
    packets = (AudioPacketBytes(place, place - 1, 1024, 1, b"abc" * place), AudioPacketBytes(None, None, 0, 0, b""))
    return AudioChunk(place % 2, packets)


def written(of: Header, made: list[Group], sound: bool = True) -> bytes:
    """The file of some groups, with an audio chunk before each."""
    out = io.BytesIO()
    with Writer(out, of) as writer:
        for group in made:
            if sound:
                writer.write_audio(audio(group.index + 1))
            writer.write_group(group)
    return out.getvalue()


def same_group(left: Group, right: Group) -> bool:
    """Whether two groups agree in everything, floats bit by bit."""
    return (
        (left.index, left.key, left.first_frame, left.fill) == (right.index, right.key, right.first_frame, right.fill)
        and left.pts.tolist() == right.pts.tolist()
        and left.mask.tolist() == right.mask.tolist()
        and left.tokens.dtype == right.tokens.dtype
        and left.tokens.shape == right.tokens.shape
        and left.tokens.tobytes() == right.tokens.tobytes()
    )


class Trickle(io.RawIOBase):
    """A pipe that gives a byte at a time, or whatever `step` says; it cannot seek."""

    def __init__(self, data: bytes, step: int = 1) -> None:
        self.data, self.place, self.step = data, 0, step

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:  # type: ignore[override]
        count = self.step if size < 0 else min(size, self.step)
        piece = self.data[self.place : self.place + count]
        self.place += len(piece)
        return piece
