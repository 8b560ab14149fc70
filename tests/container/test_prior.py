"""Files under a prior: what is written comes back, on every machine, and damage stays damage."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from latcomp.container.content import decode_content, encode_content
from latcomp.container.segment import SegmentState
from latcomp.container.tokens import decode_tokens, encode_tokens

from latcomp.container import SYMBOL_MAX, SYMBOL_MIN, Group, LostGroups, Prior, Reader, Writer, check, scan
from latcomp.container.coding.prior.frame_coder import FrameCoder, PriorState
from latcomp.container.coding.prior.masks import MaskField
from latcomp.container.coding.prior.network import (
    ACTIVATION_MAX,
    FACTS,
    MASK_CLASSES,
    MASK_FACTS,
    PASSES,
    SCALES,
    Neighbourhood,
    group_of,
    on_grid,
    parameters_of,
    squash,
    squash_table,
)
from latcomp.container.format import (
    GROUP_HEAD,
    LAYOUT_KIND_CHANGES,
    LAYOUT_KINDS,
    LAYOUT_PLANES,
    LAYOUT_PRIOR,
    MASK_ALL,
    MASK_PRIOR,
)
from latcomp.errors import DamagedFileError, LatcompError, UnsupportedFileError, UsageError
from tests.container.make import groups, in_units, prior, prior_arrays, reader_under, same_group, sized, under, written
from tests.container.test_damage import chunks
from tests.container.test_hostile import chunk
from tests.container.test_round_trip import any_groups

QUICK = settings(max_examples=40, deadline=None)
LAYOUTS = {"context": {LAYOUT_PRIOR}, "zstd": {LAYOUT_KINDS, LAYOUT_KIND_CHANGES}}


def heads(data: bytes) -> list[dict[str, int]]:
    """The head of every group."""
    return [GROUP_HEAD.unpack(found, 8) for found in chunks(data)[1] if found[:4] == b"GRUP"]


def assert_comes_back(of, made, by: Prior, coding: str = "context") -> bytes:
    data = written(of, made, sound=False, prior=by, coding=coding)
    reader = reader_under(data, by)
    back = list(reader)
    assert reader.header == of and not reader.damage
    assert len(back) == len(made) and all(map(same_group, made, back))
    assert {head["token_layout"] for head in heads(data)} <= LAYOUTS[coding]
    return data


@QUICK
@given(any_groups(), st.sampled_from([1, 2, 4]), st.integers(0, 3))
def test_any_mask_any_values_any_octaves(case, units: int, seed: int) -> None:
    """Masks, values up to the 16-bit bounds and octaves survive, and both codings give the same."""
    plain, made = case
    by = prior(plain.channels, seed)
    of = under(plain, by, units)
    made = in_units(of, made, seed)
    for coding in LAYOUTS:
        assert_comes_back(of, made, by, coding)


@pytest.mark.parametrize("units", [1, 2, 4])
@pytest.mark.parametrize("coding", LAYOUTS)
def test_steps_from_one_end_of_the_range_to_the_other(coding: str, units: int) -> None:
    """A token may go on from the smallest symbol to the largest: with one unit a step the change passes 16 bits, its
    values do not.
    """
    by = prior()
    of = under(sized(5, 6, 6), by, units)
    count = 5 * 6
    ends = (SYMBOL_MIN, SYMBOL_MIN + (SYMBOL_MAX - SYMBOL_MIN) // units * units)
    tokens = np.concatenate([np.full((count, 6), ends[t % 2], np.int32) for t in range(8)])
    made = replace(groups(of, 1, dense=True)[0], tokens=tokens, octaves=np.zeros(len(tokens), np.uint8))
    assert made.mask.shape == (8, 5, 6)
    assert_comes_back(of, [made], by, coding)


@pytest.mark.parametrize("coding", LAYOUTS)
def test_lifelike_file(coding: str) -> None:
    """A file of several segments survives with tokens of both kinds and all octaves; it is found intact, and scanned
    without the prior.
    """
    by = prior(10)
    of = under(sized(12, 17, 10), by)
    made = in_units(of, groups(of, 5, last_frames=5))
    octaves = np.concatenate([group.octaves for group in made])
    assert np.bincount(octaves, minlength=3).min() > 100
    data = assert_comes_back(of, made, by, coding)
    masks = {head["mask_coding"] for head in heads(data)}
    assert (masks == {MASK_PRIOR}) if coding == "context" else (MASK_PRIOR not in masks)
    assert check(io.BytesIO(data), find_prior=lambda name, sha256: by) == []
    assert scan(io.BytesIO(data)).tokens_kept == sum(len(group.tokens) for group in made)
    assert written(of, made, prior=by, coding=coding) == written(of, made, prior=by, coding=coding)


def test_both_layouts_of_kinds() -> None:
    """Without the prior's means, values that hardly change are stored as changes and others themselves."""
    by = prior()
    of = under(sized(9, 11, 6), by)
    rng = np.random.default_rng(0)
    shape = (9 * 11, 6)
    for layout in (LAYOUT_KIND_CHANGES, LAYOUT_KINDS):
        made = []
        for group in groups(of, 2, dense=True):
            small = rng.integers(-1, 2, (len(group.mask), *shape))
            frames = rng.integers(-90, 90, shape) + small.cumsum(0) if layout == LAYOUT_KIND_CHANGES else small
            tokens = 4 * frames.reshape(-1, 6).astype(np.int32)
            made.append(replace(group, tokens=tokens, octaves=np.zeros(len(tokens), np.uint8)))
        assert [head["token_layout"] for head in heads(assert_comes_back(of, made, by, "zstd"))] == [layout] * 2


