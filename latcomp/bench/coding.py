"""How many bytes the same tokens and masks take under each way of coding them, and how fast: clip by clip, quality by
quality.
"""

from __future__ import annotations

import io
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from latcomp import models
from latcomp.codec.encode import encode
from latcomp.container import Group, Header, Prior, Reader
from latcomp.container.coding import GroupContent, GroupShape, coder_for
from latcomp.container.coding.prior.frame_code import past_of
from latcomp.container.coding.prior.frame_coder import FrameCoder
from latcomp.container.coding.prior.modes import modes_of
from latcomp.container.zstd import compress
from latcomp.devices import pick_device
from latcomp.errors import UsageError
from latcomp.kernels import fastest
from latcomp.latents import StepScale, TokenMemory, frames_of_tokens

QUALITIES = (3.0, 5.0, 7.0)


@dataclass(frozen=True)
class CodingRow:
    """One clip at one quality; sizes in bytes, speeds in million values per second."""

    clip: str
    quality: float
    keep_ratio: float
    values: int
    """Kept tokens times channels."""
    tokens_zstd: int
    """Planes of whole steps or of their changes, whichever is smaller in each group, zstd at level 19."""
    tokens_prior: int
    tokens_order0: int
    """Entropy of each channel's whole steps on their own."""
    ideal_predicted: int
    """Entropy of the distances to the prior's means under its scale classes, counted on the clip itself."""
    ideal_held: int
    """The same for the distances to the last kept values: what prediction saves is the difference."""
    mask_packed: int
    """Packed bits under zstd at level 19."""
    mask_prior: int
    encode_speed: float
    """Of the coding alone, masks included, of tokens that are chosen and rounded already."""
    decode_speed: float
    kernels: str = ""
    """What the prior multiplied with."""


def measure(
    path: Path,
    quality: float,
    tokenizer: str | Path | None = None,
    device: str = "auto",
    duration_seconds: float | None = None,
) -> CodingRow:
    """One row, of the whole clip or its first seconds. Raises `UsageError` for a tokenizer without a prior."""
    folder = models.find_tokenizer(tokenizer)
    prior_folder = models.find_prior(folder)
    if prior_folder is None:
        raise UsageError(f"tokenizer {folder.name} has no prior: train one with latcomp train prior")
    prior = models.load_prior(prior_folder, fastest(str(pick_device(device))))
    file = io.BytesIO()
    stats = encode(
        path, file, quality=quality, audio=False, tokenizer=tokenizer, device=device, duration_seconds=duration_seconds
    ).stats
    file.seek(0)
    reader = Reader(file, find_prior=models.prior_finder(folder))
    header = reader.header
    groups = [item for item in reader if isinstance(item, Group)]
    sizes, speeds = _by_prior(groups, header, prior)
    ideal = _ideals(groups, header, prior)
    return CodingRow(
        path.stem,
        quality,
        stats["keep_ratio"],
        sum(group.tokens.size for group in groups),
        _by_zstd(groups, header, prior),
        sizes,
        _order0(groups, header.units),
        *ideal,
        sum(len(compress(np.packbits(group.mask).tobytes())) for group in groups),
        stats["bytes_mask"],
        *speeds,
        prior.kernels.name,
    )


def _content(group: Group, header: Header) -> GroupContent:
    scale = StepScale(header.step_scale, group.step_adjust)
    return GroupContent(group.mask, group.tokens, group.halvings, group.key, scale, group.view)


def _by_zstd(groups: Sequence[Group], header: Header, prior: Prior) -> int:
    coder, total = coder_for(header, prior, "zstd"), 0
    for group in groups:
        if group.key:
            coder = coder_for(header, prior, "zstd")
        total += len(coder.encode(_content(group, header)).tokens)
    return total


def _by_prior(groups: Sequence[Group], header: Header, prior: Prior) -> tuple[int, tuple[float, float]]:
    """(bytes of the tokens, (encoding, decoding) million values per second, masks included); what is read must be what
    was written.
    """
    coder = again = coder_for(header, prior)
    total, seconds, values = 0, [0.0, 0.0], 0
    for group in groups:
        if group.key:
            coder, again = (coder_for(header, prior) for _ in range(2))
        content = _content(group, header)
        began = time.perf_counter()
        data = coder.encode(content)
        between = time.perf_counter()
        shape = GroupShape(group.view, len(group.tokens), group.key, content.scale)
        found = again.decode(data, shape)
        seconds[1] += time.perf_counter() - between
        seconds[0] += between - began
        if not (np.array_equal(found.tokens, group.tokens) and np.array_equal(found.mask, group.mask)):
            raise ValueError("decoded masks and tokens are not the encoded ones")
        total += len(data.tokens)
        values += group.tokens.size
    return total, (values / 1e6 / max(seconds[0], 1e-9), values / 1e6 / max(seconds[1], 1e-9))


