"""What is coded depends on nothing that a reader does not know yet."""

from __future__ import annotations

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
