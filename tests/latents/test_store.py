"""What a segment knows of positions is what a dictionary by their places in the world would know, in sight or out of
it.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from latcomp.latents import Box, FrameView, GroupView, TokenMemory
from latcomp.latents.store import WorldStore

C = 3
Place = tuple[int, int]


@dataclass
class Known:
    """A segment's memory as the definition has it."""

    now: int = 0
    values: dict[Place, list[int]] = field(default_factory=dict)
    before: dict[Place, list[int]] = field(default_factory=dict)
    """The values that the last kept ones took the place of."""
    halvings: dict[Place, int] = field(default_factory=dict)
    kept_at: dict[Place, int] = field(default_factory=dict)

    def advance(self, places: list[Place], values: np.ndarray, halvings: np.ndarray) -> None:
        self.now += 1
        for place, value, finer in zip(places, values.tolist(), halvings.tolist(), strict=True):
            self.before[place] = self.values.get(place, [0] * C)
            self.values[place], self.halvings[place], self.kept_at[place] = value, finer, self.now

    def assert_is(self, memory: TokenMemory) -> None:
        """The memory knows of what is in its view what is known here."""
        places = places_of(memory.view)
        assert memory.positions == len(places)
        assert memory.kept[:-1].tolist() == [self.values.get(place, [0] * C) for place in places]
        assert memory.halvings.tolist() == [self.halvings.get(place, 0) for place in places]
        assert memory.seen.tolist() == [place in self.values for place in places]
        assert memory.age.tolist() == [self.now - self.kept_at.get(place, self.now) for place in places]
        just = [self.kept_at.get(place) == self.now for place in places]
        assert memory.just_kept.tolist() == just
        change = [
            (np.array(self.values[place]) - self.before[place]).tolist() if kept else [0] * C
            for place, kept in zip(places, just, strict=True)
        ]
        assert memory.change()[:-1].tolist() == change
        assert memory.predicted_planes().T.tolist() == memory.kept[:-1].tolist()
        assert not memory.kept[-1].any() and not memory.change()[-1].any()
        assert memory.first == (self.now == 0)


def places_of(view: FrameView) -> list[Place]:
    """(row, column) in the world of its positions."""
    return list(zip(*(axis.tolist() for axis in view.world), strict=True))


def some_view(rng: np.random.Generator, reach: int) -> FrameView:
    """What a latent frame shows whose frames are at most two pictures of 3 x 4 positions."""
    return FrameView.of(Box(int(y), int(x), 3, 4) for y, x in rng.integers(-reach, reach + 1, (rng.integers(1, 3), 2)))


def walk(memory: TokenMemory, known: Known, rng: np.random.Generator, frames: int, reach: int) -> None:
    """Take over latent frames that keep what is new and some of the rest."""
    for _ in range(frames):
        memory.look(some_view(rng, reach) if rng.random() < 0.7 else None)
        known.assert_is(memory)
        places = np.flatnonzero(~memory.seen | (rng.random(memory.positions) < 0.3))
        values = rng.integers(-99, 99, (len(places), C)).astype(np.int32)
        halvings = rng.integers(0, 3, len(places)).astype(np.uint8)
        memory.advance(places, values, halvings)
        every = places_of(memory.view)
        known.advance([every[place] for place in places], values, halvings)
        known.assert_is(memory)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 999), st.integers(0, 30))
def test_along_any_path_it_is_what_the_definition_says(seed: int, reach: int) -> None:
    rng = np.random.default_rng(seed)
    walk(TokenMemory.start(some_view(rng, reach), C), Known(), rng, 12, reach)


@pytest.mark.parametrize("step", [(0, 1), (1, 0), (0, -1), (-1, 0), (7, -9), (-40, 40)], ids=str)
def test_it_remembers_the_whole_way_in_every_direction(step: Place) -> None:
    """There and back: nothing that was seen is forgotten, however far it lies."""
    rng, known = np.random.default_rng(0), Known()
    views = [FrameView.of((Box(step[0] * t, step[1] * t, 2, 3),)) for t in range(24)]
    memory = TokenMemory.start(views[0], C)
    for view in views + views[::-1]:
        memory.look(view)
        known.assert_is(memory)
        places = np.flatnonzero(~memory.seen)
        values = rng.integers(-99, 99, (len(places), C)).astype(np.int32)
        memory.advance(places, values, np.ones(len(places), np.uint8))
        known.advance([places_of(view)[place] for place in places], values, np.ones(len(places), np.uint8))
    assert len(known.values) == len({place for view in views for place in places_of(view)})
    assert memory.age.max() == 47  # the first ones were kept then, and never again


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 999), st.sampled_from([TokenMemory.copy, copy.deepcopy]))
def test_a_copy_walks_its_own_way(seed: int, copied) -> None:
    rng, known = np.random.default_rng(seed), Known()
    memory = TokenMemory.start(some_view(rng, 5), C)
    walk(memory, known, rng, 5, 5)
    other, known_to_it = copied(memory), copy.deepcopy(known)
    walk(other, known_to_it, rng, 4, 9)
    known.assert_is(memory)
    walk(memory, known, rng, 4, 5)
    known_to_it.assert_is(other)
    walk(other, known_to_it, rng, 2, 5)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99))
