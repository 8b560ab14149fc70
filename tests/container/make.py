"""Headers, groups and whole files for the tests of the container."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from typing import Any

import numpy as np

from latcomp.container import (
    SYMBOL_MAX,
    SYMBOL_MIN,
    Attachment,
    AudioChunk,
    AudioPacketBytes,
    Group,
    Header,
    Prior,
    Reader,
    Writer,
)
from latcomp.container.coding import GroupContent, GroupShape
from latcomp.container.coding.prior.modes import CONTEXTS, MODES
from latcomp.container.coding.prior.neighbourhood import MASK_SIDE, PASSES, PHASES
from latcomp.container.coding.prior.network import (
    FACTS,
    FRACTION_BITS,
    FRACTIONS,
    MASK_CLASSES,
    MASK_FACTS,
    REACH,
    SCALE_LOW,
    SCALE_OCTAVE,
    SCALES,
)
from latcomp.container.coding.prior.tables import whole_frequencies
from latcomp.latents import Box, StepScale


def header(**changes: Any) -> Header:
    """A header of a small video: 5 x 7 positions, 6 channels."""
    values: dict[str, Any] = {
        "width": 50,
        "height": 40,
        "time_base": (1, 12800),
        "average_rate": (25, 1),
        "sample_aspect_ratio": (1, 1),
        "rotation": 0,
        "color": {"primaries": 1, "transfer": 1, "matrix": 1, "range": 1},
        "audio": [{"codec": "aac"}, {"codec": "opus"}],
        "tokenizer": {"name": "test", "sha256": "ab" * 32, "channels": 6, "spatial": 8, "temporal": 4},
        "lit": None,
        "quality": 5.0,
        "step_scale": 1.0,
        "coding": "int",
        "threshold": 0.3,
        "keep": None,
        "reference": "kept",
        "group_latent_frames": 8,
        "segment_groups": 2,
        "created_by": "tests",
    }
    return Header(**{**values, **changes})


def of_latents(rows: int, columns: int, channels: int, lossless: bool = False, **changes: Any) -> Header:
    """The header of a file that was made of latents, whose tokenizer has a name alone."""
    of = sized(rows, columns, channels, first_frames=1)
    tokenizer = {name: value for name, value in of.tokenizer.items() if name != "sha256"}
    rng = np.random.default_rng(channels)
    steps = {name: rng.uniform(0.05, 2, channels).round(4).tolist() for name in ("channel_step", "channel_scale")}
    values: dict[str, Any] = {
        "tokenizer": tokenizer,
        "requires": ("first_frames", *(() if lossless else ("steps",)), "latents"),
        "steps": None if lossless else steps,
        "latents": {"space": "raw", "estimator": "mode", "layout": "BCFHW", "dtype": "bfloat16", "architecture": "x"},
        "coding": "lossless" if lossless else "int",
        "segment_groups": 9,
    }
    return replace(of, **{**values, **changes})


def sized(rows: int, columns: int, channels: int, first_frames: int | None = None, **changes: Any) -> Header:
    """A header whose grid has so many rows and columns; first_frames: of a tokenizer that takes a stream's first frames
    by themselves."""
    tokenizer = {"name": "test", "sha256": "ab" * 32, "channels": channels, "spatial": 8, "temporal": 4}
    if first_frames is not None:
        tokenizer["first_frames"] = first_frames
        changes["requires"] = ("first_frames",)
    return header(width=8 * columns - 3, height=8 * rows - 5, tokenizer=tokenizer, **changes)


def lifelike(rows: int, columns: int, channels: int, frames: int, seed: int = 0) -> np.ndarray:
    """(frames, rows, columns, channels) int32 like quantised latents: smooth in space and time, energy falling by
    channel.
    """
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
    """Successive groups of lifelike latents with masks as a threshold gives them, or all kept; the last group may be
    short.
    """
    rows, columns = of.grid
    full = of.group_latent_frames
    latents = lifelike(rows, columns, of.channels, count * full, seed)
    made, first, kept = [], 0, np.zeros((rows, columns, of.channels), np.int32)
    for index in range(count):
        key = index % of.segment_groups == 0
        rule = of.rule_of(key)
        frames = last_frames if last_frames is not None and index == count - 1 else rule.frames(full)
        steps = rule.latent_frames(frames)
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


def laplace(scale: int, fraction: int) -> np.ndarray:
    """Weights of one table of values: a Laplace density of the scale class around fraction / 8, and an escape."""
    size, reach = 2.0 ** ((scale + SCALE_LOW) / SCALE_OCTAVE), int(REACH[scale])
    edges = np.arange(-reach, reach + 2) - 0.5 - fraction / 2**FRACTION_BITS
    below = np.where(edges < 0, np.exp(np.minimum(edges, 0) / size) / 2, 1 - np.exp(-np.maximum(edges, 0) / size) / 2)
    return np.append(np.diff(below), 1e-5)


def prior_arrays(
    channels: int = 6,
    embed: int = 8,
    width: int = 16,
    known: int = 8,
    mask_width: int = 8,
    mask_hidden: int = 6,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Tensors of a small prior whose weights are random, and whose tables are Laplace densities and random ones."""
    rng = np.random.default_rng(seed)

    def weights(*shape: int, most: int = 40) -> np.ndarray:
        return rng.integers(-most, most + 1, shape, np.int8)

    def biases(*shape: int) -> np.ndarray:
        return rng.integers(-20_000, 20_000, shape, np.int32)

    found = {
        "embed": weights(2 * channels, embed),
        "embed_bias": biases(embed),
        "spread": weights(9 * embed, embed),
        "spread_bias": biases(embed),
        "near": weights(9 * embed, width),
        "own": weights(channels, width),
        "facts": weights(FACTS, width),
        "trunk_bias": biases(width),
    }
    for number in range(PASSES):
        found |= {
            f"known{number}": weights(channels, known),
            f"known{number}_bias": biases(known),
            f"beside{number}": weights(9 * known, width),
            f"down{number}": weights(width, width),
            f"down{number}_bias": biases(width),
            f"leave{number}": weights(width, 4, channels, most=16),
            f"leave{number}_bias": biases(4, channels) + np.array([[0], [6144], [2048], [0]], np.int32),
        }
    found |= {
        "mask_near": weights(9 * embed, mask_width),
        "mask_own": weights(channels, mask_width),
        "mask_facts": weights(MASK_FACTS, mask_width),
        "mask_trunk_bias": biases(mask_width),
        "mask_beside": weights(PHASES, 2 * MASK_SIDE**2, mask_hidden),
        "mask_down": weights(PHASES, mask_width, mask_hidden),
        "mask_down_bias": biases(PHASES, mask_hidden),
        "mask_leave": weights(PHASES, mask_hidden),
        "mask_leave_bias": biases(PHASES),
    }
    found["table_values"] = np.concatenate(
        [whole_frequencies(laplace(scale, fraction)) for scale in range(SCALES) for fraction in range(FRACTIONS)]
    )
    found["table_kinds"] = whole_frequencies(rng.exponential(size=(CONTEXTS, MODES)))
    found["table_mask"] = whole_frequencies(rng.exponential(size=(MASK_CLASSES, 2)))
    return found


