"""The layouts of files without a prior earn their place: they are smaller than plain planes, and are chosen well."""

from __future__ import annotations

import io
from copy import deepcopy
from dataclasses import replace

import numpy as np

from latcomp.container import Reader
from latcomp.container.coding import ContextCoder, GroupContent
from latcomp.container.coding.context.tokens import encode_context
from latcomp.container.coding.planes import planes_of_symbols
from latcomp.container.format import LAYOUT_CONTEXT, LAYOUT_PLANES, LAYOUT_REPEATS
from latcomp.container.zstd import compress
from latcomp.latents import GroupView, StepScale, TokenMemory
from tests.container.coding.prior.make import heads
from tests.container.make import content, groups, same_group, shape, sized, written


def test_context_beats_planes() -> None:
    """On latents that are smooth in space and time the context layout takes at least a tenth less than planes at zstd's
    highest level.
    """
    of = sized(30, 40, 24)
    coder = ContextCoder(of.grid, of.channels)
    for group in groups(of, 2):
        found = coder.encode(content(of, group))
        assert found.token_layout == LAYOUT_CONTEXT
        assert len(found.tokens) < 0.9 * len(compress(planes_of_symbols(group.tokens)))


def test_planes_for_repeats() -> None:
    """Where the same token comes again and again, as on screens, planes are chosen."""
    rng = np.random.default_rng(0)
    tile = rng.integers(-9, 9, (5, 8, 24))
    screen = np.tile(tile, (6, 5, 1)).reshape(-1, 24).astype(np.int32)
    found = ContextCoder((30, 40), 24).encode(
        GroupContent(np.ones((1, 30, 40), bool), screen, None, True, StepScale(1.0), GroupView.whole(1, (30, 40)))
    )
    assert found.token_layout == LAYOUT_PLANES and len(found.tokens) < 2000


def test_repeated_tokens_cost_next_to_nothing() -> None:
    """With everything kept, tokens that equal their last kept value are left out: far smaller than context or planes
    alone.
    """
    of = sized(30, 40, 24)
    writing, reading = (ContextCoder(of.grid, of.channels) for _ in range(2))
    memory, model = TokenMemory.start(of.grid, of.channels), None
    for group in groups(of, 2, dense=True):
        by_context, model = encode_context(group.tokens, group.mask, group.view, memory, model)
        memory.advance_group(group.mask, group.tokens, view=group.view)
        found = writing.encode(content(of, group))
        assert found.token_layout == LAYOUT_REPEATS
        assert len(found.tokens) < 0.9 * len(by_context)
        assert (reading.decode(found, shape(of, group)).tokens == group.tokens).all()
    still = replace(content(of, group), tokens=np.tile(memory.kept[:-1], (8, 1)))
    found = writing.encode(still)
    assert found.token_layout == LAYOUT_REPEATS and len(found.tokens) < 40
    assert (reading.decode(found, shape(of, group)).tokens == still.tokens).all()


def test_small_groups_take_over_weights() -> None:
    """A small group of a segment does not store weights that serve as well as its own."""
    of = sized(12, 16, 48)
    first, second = (content(of, group) for group in groups(of, 2))
    after, alone = (ContextCoder(of.grid, of.channels) for _ in range(2))
    after.encode(first)
    alone.memory, alone.masks = after.memory.copy(), deepcopy(after.masks)
    with_weights, without = (len(coder.encode(second).tokens) for coder in (alone, after))
    assert without < with_weights - 50


def test_zstd_alone_writes_planes_and_nothing_else() -> None:
    """Layouts of contexts are left out where they would be smaller; files of both codings hold the same."""
    of = sized(30, 40, 24)
    made = groups(of, 2)
    files = {coding: written(of, made, sound=False, coding=coding) for coding in ("context", "zstd")}
    layouts = {coding: {head["token_layout"] for head in heads(data)} for coding, data in files.items()}
    assert layouts == {"context": {LAYOUT_CONTEXT}, "zstd": {LAYOUT_PLANES}}
    assert len(files["context"]) < len(files["zstd"])
    for data in files.values():
        assert all(map(same_group, made, Reader(io.BytesIO(data))))
