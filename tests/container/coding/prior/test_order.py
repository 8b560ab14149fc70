"""What is coded depends on nothing that a reader does not know yet."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latcomp.container.coding.prior.frame_code import past_of
from latcomp.container.coding.prior.frame_coder import FrameCoder
from latcomp.container.coding.prior.masks import MaskField
from latcomp.container.coding.prior.neighbourhood import PASSES, Neighbourhood
from latcomp.latents import FrameView, TokenMemory
from tests.container.make import prior


def some_memory(rng: np.random.Generator) -> TokenMemory:
    """What a segment of 5 x 7 positions remembers behind its first latent frame."""
    found = TokenMemory.start((5, 7), 6)
    found.advance(np.arange(35), rng.integers(-20, 20, (35, 6)).astype(np.int32))
    return found


def test_what_a_value_may_depend_on() -> None:
    """Before each pass, means and scales depend on nothing that is not yet known: other values to come change none of
    them.
    """
    by = prior()
    rng = np.random.default_rng(0)
    memory, modes = some_memory(rng), np.ones(35, np.uint8)
    past = past_of(by, memory)
    mask = rng.random(35) < 0.7
    values = 4 * rng.integers(-9, 9, (2, int(mask.sum()), 6)).astype(np.int32)
    for number in range(PASSES):
        seen = []
        for other in values:
            coder = FrameCoder(by, memory, past, mask, modes[mask], 0, 4)
            mixed = other.copy()
            for place, one in enumerate(coder.passes()):
                for part in one.parts:
                    if place < number:
                        mixed[part.rows, part.channels] = values[0][part.rows, part.channels]
                if place == number:
                    seen.append(np.concatenate([one.nearest, one.fraction, one.scale]))
                one.put(one.steps_of(mixed))
        assert (seen[0] == seen[1]).all()
    assert Neighbourhood.of(FrameView.whole((1, 1))).around.tolist() == [[1, 1, 1, 1, 0, 1, 1, 1, 1]]


def test_what_a_mask_bit_may_depend_on() -> None:
    """Before each phase, classes depend on no bit that is not yet known; and a bit that is known reaches those around
    it.
    """
    by = prior()
    rng = np.random.default_rng(0)
    memory = some_memory(rng)
    phase = Neighbourhood.of(memory.view).phase
    past = past_of(by, memory)
    masks = rng.random((2, 35)) < 0.5
    for number in range(4):
        seen = []
        for other in masks:
            field = MaskField(by, memory, past, 0)
            for place, (places, classes) in enumerate(field.steps()):
                if place == number:
                    seen.append(classes)
                field.put(places, masks[0][places] if place < number else other[places])
            assert (field.bits[phase == 2] == other[phase == 2]).all()
        assert (seen[0] == seen[1]).all()
    last = [list(walked)[-1] for walked in (walk_mask(MaskField(by, memory, past, 0), mask) for mask in masks)]
    assert (last[0] != last[1]).any()


def walk_mask(field: MaskField, mask: np.ndarray) -> Iterator[np.ndarray]:
    """The classes of each phase of a mask (P,)."""
    for places, classes in field.steps():
        yield classes
        field.put(places, mask[places])
