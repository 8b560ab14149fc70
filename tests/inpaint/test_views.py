"""Protects the LIT where the camera moves: what a latent frame does not show has no influence, and windows of attention
stand in the world, not in the group's window."""

from __future__ import annotations

from typing import NamedTuple

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from latcomp.inpaint import model
from latcomp.inpaint.config import CONTEXT
from tests.inpaint.make import C, lit

FRAMES, HEIGHT, WIDTH = 4, 13, 30


class Case(NamedTuple):
    """What a LIT is given, over a window of 13 x 30 positions in which the camera pans."""

    held: Tensor
    mask: Tensor
    age: Tensor
    step_scale: Tensor
    context: Tensor
    visible: Tensor
    origin: tuple[int, int] = (0, 0)
    context_visible: Tensor | None = None


def panned(seed: int = 1) -> Case:
    """Boxes of 11 x 17 that move by two positions a latent frame, one with a corner missing; C_fill is before it."""
    generator = torch.Generator().manual_seed(seed)
    visible = torch.zeros(1, CONTEXT + FRAMES, HEIGHT, WIDTH, dtype=torch.bool)
    for t in range(CONTEXT + FRAMES):
        visible[:, t, t % 3 : t % 3 + 11, 2 * t + 1 : 2 * t + 18] = True
    visible[:, 3, :4, :9] = False
    now = visible[:, CONTEXT:]
    mask = (torch.rand(now.shape, generator=generator) < 0.4) & now
    held = torch.randn(1, C, FRAMES, HEIGHT, WIDTH, generator=generator)
    context = torch.randn(1, C, CONTEXT, HEIGHT, WIDTH, generator=generator)
    age = torch.randint(0, 9, now.shape, generator=generator) * ~mask
    return Case(held, mask, age.float(), torch.ones(1), context, now, (3, 5), visible[:, :CONTEXT])


def shown(filled: Tensor, case: Case) -> Tensor:
    """(C, P): the values that are visible."""
    return filled[0][:, case.visible[0]]


@pytest.mark.parametrize("with_context", [False, True])
def test_a_view_of_everything_gives_bit_for_bit_what_no_view_gives(with_context: bool) -> None:
    made, case = lit(), panned()
    mask, context = case.mask, case.context if with_context else None
    plain = made(case.held, mask, case.age, case.step_scale, context)
    all_of_it = torch.ones_like(mask)
    before = torch.ones_like(case.context[:, 0], dtype=torch.bool) if with_context else None
    assert torch.equal(made(case.held, mask, case.age, case.step_scale, context, all_of_it, (0, 0), before), plain)
    assert torch.equal(made(case.held, mask, case.age, case.step_scale, context, all_of_it, (8, -16)), plain)
    # through the code for views, by a branch that is not asked whether all is visible
    features = torch.randn(1, 2, HEIGHT, WIDTH, 16)
    everywhere = torch.ones(1, 2, HEIGHT, WIDTH, dtype=torch.bool)
    for layer in made.layers:
        assert torch.allclose(layer(features, everywhere, (0, 0)), layer(features), atol=1e-5)


@pytest.mark.parametrize("value", [1e30, float("nan")])
def test_what_is_not_visible_has_no_influence_and_comes_back_as_it_was(value: float) -> None:
    made, case = lit(), panned()
    filled = made(*case)
    assert (shown(filled, case) - shown(case.held, case)).abs().max() > 0.1, "something was painted in"
    hidden = ~case.visible
    held = case.held.masked_fill(hidden.unsqueeze(1), value)
    other = case._replace(
        held=held,
        age=case.age.masked_fill(hidden, 1000.0),
        mask=case.mask | hidden,
        context=case.context.masked_fill(~case.context_visible.unsqueeze(1), value),
    )
    found = made(*other)
    assert torch.equal(shown(found, case), shown(filled, case))
    outside = found[0][:, hidden[0]]
    assert torch.equal(outside.nan_to_num(), held[0][:, hidden[0]].nan_to_num())
    assert torch.equal(filled[0][:, hidden[0]], case.held[0][:, hidden[0]])


def test_kept_tokens_are_never_altered() -> None:
    made, case = lit(), panned()
    filled = made(*case)
    assert torch.equal(filled[0][:, case.mask[0]], case.held[0][:, case.mask[0]])


