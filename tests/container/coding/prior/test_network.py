"""The prior's sums are whole numbers, the same on every machine, and stay within what is written of them."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from latcomp.container import SYMBOL_MAX, SYMBOL_MIN, Prior
from latcomp.container.coding.prior.estimates import on_grid, parameters_of
from latcomp.container.coding.prior.neighbourhood import PASSES, group_of
from latcomp.container.coding.prior.network import (
    ACTIVATION_MAX,
    FACTS,
    MASK_CLASSES,
    MASK_FACTS,
    SCALES,
    Past,
    squash,
    squash_table,
)
from latcomp.kernels import FLOATS, Kernels, fastest, neighbours
from tests.container.make import prior, prior_arrays


def test_no_distance_passes_the_escapes() -> None:
    """Whatever the network says and whatever was kept, the mean stays within 16 bits, so every distance fits its
    escape.
    """
    rng = np.random.default_rng(0)
    count = 4000
    sums = rng.choice([-(2**24) + 1, -100_000, 0, 100_000, 2**24 - 1], (4, count, 3)).astype(np.int32)
    kept = rng.choice([SYMBOL_MIN, 0, SYMBOL_MAX], (count, 3)).astype(np.int32)
    beside = rng.choice([8 * (SYMBOL_MIN - SYMBOL_MAX), 0, 8 * (SYMBOL_MAX - SYMBOL_MIN)], (count, 3)).astype(np.int32)
    mean, scale = parameters_of(sums, kept, beside)
    assert (
        mean.min() >= 16 * SYMBOL_MIN
        and mean.max() <= 16 * SYMBOL_MAX
        and scale.min() == 0
        and scale.max() == SCALES - 1
    )
    for units_log2 in range(3):
        for halvings in range(units_log2 + 1):
            step = 1 << (units_log2 - halvings)
            finer = np.full((count, 1), halvings, np.int32)
            for anchor in (np.zeros_like(kept), kept) if halvings == 0 else (np.zeros_like(kept),):
                nearest, fraction, _ = on_grid(mean, scale, anchor, finer, units_log2)
                assert np.abs(fraction).max() <= 4
                for value in (SYMBOL_MIN, SYMBOL_MAX):
                    assert np.abs((value - anchor) // step - nearest).max() < 1 << 17


def test_squash() -> None:
    """Activations of symbols rise with them, are odd, and are 16 an octave of 1 + m / 4, to the last unit."""
    exact = [min(round(16 * np.log2(1 + size / 4)), ACTIVATION_MAX) for size in range(4096)]
    distance = np.abs(16 * np.log2(1 + np.arange(4096) / 4) % 1 - 0.5).min()
    assert distance > 1e-9  # no machine's logarithm can round another way
    assert squash_table().tolist() == exact
    symbols = np.array([-(2**15), -4096, -4095, -1, 0, 1, 5, 4095, 4096, 2**15 - 1, 2**17], np.int32)
    above, below = squash(symbols).view(np.uint8).reshape(-1, 2).T.tolist()
    assert above == [exact[min(max(v, 0), 4095)] for v in symbols.tolist()]
    assert below == [exact[min(max(-v, 0), 4095)] for v in symbols.tolist()]


def signed(symbols: np.ndarray) -> np.ndarray:
    """int64 activations -127 to 127 of symbols."""
    pairs = squash(symbols).view(np.uint8).reshape(*symbols.shape, 2).astype(np.int64)
    found: np.ndarray = pairs[..., 0] - pairs[..., 1]
    return found


def whole_relu(sums: np.ndarray) -> np.ndarray:
    return np.clip((sums + 128) >> 8, 0, ACTIVATION_MAX)


def near_centre(sums: np.ndarray) -> np.ndarray:
    """Biases that bring sums into the middle of the activations, where each unit of a sum tells."""
    return (64 * 256 - np.rint(sums.mean(0))).astype(np.int32)


@pytest.mark.parametrize("kernels", sorted({FLOATS, fastest()}, key=str), ids=lambda one: str(one.name))
@pytest.mark.parametrize("signs", ["all 127", "mixed"])
def test_products_are_exact(signs: str, kernels: Kernels) -> None:
    """With the largest weights and activations at the sizes in use (channels 96, embed 64, width 128, known 48, mask 64
    and 32), all kernels give what whole numbers give, and even the largest sums stay below 2**24."""
    channels, embed, width, known, mask_width, count = 96, 64, 128, 48, 64, 500
    rng = np.random.default_rng(0)
    arrays = prior_arrays(channels, embed, width, known, mask_width, 32)
    for name, value in arrays.items():
        if value.dtype == np.int8:
            arrays[name] = (
                np.full_like(value, 127) if signs == "all 127" else rng.choice([-127, 127], value.shape).astype(np.int8)
            )
    whole = {name: value.astype(np.int64) for name, value in arrays.items()}
    most, inputs = (
        ACTIVATION_MAX * 127,
        (9 * embed + channels + MASK_FACTS, 2 * channels, 9 * known + width, 50 + mask_width),
    )
    assert most * max(inputs) + 256 < 2**24

    symbols = rng.integers(900, 32767, (2, count + 1, channels), np.int32)  # activations from 125 to 127
    large = rng.integers(ACTIVATION_MAX - 2, ACTIVATION_MAX + 1, (count + 1, 1024)).astype(np.int64)
    around = rng.integers(0, count + 1, (count, 9))
    values = signed(symbols)

    sums = np.concatenate([values[0], values[1]], 1) @ whole["embed"]
    arrays["embed_bias"] = near_centre(sums)
    own = values[0][:count] @ whole["own"]
    near = large[:, :embed][around].reshape(count, -1) @ whole["near"]
    facts = large[:count, :FACTS] @ whole["facts"]
    arrays["trunk_bias"] = near_centre(own + near + facts)
    embedded = whole_relu(sums + arrays["embed_bias"])
    embedded[-1] = 0
    sums = embedded[around].reshape(count, -1) @ whole["spread"]
    arrays["spread_bias"] = near_centre(sums)
    past = np.append(whole_relu(sums + arrays["spread_bias"]), np.zeros((1, embed), np.int64), 0)
    trunk = whole_relu(own + near + facts + arrays["trunk_bias"])
    hiddens = []
    for number in range(PASSES):
        sums = values[0] @ whole[f"known{number}"]
        arrays[f"known{number}_bias"] = near_centre(sums)
        messages = whole_relu(sums + arrays[f"known{number}_bias"])
        messages[-1] = 0
        sums = messages[around].reshape(count, -1) @ whole[f"beside{number}"] + trunk @ whole[f"down{number}"]
        arrays[f"down{number}_bias"] = near_centre(sums)
        hiddens.append(whole_relu(sums + arrays[f"down{number}_bias"]))

    near = large[:, :embed][around].reshape(count, -1) @ whole["mask_near"]
    sums = near + values[0][:count] @ whole["mask_own"] + large[:count, :MASK_FACTS] @ whole["mask_facts"]
    arrays["mask_trunk_bias"] = near_centre(sums)
    mask_trunk = whole_relu(sums + arrays["mask_trunk_bias"])
    bits = large[:count, :50]
    sums = bits @ whole["mask_beside"][2] + mask_trunk @ whole["mask_down"][2]
    arrays["mask_down_bias"][2] = near_centre(sums)
    hidden = whole_relu(sums + arrays["mask_down_bias"][2])
    odds = hidden @ whole["mask_leave"][2]
    arrays["mask_leave_bias"][2] = -int(odds.mean())
    classes = np.clip(((odds + arrays["mask_leave_bias"][2] + 256) >> 9) + 32, 0, MASK_CLASSES - 1)

    by = Prior(arrays, "", "", kernels=kernels)
    found = by.past(symbols[0], symbols[1], around)
    assert (found.around == past).all() and past.std() > 1
    assert (found.kept == squash(symbols[0]).view(np.uint8)).all()
    small = large.astype(np.uint8)
    given = Past(np.ascontiguousarray(small[:, :embed]), found.kept)
    found = by.trunk(given, around, np.arange(count), small[:count, :FACTS])
    assert (found == trunk).all() and trunk.std() > 1 and embedded.std() > 1
    found = by.mask_trunk(given, around, small[:count, :MASK_FACTS])
    assert (found == mask_trunk).all() and mask_trunk.std() > 1
    assert (by.mask_classes(2, found, small[:count, :50]) == classes).all() and classes.std() > 1
    inner = np.arange(9) + 9 * np.arange(count // 9)[:, None]  # all nine places are positions
    nothing, first = np.zeros((0, 2 * channels), np.uint8), trunk[: len(inner)].astype(np.uint8)
    silence = by.messages(0, np.arange(0), nothing, count)
    assert (by.first_head(first) == by.head(0, neighbours(silence, inner, first))).all()
    for number, hidden in enumerate(hiddens):
        assert hidden.std() > 1
        messages = by.messages(number, np.arange(count), squash(symbols[0][:count]).view(np.uint8), count)
        assert (by.head(number, neighbours(messages, around, trunk.astype(np.uint8))) == hidden).all()
        for phase in range(4):
            channels_now = slice(group_of(phase, number), None, PASSES)
            weights, bias = whole[f"leave{number}"][:, :, channels_now], whole[f"leave{number}_bias"][:, channels_now]
            sums = np.einsum("nw,wpc->npc", hidden, weights) + bias
            assert (by.outputs(number, phase, hidden.astype(np.uint8)) == sums).all()


SCRIPT = """
import hashlib
import numpy as np
from latcomp.container import Prior
from tests.container.make import groups, in_units, prior_arrays, sized, under, written
by = Prior(prior_arrays(96, 64, 128, 48, 64, 32), "ab" * 32, "large")
of = under(sized(20, 31, 96, group_latent_frames=2), by)
print(hashlib.sha256(written(of, in_units(of, groups(of, 1)), prior=by)).hexdigest())
"""


def test_threads_do_not_matter() -> None:
    """The same bytes with one thread and with two, at the sizes in use."""
    found = set()
    for threads in "12":
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        found.add(
            subprocess.run(
                [sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, env=environment
            ).stdout
        )
    assert len(found) == 1 and len(found.pop()) == 65


def test_bits_of_values_are_those_of_the_tables() -> None:
    """What rounding by cost weighs is what the range coder will take; an escape costs what follows it as well."""
    by = prior()
    for row, table in zip(by.value_bits, by.value_tables.frequencies, strict=True):
        assert np.exp2(-row[: len(table) - 1].astype(float)).sum() == pytest.approx(1 - table[-1] / 2**24, abs=1e-4)
        assert row[len(table) - 1] == pytest.approx(24 - np.log2(float(table[-1])) + 18, abs=1e-4)