@pytest.mark.parametrize("coding", LAYOUTS)
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 2), (2, 1), (1, 9), (3, 5), (7, 7)])
def test_small_and_odd_grids(rows: int, columns: int, coding: str) -> None:
    """Grids of one position, one row or odd sides, and groups of one latent frame, as key groups and others."""
    for channels in (1, 3, 6):
        by = prior(channels)
        of = under(sized(rows, columns, channels, group_latent_frames=1, segment_groups=3), by)
        assert_comes_back(of, in_units(of, groups(of, 5, last_frames=1)), by, coding)
        longer = replace(of, group_latent_frames=6)
        assert_comes_back(longer, in_units(longer, groups(longer, 3, last_frames=7)), by, coding)


@pytest.mark.parametrize("coding", LAYOUTS)
def test_groups_that_keep_nothing(coding: str) -> None:
    """A still scene: groups without any token, between others, have no bytes of tokens and keep the segment going."""
    by = prior()
    of = under(sized(5, 7, 6, segment_groups=9), by)
    made = in_units(of, groups(of, 4))
    for place in (1, 2):
        empty = {
            "tokens": np.zeros((0, 6), np.int32),
            "octaves": np.zeros(0, np.uint8),
            "mask": np.zeros((8, 5, 7), bool),
        }
        made[place] = replace(made[place], **empty)
    # what the last group goes on from is now what the first one left
    made = in_units(of, [replace(group, tokens=group.tokens >> 2) for group in made])
    data = assert_comes_back(of, made, by, coding)
    for at in (1, 2):
        assert parts_of(data, at)[1] == b""


def test_no_octaves_are_none() -> None:
    """Tokens that are given without octaves stand on the grid of whole steps."""
    by = prior()
    of = under(sized(5, 7, 6), by)
    made = [replace(group, tokens=group.tokens * 4) for group in groups(of, 3)]
    for coding in LAYOUTS:
        back = list(reader_under(written(of, made, False, by, coding), by))
        assert all(
            map(same_group, [replace(group, octaves=np.zeros(len(group.tokens), np.uint8)) for group in made], back)
        )


