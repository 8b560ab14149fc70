"""Coding by what was coded before: weights and tables are whole numbers that follow the values, and rounding by cost
follows them too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latcomp.container.coding import AdaptiveCoder, AdaptiveCosts, ContextCoder, GroupContent, coder_for
from latcomp.container.coding.adaptive import counts
from latcomp.container.coding.adaptive.counts import LEAST_BITS, MOST, REACH, SHIFT, CountTables
from latcomp.container.coding.adaptive.frame import AdaptivePass
from latcomp.container.coding.adaptive.squares import CAP, ROWS_KEPT, WEIGHT_BITS, Squares
from latcomp.container.coding.group_coder import GroupCoder
from latcomp.container.coding.prior.tables import TOTAL
from latcomp.container.header import pack_header, unpack_header
from latcomp.container.limits import Limits
from latcomp.errors import UsageError
from latcomp.latents import GroupView, StepScale, TokenMemory
from tests.container import reference_adaptive
from tests.container.make import content, groups, sized

OF = sized(9, 11, 4, segment_groups=9, requires=("adaptive",))


def test_weights_are_those_of_least_squares() -> None:
    """What depends on the terms by known weights has these weights, whatever the size of the terms."""
    rng = np.random.default_rng(0)
    wanted = np.array([0.75, -0.5, 0.25])
    for size in (40, 4000):
        terms = rng.integers(-size, size, (1, 3, 5000))
        squares = Squares(1, 3, ridge=64)
        squares.add(terms, np.rint(wanted @ terms[0]).astype(np.int64)[None])
        assert squares.weights(3)[0] / 2**WEIGHT_BITS == pytest.approx(wanted, abs=0.01)
        assert squares.weights(1)[0] / 2**WEIGHT_BITS == pytest.approx(wanted[:1], abs=0.05)


@pytest.mark.parametrize("kind", ["noise", "ends", "alike", "nothing", "one large"])
def test_weights_never_leave_64_bits(kind: str) -> None:
    """Sums as large, as alike and as uneven as can be give what whole numbers of any size give."""
    rng = np.random.default_rng(1)
    terms = rng.integers(-CAP, CAP + 1, (2, 4, 3000))
    if kind == "ends":
        terms = np.where(terms < 0, -CAP, CAP)
    elif kind == "alike":
        terms[:] = terms[:, :1]
    elif kind == "nothing":
        terms[:] = 0
    elif kind == "one large":
        terms[:, 1:] = np.sign(terms[:, 1:])
    squares = Squares(2, 4, ridge=256)
    for _ in range(3):
        squares.add(terms, np.where(terms[:, 3] < 0, -CAP, CAP) if kind == "ends" else terms[:, 1])
        squares.fade()
        sums = [[[int(value) for value in row] for row in one] for one in squares.sums]
        assert squares.weights(4).tolist() == [reference_adaptive.weights_of(one, 4, 256) for one in sums]
        assert squares.rows.tolist() == [ROWS_KEPT] * 2


def test_frequencies_add_up_and_follow_what_was_seen() -> None:
    """Tables of every context, at the start and after very many values."""
    tables = CountTables()
    contexts = np.repeat(np.arange(len(tables)), 9)
    for _ in range(400):
        tables.learn(np.zeros(len(contexts), np.int64), contexts)
    for some in (CountTables(), tables):
        sizes = 2 * np.repeat(REACH, counts.FRACTIONS) + 2
        for context, size in enumerate(sizes.tolist()):
            found = some.frequencies[context]
            assert found.sum() == TOTAL and found[:size].min() >= 1 and not found[size:].any()
        assert (some.counts.sum(axis=1) <= MOST).all()
        assert (np.log2(TOTAL / some.frequencies.max(axis=1)) >= LEAST_BITS).all()
        assert some.least_bits == pytest.approx(np.log2(TOTAL / some.frequencies.max(axis=1)), abs=1e-9)
    assert (tables.counts.argmax(axis=1) == 0).all()
    assert SHIFT.max() > 0


def total(coder: GroupCoder, made: list[GroupContent]) -> int:
    """Bytes of the tokens of a segment."""
    return sum(len(coder.encode(group).tokens) for group in made)


def flickering(frames: int) -> list[GroupContent]:
    """Groups of latents that come back every second latent frame, as those of some tokenizers do."""
    rng = np.random.default_rng(3)
    base = rng.normal(0, 6, (2, 16, 16, 8))
    values = np.stack([base[t % 2] + rng.normal(0, 0.3, base[0].shape) for t in range(frames)])
    view, mask = GroupView.whole(8, (16, 16)), np.ones((8, 16, 16), bool)
    return [
        GroupContent(mask, np.rint(values[t : t + 8]).astype(np.int32).reshape(-1, 8), None, t == 0, StepScale(1), view)
        for t in range(0, frames, 8)
    ]


def test_latents_that_flicker_are_predicted_from_two_before() -> None:
    """The last value says little about them, the one before it nearly all."""
    made = flickering(24)
    assert total(AdaptiveCoder((16, 16), 8), made) < 0.6 * total(ContextCoder((16, 16), 8), made)


def test_a_header_asks_for_it() -> None:
    """Only where it is required; and never beside a prior, lossless tokens or zstd alone."""
    assert isinstance(coder_for(OF), AdaptiveCoder)
    assert isinstance(coder_for(OF, coding="adaptive"), AdaptiveCoder)
    with pytest.raises(UsageError, match="zstd"):
        coder_for(OF, coding="zstd")
    with pytest.raises(UsageError, match="requires"):
        coder_for(replace(OF, requires=()), coding="adaptive")
    for wrong in ({"coding": "lossless"}, {"prior": {"name": "x", "sha256": "0" * 64}}):
        with pytest.raises(UsageError, match="adaptive"):
            replace(OF, **wrong)
    data = pack_header(OF)
    assert unpack_header(data[:14], data[14:], Limits()) == OF


def walked(costs: AdaptiveCosts, weight: float) -> tuple[list[GroupContent], float]:
    """(groups as rounding leaves them, their bits as it counts them): each value may move a step towards the expected
    one where that saves more than `weight` bits.
    """
    memory, made, bits = TokenMemory.start(OF.grid, OF.channels), [], 0.0
    for group in groups(OF, 1):
        tokens = group.tokens.copy()
        row = 0
        for mask in group.mask:
            flat = mask.reshape(-1)

            rows = slice(row, row + int(flat.sum()))

            def decide(one: AdaptivePass, symbols: np.ndarray = tokens[rows]) -> np.ndarray:
                nonlocal bits
                plain, every = one.steps_of(symbols), np.arange(len(one.nearest))
                moved = plain + np.sign(one.nearest - plain)
                found = np.where(one.bits(plain, every) - one.bits(moved, every) > weight, moved, plain)
                bits += float(one.bits(found, every).sum())
                return found

            none = np.zeros(rows.stop - rows.start, np.uint8)
            tokens[rows], _ = costs.code(memory, flat, tokens[rows], none, decide)
            memory.advance(np.flatnonzero(flat), tokens[rows])
            row = rows.stop
        made.append(content(OF, replace(group, tokens=tokens)))
    return made, bits


def test_costs_are_those_of_the_file() -> None:
    """What rounding takes for the bits of a segment is what it takes, also for one after another."""
    costs = AdaptiveCosts()
    for weight in (1e9, 0.5):
        made, bits = walked(costs, weight)
        assert 8 * total(AdaptiveCoder(OF.grid, OF.channels), made) == pytest.approx(bits, rel=0.01, abs=200)
    plain, _ = walked(costs, 1e9)
    assert total(AdaptiveCoder(OF.grid, OF.channels), made) < total(AdaptiveCoder(OF.grid, OF.channels), plain)


def test_costs_out_of_order_start_anew() -> None:
    """A latent frame that does not follow the last one is rounded by what is known of it alone."""
    costs, alone = AdaptiveCosts(), AdaptiveCosts()
    walked(costs, 0.5)
    memory = TokenMemory.start(OF.grid, OF.channels)
    mask, tokens = np.ones(memory.positions, bool), np.full((memory.positions, OF.channels), 7, np.int32)
    memory.advance(np.flatnonzero(mask), tokens)
    seen: list[list[np.ndarray]] = []
    for one in (costs, alone):
        found: list[np.ndarray] = []

        def decide(step: AdaptivePass, found: list[np.ndarray] = found) -> np.ndarray:
            found.append(step.contexts)
            return step.steps_of(tokens)

        one.code(memory, mask, tokens, np.zeros(len(tokens), np.uint8), decide)
        seen.append(found)
    assert all(np.array_equal(left, right) for left, right in zip(*seen, strict=True))
