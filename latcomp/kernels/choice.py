"""Which way of multiplying whole numbers is the fastest here: measured, among those that give what the reference gives.

Both are found out by trying: a library may lack an operator, may have cut off sums of 16 bits on processors that
multiply bytes in pairs, or may take one product after the other where a processor has no instruction for them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from functools import lru_cache

import numpy as np

from latcomp.kernels.floats import FLOATS
from latcomp.kernels.int_mm import IntMm
from latcomp.kernels.layer import ACTIVATION_MAX, WEIGHT_MAX, Kernels
from latcomp.kernels.onednn import OneDnn

SHAPES = ((40, 561, 33), (17, 192, 48), (1, 50, 1))  # rows, inputs, outputs of the products that are compared
RACE = 512, 560, 128  # of the one that is timed: a fraction of a latent frame at the sizes in use
ROUNDS = 6


def _products() -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """(activations, weights, biases) that tell a way that is not exact from one that is."""
    rng = np.random.default_rng(0)
    for rows, inputs, outputs in SHAPES:
        x = rng.integers(0, ACTIVATION_MAX + 1, (rows, inputs)).astype(np.uint8)
        weight = rng.integers(-WEIGHT_MAX, WEIGHT_MAX + 1, (inputs, outputs)).astype(np.int8)
        bias = rng.integers(-(1 << 14), 1 << 14, outputs).astype(np.int32)
        yield x, weight, bias
        first = np.zeros_like(weight)
        first[0] = 1
        # sums half way between two activations, and one below
        yield x & 1, first, (127 + 256 * rng.integers(0, ACTIVATION_MAX, outputs)).astype(np.int32)
        for sign in (-1, 1):  # the largest sums
            yield np.full_like(x, ACTIVATION_MAX), np.full_like(weight, sign * WEIGHT_MAX), -sign * bias
    yield _large()  # libraries have other ways for those


def conforms(kernels: Kernels) -> bool:
    """Whether kernels give the reference's integers, on random products and on the largest sums; False where they
    cannot be used at all.

    `FLOATS` say which those are: they are exact on every machine, and not as slow as the reference."""
    try:
        for x, weight, bias in _products():
            known, found = FLOATS.layer(weight, bias), kernels.layer(weight, bias)
            if not np.array_equal(known.sums(x), found.sums(x)):
                return False
            if not np.array_equal(known.activations(x), found.activations(x)):
                return False
        return True
    except (AttributeError, ImportError, NotImplementedError, RuntimeError, TypeError, ValueError):
        return False  # whatever a library raises for what it has not got


def _large() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(activations, weights, biases) of the product that is timed."""
    rows, inputs, outputs = RACE
    rng = np.random.default_rng(1)
    x = rng.integers(0, ACTIVATION_MAX + 1, (rows, inputs)).astype(np.uint8)
    weight = rng.integers(-WEIGHT_MAX, WEIGHT_MAX + 1, (inputs, outputs)).astype(np.int8)
    return x, weight, rng.integers(-(1 << 14), 1 << 14, outputs).astype(np.int32)


def seconds_of(able: Sequence[Kernels]) -> list[float]:
    """The least time of each in some rounds of a product, taken in turn: what else the machine does meets all alike."""
    x, weight, bias = _large()
    layers = [kernels.layer(weight, bias) for kernels in able]
    least = [math.inf] * len(able)
    for turn in range(ROUNDS + 1):
        for number, layer in enumerate(layers):
            began = time.perf_counter()
            layer.activations(x)
            if turn:  # the first prepares what is needed
                least[number] = min(least[number], time.perf_counter() - began)
    return least


@lru_cache(maxsize=8)
def fastest(device: str = "cpu") -> Kernels:
    """The fastest kernels for a device as PyTorch names it (`cpu`, `cuda:0`); found once a process. Imports torch."""
    able: list[Kernels] = [FLOATS]
    candidates: list[Kernels] = [OneDnn()]
    if device.startswith("cuda"):
        candidates.append(IntMm(device))
    able.extend(kernels for kernels in candidates if conforms(kernels))
    if len(able) == 1:
        return FLOATS
    seconds = seconds_of(able)
    return able[seconds.index(min(seconds))]
