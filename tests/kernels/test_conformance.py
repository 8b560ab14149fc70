"""Protects: every way of multiplying whole numbers gives the reference's integers, and the reference those it gave."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
import torch

from latcomp.errors import UsageError
from latcomp.kernels import FLOATS, REFERENCE, Kernels, conforms
from latcomp.kernels.int_mm import LEAST_ROWS, IntMm
from latcomp.kernels.onednn import OneDnn

OTHERS: list[Kernels] = [FLOATS, OneDnn(), IntMm("cpu")]
WAYS = pytest.mark.parametrize("kernels", OTHERS, ids=lambda one: str(one.name))
Layers = tuple[np.ndarray, np.ndarray, np.ndarray]


def drawn(seed: int) -> Layers:
    """(activations, weights, biases) of odd shapes; weights all along their range, or few and large."""
    rng = np.random.default_rng(seed)
    rows, inputs, outputs = int(rng.integers(1, 90)), int(rng.integers(1, 700)), int(rng.integers(1, 140))
    x = rng.integers(0, 128, (rows, inputs)).astype(np.uint8)
    weight = rng.integers(-127, 128, (inputs, outputs)).astype(np.int8)
    if seed % 3 == 0:
        weight = np.where(rng.random(weight.shape) < 0.9, 0, weight).astype(np.int8)
    bias = rng.integers(-(2 ** int(rng.integers(1, 23))), 2 ** int(rng.integers(1, 23)), outputs).astype(np.int32)
    return x, weight, bias


def same(kernels: Kernels, layer: Layers) -> bool:
    x, weight, bias = layer
    known, found = REFERENCE.layer(weight, bias), kernels.layer(weight, bias)
    sums, activations = found.sums(x), found.activations(x)
    assert activations.dtype == np.uint8 and sums.dtype in (np.int32, np.float32)
    return np.array_equal(sums, known.sums(x)) and np.array_equal(activations, known.activations(x))


@WAYS
def test_random_layers(kernels: Kernels) -> None:
    assert all(same(kernels, drawn(seed)) for seed in range(24))


@WAYS
@pytest.mark.parametrize("sign", [-1, 1])
@pytest.mark.parametrize("inputs", [2, 64, 561, 1100])
def test_the_largest_sums(kernels: Kernels, inputs: int, sign: int) -> None:
    """Pairs of products would be cut off at 16 bits were they larger, floats rounded from 2**24 on (1041 inputs)."""
    x = np.full((33, inputs), 127, np.uint8)
    weight = np.full((inputs, 17), sign * 127, np.int8)
    for bias in (0, -sign * (inputs * 127 * 127 - 16_000), 2**23, -(2**23) - 1):
        assert same(kernels, (x, weight, np.full(17, bias, np.int32)))


@WAYS
def test_sums_between_two_activations_go_up(kernels: Kernels) -> None:
    """Halves too, to even and to odd activations: libraries round them to the even one."""
    weight = np.array([[1, 2, 4, 127]], np.int8)
    x = np.arange(128, dtype=np.uint8)[:, None]
    for whole in range(-2, 130):
        assert same(kernels, (x, weight, np.full(4, 256 * whole + 1, np.int32)))
    known = REFERENCE.layer(np.ones((1, 1), np.int8), np.array([1], np.int32)).activations(x)
    assert known[126:].tolist() == [[0], [1]]


@WAYS
def test_parts_of_arrays_and_no_rows(kernels: Kernels) -> None:
    x, weight, bias = drawn(5)
    layer = kernels.layer(weight[:, ::2], bias[::2])
    known = REFERENCE.layer(weight[:, ::2], bias[::2])
    assert np.array_equal(layer.activations(x[::3]), known.activations(x[::3]))
    wide = np.concatenate([x, x], axis=1)[:, : x.shape[1]]
    assert np.array_equal(layer.sums(wide), known.sums(x))
    assert layer.activations(x[:0]).shape == layer.sums(x[:0]).shape == (0, len(bias[::2]))


@WAYS
@pytest.mark.parametrize("rows", [1, LEAST_ROWS, LEAST_ROWS + 1, 24, 25])
@pytest.mark.parametrize("inputs, outputs", [(1, 1), (8, 8), (9, 7), (560, 48)])
def test_sizes_that_are_padded(kernels: Kernels, rows: int, inputs: int, outputs: int) -> None:
    """GPUs take more than 16 rows, and columns by eights."""
    rng = np.random.default_rng(rows)
    x = rng.integers(0, 128, (rows, inputs)).astype(np.uint8)
    weight = rng.integers(-127, 128, (inputs, outputs)).astype(np.int8)
    assert same(kernels, (x, weight, rng.integers(-9999, 9999, outputs).astype(np.int32)))


@WAYS
def test_threads_do_not_matter(kernels: Kernels) -> None:
    before = torch.get_num_threads()
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            assert same(kernels, drawn(7))
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("kernels", [REFERENCE, *OTHERS], ids=lambda one: str(one.name))
def test_golden(kernels: Kernels) -> None:
    """What files were written with: these very integers."""
    index = np.arange(60 * 300).reshape(60, 300)
    x = (index * 2654435761 >> 7 & 127).astype(np.uint8)
    weight = ((np.arange(300 * 20).reshape(300, 20) * 40503 >> 3) % 255 - 127).astype(np.int8)
    layer = kernels.layer(weight, (np.arange(20) * 7919 % 40_000 - 20_000).astype(np.int32))
    found = layer.activations(x).tobytes() + layer.sums(x).astype("<i4").tobytes()
    assert hashlib.sha256(found).hexdigest()[:16] == "aaf09d60193283ad"


@WAYS
def test_all_of_them_conform(kernels: Kernels) -> None:
    assert conforms(kernels)


@pytest.mark.parametrize("kernels", [REFERENCE, *OTHERS], ids=lambda one: str(one.name))
def test_what_no_layer_takes(kernels: Kernels) -> None:
    weight, bias = np.ones((4, 3), np.int8), np.zeros(3, np.int32)
    for wrong in (
        (weight.astype(np.int16), bias),
        (weight, bias.astype(np.int64)),
        (weight, bias[:2]),
        (weight - np.int8(127) - np.int8(2), bias),
        (weight, bias + np.int32(2**31 - 300)),
    ):
        with pytest.raises(UsageError, match="layer"):
            kernels.layer(*wrong)