@lru_cache(maxsize=16)
def prior(channels: int = 6, seed: int = 0) -> Prior:
    """A small prior; each pair of channels and seed has a name and a hash of its own."""
    return Prior(prior_arrays(channels, seed=seed), f"{channels:032x}{seed:032x}", f"prior-{channels}-{seed}")


def under(of: Header, prior: Prior, units: int = 4) -> Header:
    """The header of a file that names this prior."""
    return replace(of, prior={"name": prior.name, "sha256": prior.sha256}, units=units)


def in_units(of: Header, made: list[Group], seed: int = 0) -> list[Group]:
    """Groups of whole steps as groups in units: each token is a delta to its last kept value or stands on a grid of its
    own, by chance.
    """
    rng = np.random.default_rng(seed)
    units = of.units
    found: list[Group] = []
    for group in made:
        if group.key:
            behind = made[len(found) + 1 :]
            segment = [group, *takewhile(lambda later: not later.key, behind)]
            world = Box.around(one.view.window for one in segment)
            all_kept, all_held = np.zeros((*world.shape, of.channels), np.int32), np.zeros(world.shape, np.uint8)
            all_seen = np.zeros(world.shape, bool)
        tokens, halvings, row = [], [], 0
        at = group.view.window.inside(world)
        kept, held, seen = all_kept[at], all_held[at], all_seen[at]
        for mask in group.mask:
            count = int(mask.sum())
            wanted = np.rint(
                group.tokens[row : row + count] * units + rng.uniform(-units / 2, units / 2, (count, of.channels))
            )
            row += count
            finer = rng.integers(0, units.bit_length(), count).astype(np.uint8)
            delta = (rng.random(count) < 0.6) & seen[mask]
            finer[delta] = held[mask][delta]
            step = np.where(delta, units, units >> finer.astype(np.int32))[:, None]
            anchor = np.where(delta[:, None], kept[mask], 0)
            steps = np.rint((wanted - anchor) / step).astype(np.int32)
            values = anchor + step * np.clip(steps, -((anchor - SYMBOL_MIN) // step), (SYMBOL_MAX - anchor) // step)
            kept[mask], held[mask], seen[mask] = values, finer, True
            tokens.append(values.astype(np.int32))
            halvings.append(finer)
        found.append(replace(group, tokens=np.concatenate(tokens), halvings=np.concatenate(halvings)))
    return found


def content(of: Header, group: Group) -> GroupContent:
    """What a coder of such a file takes of a group."""
    scale = StepScale(of.step_scale, group.step_adjust)
    return GroupContent(group.mask, group.tokens, group.halvings, group.key, scale, group.view)


def shape(of: Header, group: Group) -> GroupShape:
    """What is claimed of a group before it is decoded."""
    scale = StepScale(of.step_scale, group.step_adjust)
    return GroupShape(group.view, len(group.tokens), group.key, scale)


def audio(place: int) -> AudioChunk:
    """A chunk of two packets."""
    packets = (AudioPacketBytes(place, place - 1, 1024, 1, b"abc" * place), AudioPacketBytes(None, None, 0, 0, b""))
    return AudioChunk(place % 2, packets)


def written(
    of: Header,
    made: list[Group],
    sound: bool = True,
    prior: Prior | None = None,
    coding: str = "context",
    attachments: Iterable[Attachment] = (),
) -> bytes:
    """The file of some groups, with an audio chunk before each, and attachments behind them."""
    out = io.BytesIO()
    with Writer(out, of, prior, coding) as writer:
        for group in made:
            if sound:
                writer.write_audio(audio(group.index + 1))
            writer.write_group(group)
        for attachment in attachments:
            writer.write_attachment(attachment)
    return out.getvalue()


def reader_under(data: bytes, prior: Prior) -> Reader:
    """A reader that has this prior at hand."""

    def find(name: str, sha256: str) -> Prior:
        assert (name, sha256) == (prior.name, prior.sha256)
        return prior

    return Reader(io.BytesIO(data), find_prior=find)


def same_group(left: Group, right: Group) -> bool:
    """Whether two groups agree in everything, floats bit by bit."""
    return (
        (left.index, left.key, left.first_frame, left.fill) == (right.index, right.key, right.first_frame, right.fill)
        and left.step_adjust == right.step_adjust
        and left.pts.tolist() == right.pts.tolist()
        and left.mask.tolist() == right.mask.tolist()
        and left.tokens.dtype == right.tokens.dtype
        and left.tokens.shape == right.tokens.shape
        and left.tokens.tobytes() == right.tokens.tobytes()
        and (left.halvings is None) == (right.halvings is None)
        and (left.halvings is None or left.halvings.tolist() == right.halvings.tolist())
        and (left.offsets is None) == (right.offsets is None)
        and (left.offsets is None or left.offsets.tolist() == right.offsets.tolist())
        and left.view.window == right.view.window
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
