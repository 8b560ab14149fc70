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
from latcomp.container.content import decode_content, encode_content
from latcomp.container.layout_prior import FrameCoder, PriorState, contexts_of, kinds_of, table_symbols
from latcomp.container.segment import SegmentState
from latcomp.container.steps import log_step_of
from latcomp.container.tokens import encode_tokens
from latcomp.container.zstd import compress
from latcomp.errors import UsageError

QUALITIES = (3.0, 5.0, 7.0)


@dataclass(frozen=True)
class CodingRow:
    """One clip at one quality; sizes in bytes, speeds in million values a second."""

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
    decode_speed: float


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
    prior = models.load_prior(prior_folder)
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
    )


def _octaves(group: Group) -> np.ndarray:
    return np.zeros(len(group.tokens), np.uint8) if group.octaves is None else group.octaves


def _by_zstd(groups: Sequence[Group], header: Header, prior: Prior) -> int:
    state, total = SegmentState(header, prior, "zstd"), 0
    for group in groups:
        if group.key:
            state = SegmentState(header, prior, "zstd")
        total += len(encode_tokens(group.tokens, group.octaves, group.mask, group.key, state, group.step_adjust)[1])
    return total


def _by_prior(groups: Sequence[Group], header: Header, prior: Prior) -> tuple[int, tuple[float, float]]:
    """(bytes of the tokens, (encoding, decoding) million values a second, masks included); what is read must be what
    was written.
    """
    state = again = SegmentState(header, prior)
    total, seconds, values = 0, [0.0, 0.0], 0
    for group in groups:
        if group.key:
            state, again = (SegmentState(header, prior) for _ in range(2))
        began = time.perf_counter()
        coding, mask_data, layout, data = encode_content(
            group.mask, group.tokens, group.octaves, group.key, state, group.step_adjust
        )
        between = time.perf_counter()
        mask, tokens, _ = decode_content(
            coding, mask_data, layout, data, group.mask.shape, len(group.tokens), group.key, again, group.step_adjust
        )
        seconds[1] += time.perf_counter() - between
        seconds[0] += between - began
        if not (np.array_equal(tokens, group.tokens) and np.array_equal(mask, group.mask)):
            raise ValueError("decoded masks and tokens are not the encoded ones")
        total += len(data)
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
    state = PriorState.start(*header.grid, header.channels)
    octaves_most = header.units.bit_length() - 1
    predicted: list[np.ndarray] = []
    held: list[np.ndarray] = []
    for group in groups:
        if group.key:
            state.reset()
        row = 0
        for frame in group.mask.reshape(len(group.mask), -1):
            places = np.flatnonzero(frame)
            values, finer = (a[row : row + len(places)] for a in (group.tokens, _octaves(group)))
            row += len(places)
            if len(places):
                kinds = kinds_of(values, finer, state.kept[places], state.octaves[places], state.first, header.units)
                log_step = log_step_of(header.step_scale) + (group.step_adjust >> 1)
                coder = FrameCoder(prior, state, frame, kinds, log_step, octaves_most)
                for parts, nearest, fraction, scale in coder.passes():
                    multiples = coder.multiples_of(parts, values)
                    _, off, _ = table_symbols(multiples, nearest, fraction, scale)
                    predicted.append(_pairs(contexts_of(fraction, scale), off))
                    distance = [
                        (values[p.rows, p.channels] - coder.own[p.rows, p.channels])
                        >> (octaves_most - coder.octaves[p.rows])
                        for p in parts
                    ]
                    held.append(_pairs(scale.astype(np.uint8), np.concatenate([d.reshape(-1) for d in distance])))
                    coder.put(parts, multiples)
            state.move_on(places, values, finer)
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
