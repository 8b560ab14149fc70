"""Files under a prior: damage stays damage, whatever bytes stand there."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.container import SYMBOL_MAX, SYMBOL_MIN, Group, LostGroups
from latcomp.container.coding import GroupBytes, GroupContent, GroupShape, PriorCoder
from latcomp.container.format import LAYOUT_MODE_CHANGES, LAYOUT_MODES, LAYOUT_PRIOR, MASK_ALL, MASK_BITS, MASK_PRIOR
from latcomp.container.zstd import compress
from latcomp.errors import DamagedFileError, LatcompError, UnsupportedFileError
from latcomp.latents import GroupView, StepScale
from tests.container.coding.prior.make import BY, FILES, LAYOUTS, MADE, OF, parts_of, rebuilt
from tests.container.make import content, groups, in_units, reader_under, shape

SCALE = StepScale(1.0)


def coder(units: int = 4, coding: str = "context", first: bool = True) -> PriorCoder:
    """The coder of a segment; first: whether it stands before the segment's first latent frame."""
    found = PriorCoder(BY, OF.grid, units, coding == "zstd")
    if not first:  # all zeros stand before it
        found.memory.advance(np.arange(35), np.zeros((35, 6), np.int32))
        found.masks.advance(np.ones((1, 5, 7), bool), GroupView.whole(1, OF.grid))
    return found


def beside(mask: np.ndarray, layout: int, tokens: bytes, first: bool = False) -> tuple[GroupBytes, GroupShape]:
    """Bytes of tokens in any layout beside a mask as packed bits. first: whether its first latent frame is that of the
    segment, which is not stored."""
    data = GroupBytes(MASK_BITS, compress(np.packbits(mask[int(first) :]).tobytes()), layout, tokens)
    return data, GroupShape(GroupView.whole(len(mask), OF.grid), int(mask.sum()), first, SCALE)


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
                assert item.tokens.shape == (item.mask.sum(), 6) and len(item.halvings) == len(item.tokens)
                assert not item.tokens.size or (item.tokens.min() >= SYMBOL_MIN and item.tokens.max() <= SYMBOL_MAX)
                assert not len(item.halvings) or item.halvings.max() <= 2
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
    layout = data.draw(st.sampled_from([LAYOUT_PRIOR, LAYOUT_MODES, LAYOUT_MODE_CHANGES]))
    coding = "context" if layout == LAYOUT_PRIOR else "zstd"
    units = data.draw(st.sampled_from([1, 2, 4]))
    honest = parts_of(FILES[coding], 1)[1]
    first = bool(mask[0].all()) and data.draw(st.booleans())
    given = beside(mask, layout, data.draw(damaged(honest)), first)
    try:
        found = coder(units, first=first).decode(*given)
    except DamagedFileError:
        return
    packed = coder(units, coding, first).encode(found)
    again = coder(units, first=first).decode(packed, given[1])
    assert (again.mask == mask).all() and (again.tokens == found.tokens).all()
    assert (again.halvings == found.halvings).all()


def test_bytes_where_none_belong() -> None:
    """Groups that keep nothing have no bytes of tokens, and a key group of one latent frame none of a mask: others are
    damage.
    """
    nothing, one = np.zeros((2, 5, 7), bool), GroupView.whole(1, OF.grid)
    whole = in_units(OF, groups(OF, 1))[0]
    one_frame = GroupContent(np.ones((1, 5, 7), bool), whole.tokens[:35], whole.halvings[:35], True, SCALE, one)
    packed = coder().encode(one_frame)
    assert (packed.mask_coding, packed.mask) == (MASK_ALL, b"")
    for junk in (bytes(4), bytes(8), b"\xff" * 8, bytes(400)):
        for layout in (LAYOUT_PRIOR, LAYOUT_MODES, LAYOUT_MODE_CHANGES):
            with pytest.raises(DamagedFileError):
                coder(first=False).decode(*beside(nothing, layout, junk))
        with pytest.raises(DamagedFileError, match="left over"):
            coder().decode(replace(packed, mask_coding=MASK_PRIOR, mask=junk), GroupShape(one, 35, True, SCALE))
    found = coder(first=False).decode(*beside(nothing, LAYOUT_PRIOR, b""))
    assert found.tokens.shape == (0, 6) and found.halvings.shape == (0,)


def test_a_step_that_is_halved_too_often() -> None:
    """Modes beyond what the file's units allow are damage, in every layout."""
    fine = in_units(OF, groups(OF, 1))[0]
    for units in (1, 2):
        for coding in LAYOUTS:
            data = coder(coding=coding).encode(content(OF, fine))
            with pytest.raises(DamagedFileError):
                coder(units).decode(data, shape(OF, fine))


def test_masks_and_tokens_are_read_in_step() -> None:
    """A mask whose tokens are damaged, and tokens whose mask is, end as damage, as does a mask that keeps more than is
    claimed.
    """
    writing = coder()
    writing.encode(content(OF, MADE[0]))
    before, honest = deepcopy(writing), shape(OF, MADE[1])
    mask, tokens = parts_of(FILES["context"], 1)

    def read(mask: bytes, tokens: bytes, kept: int, layout: int = LAYOUT_PRIOR) -> GroupContent:
        return deepcopy(before).decode(GroupBytes(MASK_PRIOR, mask, layout, tokens), replace(honest, kept=kept))

    kept = honest.kept
    found = read(mask, tokens, kept)
    assert (found.mask == MADE[1].mask).all() and (found.tokens == MADE[1].tokens).all()
    for wrong in ((mask[4:], tokens), (mask, tokens[4:]), (mask + bytes(8), tokens), (mask, tokens + bytes(8))):
        with pytest.raises(DamagedFileError):
            read(*wrong, kept)
    for claimed in (0, kept - 1, kept + 1):
        with pytest.raises(DamagedFileError, match="claimed"):
            read(mask, tokens, claimed)
    for layout in (LAYOUT_MODES, LAYOUT_MODE_CHANGES):
        with pytest.raises(UnsupportedFileError):
            read(mask, tokens, kept, layout)