def _order0(groups: Sequence[Group], units: int) -> int:
    tokens = np.concatenate([group.tokens for group in groups]) // units
    bits = sum(_entropy(np.unique(column, return_counts=True)[1]) for column in tokens.T)
    return int(bits / 8)


def _entropy(counts: np.ndarray) -> float:
    """Bits of all values that were counted, under their own frequencies."""
    counts = counts[counts > 0].astype(np.float64)
    return float(-(counts * np.log2(counts / counts.sum())).sum())


def _ideals(groups: Sequence[Group], header: Header, prior: Prior) -> tuple[int, int]:
    """(bytes around the prior's means, bytes around the last kept values), each under scale classes and fractions
    counted here.
    """
    memory = TokenMemory.start(header.grid, header.channels)
    predicted: list[np.ndarray] = []
    held: list[np.ndarray] = []
    for group in groups:
        if group.key:
            memory.reset()
        log_step = StepScale(header.step_scale, group.step_adjust).log_step
        halvings = np.zeros(len(group.tokens), np.uint8) if group.halvings is None else group.halvings
        for frame in frames_of_tokens(group.mask, group.view):
            memory.look(frame.view)
            values, finer = group.tokens[frame.rows], halvings[frame.rows]
            if len(frame.places):
                modes = modes_of(values, finer, memory, frame.places, header.units)
                past = past_of(prior, memory)
                coder = FrameCoder(prior, memory, past, frame.mask, modes, log_step, header.units)
                for one in coder.passes():
                    steps = one.steps_of(values)
                    predicted.append(_pairs(one.contexts, one.table_symbols(steps)[1]))
                    distance = (one.values_of(values) - one.own) >> one.shift
                    held.append(_pairs(one.scale.astype(np.uint8), distance))
                    one.put(steps)
            memory.advance(frame.places, values, finer)
    in_bytes = [int(_conditional(np.concatenate(found)) / 8) if found else 0 for found in (predicted, held)]
    return in_bytes[0], in_bytes[1]


def _pairs(contexts: np.ndarray, values: np.ndarray) -> np.ndarray:
    found: np.ndarray = contexts.astype(np.int64) * (1 << 20) + np.clip(values, -(1 << 18), 1 << 18) + (1 << 19)
    return found


def _conditional(pairs: np.ndarray) -> float:
    """Bits of values given their contexts, under frequencies counted on them."""
    found, counts = np.unique(pairs, return_counts=True)
    contexts = found >> 20
    starts = np.flatnonzero(np.append(True, contexts[1:] != contexts[:-1]))
    return sum(_entropy(part) for part in np.split(counts, starts[1:]))


def bench_coding(
    clips: Sequence[Path],
    qualities: Sequence[float] = QUALITIES,
    tokenizer: str | Path | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """`{"rows": [...], "mean": [...]}`: a row for each clip and quality; the means give each saving as the mean of the
    clips' ratios.
    """
    rows = [measure(clip, quality, tokenizer, device) for clip in clips for quality in qualities]
    means = []
    for quality in qualities:
        same = [row for row in rows if row.quality == quality]
        means.append({"quality": quality} | savings(same))
    return {"rows": [asdict(row) for row in rows], "mean": means, "mean_of_all": savings(rows)}


def savings(rows: Sequence[CodingRow]) -> dict[str, float]:
    """Means over rows: percent of bytes saved against the rival of each kind, and speeds."""

    def saved(ours: str, theirs: str) -> float:
        return float(np.mean([100 * (1 - getattr(row, ours) / max(getattr(row, theirs), 1)) for row in rows]))

    return {
        "tokens_saved_percent": saved("tokens_prior", "tokens_zstd"),
        "prediction_saved_percent": saved("ideal_predicted", "ideal_held"),
        "mask_saved_percent": saved("mask_prior", "mask_packed"),
        "encode_speed": float(np.mean([row.encode_speed for row in rows])),
        "decode_speed": float(np.mean([row.decode_speed for row in rows])),
    }
