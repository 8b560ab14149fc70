"""Protects C_fill where the camera moves: it stands in the world, and the groups that follow find it there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from latcomp.inpaint.config import CONTEXT
from latcomp.inpaint.context import FillContext
from latcomp.inpaint.fill import Filler, holds_well
from latcomp.inpaint.model import Lit
from latcomp.latents import Box, FrameView, GroupView, HeldGroup, StepScale, TokenMemory, hold
from tests.inpaint.make import C, lit

SCALE, CPU = StepScale(1.0), torch.device("cpu")


def panned(start: int, frames: int) -> GroupView:
    """Latent frames of a camera that goes three columns right and one row up each; two frames of each are shown."""
    return GroupView.over(
        tuple(FrameView.of([Box(-t, 3 * t, 9, 12), Box(-t, 3 * t + 1, 8, 13)]) for t in range(start, start + frames))
    )


def groups(sizes: Sequence[int], seed: int = 0) -> list[HeldGroup]:
    """Held groups of so many latent frames, one segment."""
    rng, start, found = np.random.default_rng(seed), 0, []
    memory: TokenMemory | None = None
    for size in sizes:
        view = panned(start, size)
        memory = memory or TokenMemory.start(view.frames[0], C, np.float32)
        mask = (rng.random(view.shape) < 0.4) & view.visible
        tokens = rng.normal(0, 1, (int(mask.sum()), C)).astype(np.float32)
        found.append(hold(memory, tokens, mask, view=view))
        start += size
    return found


def on(window: Box, values: np.ndarray, old: Box) -> Tensor:
    """(1, ..., h, w) over a larger window, zero or false around."""
    wide = np.zeros((1, *values.shape[:-2], *window.shape), values.dtype)
    wide[(..., *old.inside(window))] = values
    return torch.from_numpy(wide)


@pytest.mark.parametrize("sizes", [(3, 4, 2), (1, 1, 1, 3), (2, 1)])
def test_groups_on_windows_of_their_own_are_filled_as_on_one(sizes: tuple[int, ...]) -> None:
    """What is carried from window to window is what one constant window would hold, as far as the next window shows
    it."""
    made, found = lit(), groups(sizes)
    filler = Filler(made, CPU)
    world = Box.around(group.view.window for group in found)
    context, context_visible = None, None
    with torch.inference_mode():
        for group in found:
            view = group.view
            filled = filler.fill(group, "lit", SCALE)
            held, mask, age, visible = (
                on(world, array, view.window) for array in (group.held, group.mask, group.age, view.visible)
            )
            if context is not None:
                context_visible = context_visible & on(world, np.ones(view.window.shape, bool), view.window)
            origin = (world.top, world.left)
            wide = made(held, mask, age.float(), torch.ones(1), context, visible, origin, context_visible)
            here = wide[(..., *view.window.inside(world))]
            there = torch.tensor(view.visible)
            assert torch.allclose(here[0][:, there], filled[0][:, there], atol=1e-5)
            context = wide if context is None else torch.cat([context, wide], 2)
            context_visible = visible if context_visible is None else torch.cat([context_visible, visible], 1)
            context, context_visible = context[:, :, -CONTEXT:], context_visible[:, -CONTEXT:]


def test_what_the_old_window_did_not_hold_is_neither_visible_nor_there() -> None:
    view = panned(0, 3)
    window = view.window
    context = FillContext.after(None, torch.ones(1, C, *view.shape), view)
    assert np.array_equal(context.visible, view.visible[-CONTEXT:])
    assert np.array_equal(context.latents[0, 0], context.visible), "zero where not visible"
    assert context.over(window) is context
    moved = context.over(Box(window.top + 2, window.left - 3, window.rows, window.columns))
    assert not moved.visible[..., :3].any() and not moved.visible[:, -2:].any()
    assert np.array_equal(moved.visible[:, :-2, 3:], context.visible[:, 2:, :-3])
    assert np.array_equal(moved.latents[0, 0], moved.visible)
    away = context.over(Box(window.bottom, window.left, 4, 5))
    assert away.latents.shape == (1, C, CONTEXT, 4, 5) and not away.visible.any() and not away.latents.any()


def test_the_context_of_a_group_does_not_change_with_it() -> None:
    """A held group shares its memory with who made it."""
    view = GroupView.whole(3, (4, 5))
    filled = torch.ones(1, C, *view.shape)
    context = FillContext.after(None, filled, view)
    filled.zero_()
    assert context.latents.all()


def test_the_reader_continues_with_the_context_the_writer_chose() -> None:
    made, rng = lit(), np.random.default_rng(5)
    writer, reader = Filler(made, CPU), Filler(made, CPU)
    choices = set()
    for number, group in enumerate(groups((3, 2, 4, 2))):
        truth = group.held + rng.normal(0, 1, group.held.shape).astype(np.float32)
        if number % 2:  # what the LIT makes of it
            before = writer._context
            truth = writer.fill(group, "lit", SCALE)[0].numpy()
            writer._context = before
        choice, filled = writer.fill_best(group, truth, SCALE)
        choices.add(choice)
        assert torch.equal(reader.fill(group, choice, SCALE), filled)
        assert torch.equal(writer._context.latents, reader._context.latents)
        assert np.array_equal(writer._context.visible, reader._context.visible)
        assert writer._context.window == reader._context.window
    assert choices == {"lit", "hold"}


def test_errors_count_where_something_is_visible() -> None:
    """Whatever the encoder's latents are where a latent frame shows nothing, the choice is the same."""
    group = groups((3,))[0]
    dropped = ~group.mask & group.view.visible
    truth = group.held + np.where(group.mask, 1.0, 0.1).astype(np.float32)
    made = lit()
    painted = Filler(made, CPU).fill(group, "lit", SCALE)[0].numpy()
    for wanted, choice in ((truth, "hold"), (painted, "lit")):
        for beyond in (0.0, 1e4):
            given = np.where(group.view.visible, wanted, np.float32(beyond))
            assert Filler(made, CPU).fill_best(group, given, SCALE)[0] == choice
    assert holds_well(group, np.where(group.view.visible, truth, np.float32(1e4)), 0.0101)
    assert not holds_well(group, np.where(dropped, truth, group.held), 0.0101)


def test_the_lit_does_not_run_where_all_that_is_visible_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    view = panned(0, 3)
    memory = TokenMemory.start(view.frames[0], C, np.float32)
    tokens = np.ones((view.count, C), np.float32)
    group = hold(memory, tokens, view.visible.copy(), view=view)
    made = lit()
    monkeypatch.setattr(Lit, "forward", lambda *given: pytest.fail("the LIT ran"))
    filler = Filler(made, CPU)
    assert torch.equal(filler.fill(group, "lit", SCALE), torch.from_numpy(group.held)[None])
    assert filler.fill_best(group, group.held + 1, SCALE)[0] == "hold"
