"""The weights of a group's predictions: least squares on a sample of its tokens. Only the writer runs this; the file
holds the result.
"""

from __future__ import annotations

import numpy as np

from latcomp.container.coding.context.predictor import SIZE_TERMS, VALUE_TERMS, Known, Weights, band_of, predict

SAMPLE_SYMBOLS = 300_000  # of a group; more changes the weights by less than their rounding
VALUE_UNIT, SIZE_UNIT = 16, 32
USUAL_UNIT = 64
USUAL_MAX = 65535
RIDGE = 1e-3  # keeps terms that say the same from taking huge weights of opposite sign

Sample = tuple[Known, np.ndarray]
"""What is known of some tokens, and their symbols (n, C)."""


def _solve(terms: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """(k,) least squares weights of terms (k, n) for wanted (n,); terms that are all zero get 0."""
    weights = np.zeros(len(terms))
    used = terms.any(axis=1)
    if used.any():
        chosen = terms[used]
        square = (chosen @ chosen.T).astype(np.float64)
        square += np.eye(len(square)) * (RIDGE * np.trace(square) / len(square))
        weights[used] = np.linalg.solve(square, (chosen @ wanted).astype(np.float64))
    return weights


def _rounded(weights: np.ndarray, unit: int) -> np.ndarray:
    found: np.ndarray = np.clip(np.rint(weights * unit), -128, 127).astype(np.int8)
    return found


def _stack(samples: list[Sample], terms: list[list[np.ndarray | None]]) -> list[np.ndarray]:
    """Each term of all samples, (n, C) float32."""
    stacked = []
    for place in range(len(terms[0])):
        parts = []
        for found, (_, symbols) in zip(terms, samples, strict=True):
            term = found[place]
            parts.append(np.zeros(symbols.shape, np.int32) if term is None else term)
        stacked.append(np.concatenate(parts).astype(np.float32) / 64)
    return stacked


def fit(samples: dict[int, list[Sample]], channels: int) -> tuple[dict[int, Weights], np.ndarray]:
    """(weights by set, usual sizes (C,) uint16 in 1/64) for samples by weight set.

    Errors are weighed by the channel's size, so that a channel of small numbers counts as much as one of large ones.
    """
    bands = np.array([band_of(channel) for channel in range(channels)])
    symbols = {number: np.concatenate([found for _, found in of_set]) for number, of_set in samples.items()}
    size = sum(np.abs(found).sum(axis=0) for found in symbols.values()) / sum(len(found) for found in symbols.values())
    scale = (1 / np.maximum(size, 1e-3)).astype(np.float32)
    value_weights = {}
    for number, of_set in samples.items():
        terms = _stack(of_set, [known.value_terms() for known, _ in of_set])
        found = np.zeros((bands[-1] + 1, VALUE_TERMS))
        for band in range(len(found)):
            mine = bands == band
            wanted = (symbols[number][:, mine] * scale[mine]).reshape(-1)
            found[band] = _solve(np.stack([(term[:, mine] * scale[mine]).reshape(-1) for term in terms]), wanted)
        value_weights[number] = _rounded(found, VALUE_UNIT)

    errors, doubts = {}, {}
    for number, of_set in samples.items():
        weights = Weights(value_weights[number], np.zeros(SIZE_TERMS, np.int8)).by_channel(channels)
        predicted = [predict(known, weights) for known, _ in of_set]
        errors[number] = np.abs(symbols[number] - np.concatenate([value for value, _ in predicted]))
        doubts[number] = np.concatenate([np.abs(doubt) for _, doubt in predicted])
    usual = sum(found.sum(axis=0) for found in errors.values()) / sum(len(found) for found in errors.values())
    usual = np.clip(np.rint(usual * USUAL_UNIT), 1, USUAL_MAX).astype(np.uint16)

    scale = (1 / np.maximum(usual / np.float32(USUAL_UNIT), 0.05)).astype(np.float32)
    found_weights = {}
    for number, of_set in samples.items():
        terms = _stack(of_set, [known.size_terms() for known, _ in of_set])
        terms.insert(0, np.broadcast_to(usual / np.float32(USUAL_UNIT), errors[number].shape))
        terms.append(doubts[number].astype(np.float32) / 1024)
        solved = _solve(np.stack([(term * scale).reshape(-1) for term in terms]), (errors[number] * scale).reshape(-1))
        found_weights[number] = Weights(value_weights[number], _rounded(solved, SIZE_UNIT))
    return found_weights, usual
