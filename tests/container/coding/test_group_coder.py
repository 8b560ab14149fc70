"""What every `GroupCoder` promises: groups come back, both sides remember the same, wrong claims are damage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from latcomp.container import Group, Header
from latcomp.container.coding import (
    AdaptiveCoder,
    ContextCoder,
    FrameCosts,
    GroupBytes,
    GroupCoder,
    GroupContent,
    GroupShape,
    LosslessCoder,
    PriorCoder,
    coder_for,
)
from latcomp.container.coding.prior.frame_coder import FramePass
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError, UsageError
from latcomp.latents import SYMBOL_MAX, Box, FrameView, GroupView, StepScale, TokenMemory, frames_of_tokens
from tests.container.make import content, groups, in_units, prior, shape, sized, under
from tests.container.make_camera import PATHS, camera_groups

CODERS = {
    "adaptive": (AdaptiveCoder, "adaptive"),
    "context": (ContextCoder, "context"),
    "context as planes": (ContextCoder, "zstd"),
    "prior": (PriorCoder, "context"),
    "prior as planes": (PriorCoder, "zstd"),
    "lossless": (LosslessCoder, "context"),
}
GRIDS = [(1, 1), (1, 2), (3, 1), (5, 7)]


def header_for(name: str, grid: tuple[int, int] = (5, 7), channels: int = 6) -> Header:
    """The header of a file that is coded so: one segment of many groups."""
    requires = ("adaptive",) if name == "adaptive" else ()
    coding = "lossless" if name == "lossless" else "int"
    of = sized(*grid, channels, segment_groups=99, coding=coding, requires=requires)
    return under(of, prior(channels)) if name.startswith("prior") else of


def made_for(of: Header, seed: int = 0) -> list[Group]:
    """Four groups of one segment: of usual masks, of a mask without holes, of one that keeps nothing, and a short
    one.
    """
    made = groups(of, 4, seed, last_frames=27)
    everything, nothing = (np.full(made[1].mask.shape, full) for full in (True, False))
    made[1] = replace(made[1], mask=everything, tokens=np.resize(made[0].tokens, (everything.size, of.channels)))
    made[2] = replace(made[2], mask=nothing, tokens=made[2].tokens[:0])
    return made if of.prior is None else in_units(of, made, seed)


def new_coder(of: Header, name: str) -> GroupCoder:
    """The coder of the name, at the start of a segment."""
    kind, coding = CODERS[name]
    found = coder_for(of, None if of.prior is None else prior(of.channels), coding)
    assert type(found) is kind
    return found


def assert_same(found: GroupContent, wanted: GroupContent) -> None:
    """Two groups agree, floats bit by bit."""
    assert (found.mask == wanted.mask).all() and found.mask.dtype == np.bool_
    assert found.tokens.dtype == wanted.tokens.dtype and found.tokens.shape == wanted.tokens.shape
    assert found.tokens.tobytes() == wanted.tokens.tobytes()
    assert (found.halvings is None) == (wanted.halvings is None)
    assert found.halvings is None or found.halvings.tolist() == wanted.halvings.tolist()
    assert (found.key, found.scale) == (wanted.key, wanted.scale)


def state_of(memory: TokenMemory) -> tuple[bytes, bytes, bytes, bool]:
    return memory.kept.tobytes(), memory.halvings.tobytes(), memory.age.tobytes(), memory.first


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("name", CODERS)
def test_groups_come_back_and_both_sides_remember_the_same(name: str, grid: tuple[int, int]) -> None:
    """After each group, writer and reader know what all tokens so far make of a memory, whatever layouts they took."""
    of = header_for(name, grid)
    writing, reading = new_coder(of, name), new_coder(of, name)
    known = TokenMemory.start(of.grid, of.channels, writing.memory.kept.dtype)
    for group in made_for(of):
        data = writing.encode(content(of, group))
        assert_same(reading.decode(data, shape(of, group)), content(of, group))
        known.advance_group(group.mask, group.tokens.view(known.kept.dtype), group.halvings)
        assert state_of(writing.memory) == state_of(reading.memory) == state_of(known)


@pytest.mark.parametrize("name", CODERS)
def test_a_single_token_that_stays(name: str) -> None:
    """Groups of one token each, which is stored as its change from the one before."""
    of = header_for(name, (1, 1))
    token = groups(of, 1)[0].tokens[:1] * of.units
    halvings = None if of.prior is None else np.zeros(1, np.uint8)
    writing, reading = new_coder(of, name), new_coder(of, name)
    for index in range(3):
        group = Group(index, index == 0, 4 * index, np.arange(4), np.ones((1, 1, 1), bool), token, "hold", 0, halvings)
        assert_same(reading.decode(writing.encode(content(of, group)), shape(of, group)), content(of, group))


@pytest.mark.parametrize("name", CODERS)
@pytest.mark.parametrize("at", [0, 2, 3])
def test_another_number_of_tokens_than_there_are_is_damage(name: str, at: int) -> None:
    """A reader that is told of more or fewer tokens, or given more or fewer bytes for them, says so."""
    of = header_for(name)
    made = made_for(of)
    writing = new_coder(of, name)
    *before, data = (writing.encode(content(of, group)) for group in made[: at + 1])
    honest = shape(of, made[at])
    wrong = [(data, replace(honest, kept=kept)) for kept in {0, honest.kept - 1, honest.kept + 1} - {honest.kept}]
    wrong += [(replace(data, tokens=data.tokens + bytes(8)), honest)]
    wrong += [(replace(data, tokens=b""), honest)] if honest.kept else []
    for given, claimed in wrong:
        reading = new_coder(of, name)
        for group, known in zip(made, before, strict=False):
            reading.decode(known, shape(of, group))
        with pytest.raises(DamagedFileError):
            reading.decode(given, claimed)


@pytest.mark.parametrize("name", CODERS)
def test_numbers_of_later_versions_are_unsupported(name: str) -> None:
    """A mask coding or token layout that is not known is no damage: a newer version reads it."""
    of = header_for(name)
    group = made_for(of)[0]
    data = new_coder(of, name).encode(content(of, group))
    for wrong in ({"token_layout": 99}, {"mask_coding": 99}):
        with pytest.raises(UnsupportedFileError, match="is not known"):
            new_coder(of, name).decode(replace(data, **wrong), shape(of, group))


@pytest.mark.parametrize("name", [name for name in CODERS if name != "lossless"])
def test_symbols_beyond_16_bits_are_refused(name: str) -> None:
    """The writer says that the quality is too high, whatever codes."""
    of = header_for(name)
    group = made_for(of)[0]
    group.tokens[3, 1] = SYMBOL_MAX + 1
    with pytest.raises(LimitError, match="16 bits"):
        new_coder(of, name).encode(content(of, group))


def moved_for(of: Header, path: str, seed: int = 0) -> list[Group]:
    """Five groups of one segment that a moving camera saw, and came back to."""
    moving_header = replace(of, requires=("camera",), prior=None, units=1, group_latent_frames=3)
    made = camera_groups(moving_header, 5, PATHS[path], seed, 9)
    return made if of.prior is None else in_units(of, made, seed)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("name", CODERS)
def test_groups_of_a_moving_camera_come_back(name: str, path: str) -> None:
    """Both sides remember what is in sight, what is not, and the change before."""
    of = header_for(name)
    writing, reading = new_coder(of, name), new_coder(of, name)
    known = TokenMemory.start(of.grid, of.channels, writing.memory.kept.dtype)
    for group in moved_for(of, path):
        data = writing.encode(content(of, group))
        assert_same(reading.decode(data, shape(of, group)), content(of, group))
        known.advance_group(group.mask, group.tokens.view(known.kept.dtype), group.halvings, group.view)
        assert state_of(writing.memory) == state_of(reading.memory) == state_of(known)
        assert writing.memory.change().tobytes() == reading.memory.change().tobytes() == known.change().tobytes()


@pytest.mark.parametrize("path", PATHS)
def test_what_was_found_out_while_selecting_a_moving_camera(path: str) -> None:
    """Is used where the latent frames show what they were found for, and found anew where they do not."""
    of = header_for("prior")
    costs = FrameCosts(prior(of.channels), of.units, StepScale(of.step_scale))
    memory = TokenMemory.start(of.grid, of.channels)
    made = [coded_by(costs, of, replace(group, step_adjust=0), memory) for group in moved_for(of, path)]
    knowing, finding = new_coder(of, "prior"), new_coder(of, "prior")
    for group in made:
        assert knowing.encode(group) == finding.encode(replace(group, coded=None))
    shifted = replace(made[0], view=elsewhere(made[0].view))
    assert new_coder(of, "prior").encode(shifted) == new_coder(of, "prior").encode(replace(shifted, coded=None))


def elsewhere(view: GroupView) -> GroupView:
    """The same shape a row further down, where the passes are others."""
    return GroupView.over(
        tuple(
            FrameView(Box(frame.box.top + 1, frame.box.left, *frame.box.shape), frame.visible) for frame in view.frames
        )
    )


def coded_by(costs: FrameCosts, of: Header, group: Group, memory: TokenMemory) -> GroupContent:
    """The group with what a segment's `FrameCosts` finds out about it while it is selected; `memory` moves on."""
    found = content(of, group)
    coded = []
    for frame in frames_of_tokens(group.mask, group.view):
        memory.look(frame.view)
        tokens, halvings = group.tokens[frame.rows], group.halvings[frame.rows]

        def as_they_are(one: FramePass, tokens: np.ndarray = tokens) -> np.ndarray:
            return one.steps_of(tokens)

        same, code = costs.code(memory, frame.mask, tokens, halvings, as_they_are)
        assert (same == tokens).all()
        coded.append(code)
        memory.advance(frame.places, tokens, halvings)
    return replace(found, coded=tuple(coded))