def test_where_the_view_never_moves_it_is_the_plain_memory(seed: int) -> None:
    """Also when it is told so anew, by a view that is another object."""
    rng = np.random.default_rng(seed)
    plain, told = TokenMemory.start((3, 4), C), TokenMemory.start((3, 4), C)
    for t in range(8):
        told.look([None, FrameView.whole((3, 4)), FrameView(Box(0, 0, 3, 4), np.ones((3, 4), bool))][t % 3])
        places = np.flatnonzero((rng.random(12) < 0.3) | (t == 0))
        values = rng.integers(-9, 9, (len(places), C)).astype(np.int32)
        for memory in (plain, told):
            memory.advance(places, values, 1)
        for name in ("kept", "halvings", "age", "seen", "just_kept", "first"):
            assert np.array_equal(getattr(told, name), getattr(plain, name)), name
        assert np.array_equal(told.change(), plain.change())


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 99))
def test_a_group_at_once_is_its_latent_frames_one_by_one(seed: int) -> None:
    rng, known = np.random.default_rng(seed), Known()
    view = GroupView.over(tuple(some_view(rng, 3) for _ in range(6)))
    seen: set[Place] = set()
    mask = view.visible & (rng.random(view.shape) < 0.3)
    for t, frame in enumerate(view.frames):
        places = places_of(frame)
        new = np.array([place not in seen for place in places])
        view.put(mask, t, view.take(mask, t) | new)
        seen.update(places)
    tokens = rng.integers(-99, 99, (int(mask.sum()), C)).astype(np.int32)
    memory, row, wanted = TokenMemory.start(view.frames[0], C), 0, []
    replaced = memory.advance_group(mask, tokens, view=view)
    for t, frame in enumerate(view.frames):
        kept = [place for place, keeps in zip(places_of(frame), view.take(mask, t), strict=True) if keeps]
        known.advance(kept, tokens[row : row + len(kept)], np.zeros(len(kept), np.uint8))
        wanted += [known.before[place] for place in kept]
        row += len(kept)
    known.assert_is(memory)
    assert replaced.tolist() == wanted


def test_before_the_first_latent_frame_a_look_is_a_start() -> None:
    memory = TokenMemory.start((2, 2), C, np.float32)
    view = FrameView.of((Box(-3, 5, 4, 4),))
    memory.look(view)
    assert memory.view is view and memory.first and memory.kept.shape == (17, C)
    assert memory.kept.dtype == np.float32 and not memory.seen.any()


def test_a_segment_that_starts_forgets_what_is_out_of_sight() -> None:
    here, away = FrameView.of((Box(0, 0, 1, 2),)), FrameView.of((Box(9, 9, 1, 2),))
    memory = TokenMemory.start(here, C)
    for view in (here, away):
        memory.look(view)
        memory.advance(np.arange(2), np.ones((2, C), np.int32))
    memory.reset()
    memory.look(here)
    assert memory.first and not memory.seen.any() and not memory.kept.any() and not memory.just_kept.any()
    memory.advance(np.arange(2), np.ones((2, C), np.int32))
    memory.look(away)
    assert not memory.seen.any() and not memory.age.any()


def test_ages_out_of_sight_do_not_end_at_a_byte() -> None:
    here, away = FrameView.of((Box(0, 0, 1, 2),)), FrameView.of((Box(0, 2, 1, 2),))
    memory = TokenMemory.start(here, C)
    memory.advance(np.arange(2), np.ones((2, C), np.int32))
    memory.look(away)
    memory.advance(np.arange(2), np.ones((2, C), np.int32))
    memory.advance_group(np.zeros((70_000, 2), bool), np.zeros((0, C), np.int32))
    memory.look(here)
    assert memory.age.tolist() == [70_001] * 2 and memory.seen.all()


@pytest.mark.parametrize("dtype", [np.int32, np.float32, np.dtype("<u4")])
def test_a_store_gives_back_what_it_was_given_and_zeros_elsewhere(dtype: np.typing.DTypeLike) -> None:
    store = WorldStore(C, dtype)
    view = FrameView.of((Box(-1, -1, 2, 2),))
    values = np.arange(4 * C).reshape(4, C).astype(dtype)
    store.put(view, values, np.arange(4, dtype=np.uint8), np.arange(4, dtype=np.int32), np.array([1, 1, 1, 0], bool))
    other = store.copy()
    store.advance()
    for one, passed in ((store, 1), (other, 0)):
        kept, halvings, age, seen = one.take(FrameView.of((Box(-2, -2, 3, 3),)))
        assert (kept.dtype, halvings.dtype, age.dtype, seen.dtype) == (dtype, np.uint8, np.int32, bool)
        inside = [4, 5, 7]
        assert kept[inside].tolist() == values[:3].tolist() and not np.delete(kept, [*inside, 8], 0).any()
        assert age[inside].tolist() == [passed, 1 + passed, 2 + passed] and not np.delete(age, inside).any()
        assert halvings[inside].tolist() == [0, 1, 2] and np.flatnonzero(seen).tolist() == inside