@pytest.mark.parametrize("seed", [0, 2, 3, 9])
def test_values_far_outside_the_tables(seed: int) -> None:
    """Values from one end of 16 bits to the other, which no table reaches and no mean foresees, are coded by
    escapes.
    """
    by = prior()
    of = under(sized(5, 7, 6), by)
    rng = np.random.default_rng(seed)
    ends = [
        replace(g, tokens=rng.choice([SYMBOL_MIN // 4, SYMBOL_MAX // 4], g.tokens.shape).astype(np.int32))
        for g in groups(of, 3, seed)
    ]
    made = in_units(of, ends, seed)
    assert max(int(group.tokens.max()) for group in made) > SYMBOL_MAX - 8
    for coding in LAYOUTS:
        assert_comes_back(of, made, by, coding)


def test_no_distance_passes_the_escapes() -> None:
    """Whatever the network says and whatever was kept, the mean stays within 16 bits, so every distance fits its
    escape.
    """
    rng = np.random.default_rng(0)
    count = 4000
    sums = rng.choice([-(2.0**24) + 1, -1e5, 0, 1e5, 2.0**24 - 1], (count, 4, 3)).astype(np.float32)
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
        for octaves in range(units_log2 + 1):
            step = 1 << (units_log2 - octaves)
            finer = np.full((count, 1), octaves, np.int32)
            for anchor in (np.zeros_like(kept), kept) if octaves == 0 else (np.zeros_like(kept),):
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
    assert squash(symbols).tolist() == [
        -exact[min(-v, 4095)] if v < 0 else exact[min(v, 4095)] for v in symbols.tolist()
    ]


def whole_relu(sums: np.ndarray) -> np.ndarray:
    return np.clip((sums + 128) >> 8, 0, ACTIVATION_MAX)


def near_centre(sums: np.ndarray) -> np.ndarray:
    """Biases that bring sums into the middle of the activations, where each unit of a sum tells."""
    return (64 * 256 - np.rint(sums.mean(0))).astype(np.int32)


@pytest.mark.parametrize("signs", ["all 127", "mixed"])
def test_products_are_exact(signs: str) -> None:
    """With the largest weights and activations at the sizes in use (channels 96, embed 64, width 128, known 48, mask 64
    and 32), float32 gives what whole numbers give, and even the largest sums stay below 2**24."""
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
    values = squash(symbols).astype(np.int64)

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
        told = whole_relu(sums + arrays[f"known{number}_bias"])
        told[-1] = 0
        sums = told[around].reshape(count, -1) @ whole[f"beside{number}"] + trunk @ whole[f"down{number}"]
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

    by = Prior(arrays, "", "")
    untold = by.told(0, np.arange(0), np.zeros((0, channels), np.float32), count)
    assert (by.beside_untold(around, count) == by.beside(0, untold, around)).all()
    assert (by.past(symbols[0], symbols[1], around) == past).all() and past.std() > 1
    floats = large.astype(np.float32)
    assert (by.trunk(floats[:, :embed], around, symbols[0][:count], floats[:count, :FACTS]) == trunk).all()
    assert trunk.std() > 1 and embedded.std() > 1
    found = by.mask_trunk(floats[:, :embed], around, symbols[0][:count], floats[:count, :MASK_FACTS])
    assert (found == mask_trunk).all() and mask_trunk.std() > 1
    assert (by.mask_classes(2, found, floats[:count, :50]) == classes).all() and classes.std() > 1
    for number, hidden in enumerate(hiddens):
        assert hidden.std() > 1
        told = by.told(number, np.arange(count), squash(symbols[0][:count]), count)
        assert (by.head(number, trunk.astype(np.float32), by.beside(number, told, around)) == hidden).all()
        for phase in range(4):
            channels_now = slice(group_of(phase, number), None, PASSES)
            weights, bias = whole[f"leave{number}"][:, :, channels_now], whole[f"leave{number}_bias"][:, channels_now]
            sums = np.einsum("nw,wpc->npc", hidden, weights) + bias
            assert (by.leave(number, phase, hidden.astype(np.float32)) == sums).all()


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


def test_what_a_value_may_depend_on() -> None:
    """Before each pass, means and scales depend on nothing that is not yet known: other values to come change none of
    them.
    """
    by = prior()
    state = PriorState.start(5, 7, 6)
    rng = np.random.default_rng(0)
    everything, kinds = np.arange(35), np.ones(35, np.uint8)
    state.move_on(everything, rng.integers(-20, 20, (35, 6)).astype(np.int32), kinds * 0)
    mask = rng.random(35) < 0.7
    values = 4 * rng.integers(-9, 9, (2, int(mask.sum()), 6)).astype(np.int32)
    for number in range(PASSES):
        seen = []
        for other in values:
            walk = FrameCoder(by, state, mask, kinds[mask], 0, 2)
            mixed = other.copy()
            for place, (parts, nearest, fraction, scale) in enumerate(walk.passes()):
                for part in parts:
                    if place < number:
                        mixed[part.rows, part.channels] = values[0][part.rows, part.channels]
                if place == number:
                    seen.append(np.concatenate([nearest, fraction, scale]))
                walk.put(parts, walk.multiples_of(parts, mixed))
        assert (seen[0] == seen[1]).all()
    assert Neighbourhood.of(1, 1).around.tolist() == [[1, 1, 1, 1, 0, 1, 1, 1, 1]]


def test_what_a_mask_bit_may_depend_on() -> None:
    """Before each phase, classes depend on no bit that is not yet known; and a bit that is known reaches those around
    it.
    """
    by = prior()
    state = PriorState.start(5, 7, 6)
    rng = np.random.default_rng(0)
    state.move_on(np.arange(35), rng.integers(-20, 20, (35, 6)).astype(np.int32), np.zeros(35, np.uint8))
    masks = rng.random((2, 35)) < 0.5
    for number in range(4):
        seen = []
        for other in masks:
            field = MaskField(by, state, 0)
            for place, (places, classes) in enumerate(field.steps()):
                if place == number:
                    seen.append(classes)
                field.put(places, masks[0][places] if place < number else other[places])
            assert (field.bits[state.hood.phase == 2] == other[state.hood.phase == 2]).all()
        assert (seen[0] == seen[1]).all()
    last = [list(walked)[-1] for walked in (walk_mask(MaskField(by, state, 0), mask) for mask in masks)]
    assert (last[0] != last[1]).any()


def walk_mask(field: MaskField, mask: np.ndarray) -> Iterator[np.ndarray]:
    """The classes of each phase of a mask (P,)."""
    for places, classes in field.steps():
        yield classes
        field.put(places, mask[places])


def test_masks_and_tokens_are_read_in_step() -> None:
    """A mask whose tokens are damaged, and tokens whose mask is, end as damage, as does a mask that keeps more than is
    claimed.
    """
    mask, tokens = parts_of(FILES["context"], 1)
    head = heads(FILES["context"])[1]
    state = SegmentState(OF, BY)
    for item in MADE[:1]:
        encode_content(item.mask, item.tokens, item.octaves, item.key, state, item.step_adjust)
    shape, kept = MADE[1].mask.shape, head["tokens_kept"]

    def read(
        mask: bytes, tokens: bytes, kept: int, layout: int = LAYOUT_PRIOR
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        return decode_content(
            MASK_PRIOR, mask, layout, tokens, shape, kept, False, deepcopy(state), head["step_adjust"]
        )

    found = read(mask, tokens, kept)
    assert (found[0] == MADE[1].mask).all() and (found[1] == MADE[1].tokens).all()
    for wrong in (
        (mask[4:], tokens, kept),
        (mask, tokens[4:], kept),
        (mask + bytes(8), tokens, kept),
        (mask, tokens + bytes(8), kept),
    ):
        with pytest.raises(DamagedFileError):
            read(*wrong)
    for claimed in (0, kept - 1, kept + 1):
        with pytest.raises(DamagedFileError, match="claimed"):
            read(mask, tokens, claimed)
    for layout in (LAYOUT_KINDS, LAYOUT_KIND_CHANGES):
        with pytest.raises(UnsupportedFileError):
            read(mask, tokens, kept, layout)


BY = prior()
OF = under(sized(5, 7, 6), BY)
MADE = in_units(OF, groups(OF, 4))
FILES = {coding: written(OF, MADE, False, BY, coding) for coding in LAYOUTS}


def rebuilt(data: bytes, at: int, mask: bytes, tokens: bytes) -> bytes:
    """The file with other bytes as mask and tokens of one group, under right lengths and CRC-32."""
    front, found = chunks(data)
    payload = found[at][8:-4]
    head = GROUP_HEAD.unpack(payload)
    times = payload[GROUP_HEAD.size :][: head["times_bytes"]]
    found[at] = chunk(b"GRUP", GROUP_HEAD.pack(**{**head, "mask_bytes": len(mask)}) + times + mask + tokens)
    return front + b"".join(found)


def parts_of(data: bytes, at: int) -> tuple[bytes, bytes]:
    """Mask and tokens of one group."""
    payload = chunks(data)[1][at][8:-4]
    head = GROUP_HEAD.unpack(payload)
    rest = payload[GROUP_HEAD.size + head["times_bytes"] :]
    return rest[: head["mask_bytes"]], rest[head["mask_bytes"] :]


@st.composite
def damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes with bits flipped, cut off, replaced by zeros, ones or anything, or longer than they were."""
    kind = draw(st.sampled_from(["flip", "cut", "zeros", "ones", "any", "longer"]))
    if kind == "flip" and data:
        found = bytearray(data)
        for _ in range(draw(st.integers(1, 4))):
            found[draw(st.integers(0, len(data) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(found)
    if kind == "cut":
        return data[: draw(st.integers(0, len(data)))]
    if kind in ("zeros", "ones"):
        return (b"\0" if kind == "zeros" else b"\xff") * 4 * draw(st.integers(0, 300))
    if kind == "any":
        return b"".join(draw(st.lists(st.binary(min_size=4, max_size=4), max_size=80)))
    return data + draw(st.binary(max_size=9))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_payloads_made_up(data: st.DataObject) -> None:
    """Masks and tokens of any bytes under a right CRC-32 are reported or decode to something within bounds, quickly:
    nothing else.
    """
    coding = data.draw(st.sampled_from(sorted(FILES)))
    at = data.draw(st.integers(0, 3))
    mask, tokens = parts_of(FILES[coding], at)
    which = data.draw(st.sampled_from(["mask", "tokens", "both"]))
    mask = data.draw(damaged(mask)) if which != "tokens" else mask
    tokens = data.draw(damaged(tokens)) if which != "mask" else tokens
    began = time.process_time()  # the machine may be busy with other things
    try:
        for item in reader_under(rebuilt(FILES[coding], at, mask, tokens), BY):
            assert isinstance(item, Group | LostGroups)
            if isinstance(item, Group):
                assert item.tokens.shape == (item.mask.sum(), 6) and len(item.octaves) == len(item.tokens)
                assert not item.tokens.size or (item.tokens.min() >= SYMBOL_MIN and item.tokens.max() <= SYMBOL_MAX)
                assert not len(item.octaves) or item.octaves.max() <= 2
    except LatcompError:
        pass
    assert time.process_time() - began < 10


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_tokens_made_up(data: st.DataObject) -> None:
    """The same for tokens alone, of any layout, whatever stands in the mask: `DamagedFileError` or tokens that can be
    written again.
    """
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    mask = rng.random((3, 5, 7)) < data.draw(st.sampled_from([0.0, 0.1, 1.0]))
    layout = data.draw(st.sampled_from([LAYOUT_PRIOR, LAYOUT_KINDS, LAYOUT_KIND_CHANGES]))
    coding = "context" if layout == LAYOUT_PRIOR else "zstd"
    of = under(sized(5, 7, 6), BY, data.draw(st.sampled_from([1, 2, 4])))
    honest = parts_of(FILES[coding], 1)[1]
    try:
        tokens, octaves = decode_tokens(layout, data.draw(damaged(honest)), mask, False, SegmentState(of, BY), 0)
    except DamagedFileError:
        return
    again = SegmentState(of, BY, coding)
    again.by_prior.first = data.draw(st.booleans())
    reading = SegmentState(of, BY)
    reading.by_prior.first = again.by_prior.first
    layout, packed = encode_tokens(tokens, octaves, mask, False, again, 0)
    found = decode_tokens(layout, packed, mask, False, reading, 0)
    assert (found[0] == tokens).all() and (found[1] == octaves).all()


def test_bytes_where_none_belong() -> None:
    """Groups that keep nothing have no bytes of tokens, and a key group of one latent frame none of a mask: others are
    damage.
    """
    nothing = np.zeros((2, 5, 7), bool)
    whole = in_units(OF, groups(OF, 1))[0]
    whole_mask, whole_tokens, whole_octaves = np.ones((1, 5, 7), bool), whole.tokens[:35], whole.octaves[:35]
    _, _, _, packed = encode_content(whole_mask, whole_tokens, whole_octaves, True, SegmentState(OF, BY), 0)
    for junk in (bytes(4), bytes(8), b"\xff" * 8, bytes(400)):
        for layout in (LAYOUT_PRIOR, LAYOUT_KINDS, LAYOUT_KIND_CHANGES):
            with pytest.raises(DamagedFileError):
                decode_tokens(layout, junk, nothing, False, SegmentState(OF, BY), 0)
        with pytest.raises(DamagedFileError, match="left over"):
            decode_content(MASK_PRIOR, junk, LAYOUT_PRIOR, packed, (1, 5, 7), 35, True, SegmentState(OF, BY), 0)
    tokens, octaves = decode_tokens(LAYOUT_PRIOR, b"", nothing, False, SegmentState(OF, BY), 0)
    assert tokens.shape == (0, 6) and octaves.shape == (0,)


def test_a_step_that_is_halved_too_often() -> None:
    """Kinds beyond what the file's units allow are damage, in every layout."""
    fine = in_units(OF, groups(OF, 1))[0]
    for units in (1, 2):
        of = under(sized(5, 7, 6), BY, units)
        for coding in LAYOUTS:
            layout, data = encode_tokens(fine.tokens, fine.octaves, fine.mask, True, SegmentState(OF, BY, coding), 0)
            with pytest.raises(DamagedFileError):
                decode_tokens(layout, data, fine.mask, True, SegmentState(of, BY), 0)


def test_a_prior_that_is_not_at_hand() -> None:
    """A file that names a prior is unsupported without it, with another one, or with one for other channels; its counts
    can be read.
    """
    data = FILES["context"]
    other = prior(6, 1)
    narrow = Prior(prior_arrays(5), BY.sha256, BY.name)
    finders = [None, lambda name, sha256: other, lambda name, sha256: narrow]
    for find in finders:
        with pytest.raises(UnsupportedFileError, match=BY.name):
            list(Reader(io.BytesIO(data), find_prior=find))
        with pytest.raises(UnsupportedFileError, match=BY.name):
            check(io.BytesIO(data), find_prior=find)
    assert scan(io.BytesIO(data)).problems == []
    for wrong in (None, other, narrow):
        with pytest.raises(UnsupportedFileError, match=BY.name):
            Writer(io.BytesIO(), OF, wrong).write_group(MADE[0])
    with pytest.raises(UsageError, match="coding"):
        Writer(io.BytesIO(), OF, BY, "ans").write_group(MADE[0])


def test_the_prior_is_looked_for_once() -> None:
    """A file of many segments asks for its prior once, and a file without one never."""
    asked = []

    def find(name: str, sha256: str) -> Prior:
        asked.append((name, sha256))
        return BY

    list(Reader(io.BytesIO(FILES["context"]), find_prior=find))
    assert asked == [(BY.name, BY.sha256)]
    plain = sized(5, 7, 6)
    list(Reader(io.BytesIO(written(plain, groups(plain, 2))), find_prior=find))
    assert len(asked) == 1


@pytest.mark.parametrize("change", [{"token_layout": LAYOUT_PLANES}, {"token_layout": 6}, {"mask_coding": 5}])
def test_ids_that_do_not_belong(change: dict[str, int]) -> None:
    """Layouts without kinds do not belong into a file with a prior, nor those of a prior, nor its masks, into a file
    without.
    """
    front, found = chunks(FILES["context"])
    payload = found[0][8:-4]
    group = chunk(b"GRUP", GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(payload), **change}) + payload[GROUP_HEAD.size :])
    with pytest.raises(UnsupportedFileError):
        list(reader_under(front + group, BY))
    plain = sized(5, 7, 6)
    front, found = chunks(written(plain, groups(plain, 1), sound=False))
    payload = found[0][8:-4]
    for foreign in ({"token_layout": LAYOUT_PRIOR}, {"token_layout": LAYOUT_KINDS}, {"mask_coding": MASK_PRIOR}):
        group = chunk(
            b"GRUP", GROUP_HEAD.pack(**{**GROUP_HEAD.unpack(payload), **foreign}) + payload[GROUP_HEAD.size :]
        )
        with pytest.raises(UnsupportedFileError):
            list(Reader(io.BytesIO(front + group)))


def test_writer_refuses_what_does_not_fit() -> None:
    """Octaves of the wrong shape, type or size, and tokens that are on no grid of theirs, are refused by name."""
    good = MADE[0]
    off_grid = good.tokens.copy()
    off_grid[good.octaves == 0] += 1
    wrong = [
        {"octaves": good.octaves[1:]},
        {"octaves": good.octaves.astype(np.int32)},
        {"octaves": good.octaves + np.uint8(3)},
        {"tokens": off_grid},
        {"octaves": np.zeros_like(good.octaves)},
    ]
    for change in wrong:
        for coding in LAYOUTS:
            with pytest.raises(UsageError, match=r"octaves|halved|whole steps"):
                Writer(io.BytesIO(), OF, BY, coding).write_group(replace(good, **change))
    plain = sized(5, 7, 6)
    with pytest.raises(UsageError, match="halved"):
        Writer(io.BytesIO(), plain).write_group(good)


def test_masks_of_all_kept_have_no_bytes() -> None:
    """A mask without holes is not coded under the prior."""
    data = assert_comes_back(OF, in_units(OF, groups(OF, 2, dense=True)), BY)
    assert [(head["mask_coding"], head["mask_bytes"]) for head in heads(data)] == [(MASK_ALL, 0)] * 2


def test_step_adjustment_reaches_the_network() -> None:
    """The step of a group, over that of the file, changes the bytes but not what they give."""
    packed = set()
    for step_adjust in (-128, -8, 0, 8, 127):
        made = [replace(group, step_adjust=step_adjust) for group in MADE]
        packed.add(hashlib.sha256(parts_of(assert_comes_back(OF, made, BY), 1)[1]).digest())
    assert len(packed) == 5