def selected(of: Header, seed: int = 0) -> list[GroupContent]:
    """The groups of a segment as selection hands them over."""
    costs = FrameCosts(prior(of.channels), of.units, StepScale(of.step_scale))
    memory = TokenMemory.start(of.grid, of.channels)
    return [coded_by(costs, of, replace(group, step_adjust=0), memory) for group in made_for(of, seed)]


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("seed", range(3))
def test_what_was_found_out_while_selecting_gives_the_same_bytes(grid: tuple[int, int], seed: int) -> None:
    """The network need not run again for writing: bytes are those that come without what it found before."""
    of = header_for("prior", grid)
    knowing, finding = new_coder(of, "prior"), new_coder(of, "prior")
    for group in selected(of, seed):
        assert knowing.encode(group) == finding.encode(replace(group, coded=None))
        assert state_of(knowing.memory) == state_of(finding.memory)


def changed(of: Header, group: GroupContent, what: str) -> GroupContent:
    """A group that somebody changed after it was selected."""
    if what == "tokens":
        tokens = group.tokens.copy()
        tokens[len(tokens) // 2] += of.units
        return replace(group, tokens=tokens)
    if what == "tokens in place":
        group.tokens[len(group.tokens) // 2] -= of.units
        return group
    if what == "mask":
        last = int(np.flatnonzero(group.mask.reshape(-1))[-1])
        mask = group.mask.copy()
        mask.reshape(-1)[last] = False
        assert group.halvings is not None
        return replace(group, mask=mask, tokens=group.tokens[:-1], halvings=group.halvings[:-1])
    if what == "scale":
        return replace(group, scale=group.scale.adjusted(40))
    if what == "codes":
        assert group.coded is not None
        return replace(group, coded=group.coded[:1])
    raise ValueError(what)


@pytest.mark.parametrize("what", ["tokens", "tokens in place", "mask", "scale", "codes"])
def test_a_group_that_was_changed_after_it_was_selected_is_written_as_it_is(what: str) -> None:
    """And so are those of the segment behind it, whose past is another now."""
    of = header_for("prior")
    writing, finding, reading = (new_coder(of, "prior") for _ in range(3))
    for index, group in enumerate(selected(of)):
        wanted = changed(of, group, what) if index == 1 else group
        data = writing.encode(wanted)
        assert data == finding.encode(replace(wanted, coded=None))
        claim = GroupShape(wanted.view, len(wanted.tokens), wanted.key, wanted.scale)
        assert_same(reading.decode(data, claim), wanted)


def test_groups_of_a_segment_that_are_left_out_change_those_behind() -> None:
    """As do those of another segment in their place."""
    of = header_for("prior")
    first, second, _, last = selected(of)
    other = selected(of, seed=1)
    for chosen in ([first, last], [first, other[1], last], [other[0], second]):
        writing, reading = new_coder(of, "prior"), new_coder(of, "prior")
        for group in chosen:
            claim = GroupShape(group.view, len(group.tokens), group.key, group.scale)
            assert_same(reading.decode(writing.encode(group), claim), group)


def test_planes_need_no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """`zstd` codes and reads without a run of the prior."""
    of = header_for("prior as planes")
    by = prior(of.channels)
    for part in ("past", "trunk", "mask_trunk"):
        monkeypatch.setattr(type(by), part, None)
    writing, reading = (new_coder(of, "prior as planes") for _ in range(2))
    for group in made_for(of):
        assert_same(reading.decode(writing.encode(content(of, group)), shape(of, group)), content(of, group))


def test_an_unknown_coding_is_refused() -> None:
    with pytest.raises(UsageError, match="coding 'ans' is unknown"):
        coder_for(header_for("context"), None, "ans")


def test_group_bytes_may_be_views() -> None:
    """A reader hands over parts of a chunk without copying them."""
    for name in CODERS:
        of = header_for(name)
        group = made_for(of)[0]
        data = new_coder(of, name).encode(content(of, group))
        views = GroupBytes(data.mask_coding, memoryview(data.mask), data.token_layout, memoryview(data.tokens))
        assert_same(new_coder(of, name).decode(views, shape(of, group)), content(of, group))