def test_a_shift_of_the_world_by_whole_windows_changes_nothing() -> None:
    made, case = lit(), panned()
    filled = made(*case)
    for shift in ((8, 0), (-16, 24), (0, -8)):
        moved = case._replace(origin=(case.origin[0] + shift[0], case.origin[1] + shift[1]))
        assert torch.equal(made(*moved), filled)
    other = made(*case._replace(origin=(case.origin[0] + 1, case.origin[1])))
    assert not torch.allclose(shown(other, case), shown(filled, case), atol=1e-3), "windows follow the world"


@pytest.mark.parametrize("most", [None, 1, 100])
@pytest.mark.parametrize("border", [(0, 0, 0, 0), (5, 3, 9, 0), (16, 8, 1, 2)])
def test_a_part_of_a_larger_window_is_filled_as_on_its_own(
    border: tuple[int, int, int, int], most: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """border: what the larger window has beside the smaller: left, right, top, bottom. most: positions that go through
    at once."""
    made, case = lit(), panned()
    alone = made(*case)
    if most is not None:
        monkeypatch.setattr(model, "PART_POSITIONS", most)
        monkeypatch.setattr(model, "PART_SERIES", most)
    left, _, top, _ = border
    larger = Case(
        F.pad(case.held, border, value=3.0),
        F.pad(case.mask, border),
        F.pad(case.age, border),
        case.step_scale,
        F.pad(case.context, border, value=-3.0),
        F.pad(case.visible, border),
        (case.origin[0] - top, case.origin[1] - left),
        F.pad(case.context_visible, border),
    )
    with torch.inference_mode():
        filled = made(*larger)[..., top : top + HEIGHT, left : left + WIDTH]
    assert torch.allclose(shown(filled, case), shown(alone, case), atol=1e-5)


def test_a_rectangle_that_stays_is_filled_as_a_group_of_its_size() -> None:
    """What is visible is then the whole of a smaller window, which takes the code without views."""
    made, case = lit(), panned()
    rows, columns = slice(2, 11), slice(4, 25)
    visible = torch.zeros_like(case.visible)
    visible[..., rows, columns] = True
    before = torch.zeros_like(case.context_visible)
    before[..., rows, columns] = True
    mask = case.mask & visible
    within = made(*case._replace(mask=mask, visible=visible, context_visible=before))[..., rows, columns]
    held, age, context = (one[..., rows, columns] for one in (case.held, case.age, case.context))
    origin = (case.origin[0] + 2, case.origin[1] + 4)
    alone = made(held, mask[..., rows, columns], age, case.step_scale, context, None, origin)
    assert torch.allclose(within, alone, atol=1e-5)


def test_latent_frames_that_show_nothing_are_passed_by_and_gradients_stay_finite() -> None:
    made, case = lit(), panned()
    case.visible[:, 1] = False
    case = case._replace(mask=case.mask & case.visible, context_visible=torch.zeros_like(case.context_visible))
    with torch.inference_mode():
        filled = made(*case)
    alone = made(*case._replace(context=None, context_visible=None))
    assert torch.allclose(shown(filled, case), shown(alone, case), atol=1e-5), "an empty C_fill is as none"
    made.requires_grad_(True)
    held = case.held.clone().requires_grad_(True)
    trained = made(*case._replace(held=held))
    assert torch.allclose(trained, filled, atol=1e-5), "with gradients and without"
    shown(trained, case).square().sum().backward()
    for name, parameter in made.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert held.grad.isfinite().all()
    assert not held.grad[0][:, ~case.visible[0]].any()


def test_windows_and_positions_that_show_nothing_are_left_out() -> None:
    """The cost of attention in space and of the MLP follows what is visible, not the group's window."""
    made, case = lit(), panned()
    seen: dict[str, int] = {}
    layer = made.layers[0]
    for name, branch in (("space", layer.space.qkv), ("mlp", layer.expand)):
        branch.register_forward_pre_hook(lambda _, given, name=name: seen.update({name: given[0].numel() // 16}))
    made(*case)
    visible = torch.cat([case.context_visible, case.visible], 1)
    assert seen["mlp"] == int(visible.sum())
    padded = F.pad(visible[0], (5, 5, 3, 0)).unflatten(2, (5, 8)).unflatten(1, (2, 8))
    assert seen["space"] == 64 * int(padded.any(4).any(2).sum()) < padded.numel()
