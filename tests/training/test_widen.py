"""Wider models that go on from narrower ones: what the old channels say must not change before training does."""

from __future__ import annotations

import pytest
import torch

from latcomp.errors import UsageError
from latcomp.inpaint.config import EXTRA, LitConfig
from latcomp.inpaint.model import Lit
from latcomp.training.prior import STACKS, Frames
from latcomp.training.prior_net import FACTS, PriorConfig, PriorNet
from latcomp.training.widen import Stack, widen_all

NARROW, WIDE = 8, 13


def shaken(module: torch.nn.Module) -> torch.nn.Module:
    """The module with all of its weights moved, so that none of them is zero."""
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return module


def with_zeros(values: torch.Tensor) -> torch.Tensor:
    """(B, C, ...) with channels of zeros up to the wider number."""
    return torch.cat([values, values.new_zeros(values.shape[0], WIDE - NARROW, *values.shape[2:])], dim=1)


def test_a_wider_prior_predicts_the_old_channels_as_before() -> None:
    narrow, wide = (PriorNet(PriorConfig(channels=c, embed=8, width=12, known=6)) for c in (NARROW, WIDE))
    shaken(narrow)
    widen_all({"prior": wide}, {"prior": narrow.state_dict()}, STACKS)
    kept, change, values = (torch.randint(-20, 20, (2, NARROW, 5, 6)).float() for _ in range(3))
    rest = (torch.ones(2, 5, 6, dtype=torch.bool), torch.ones(2, FACTS, 5, 6), torch.zeros(2, 5, 6, dtype=torch.int64))
    shown = torch.ones(2, 5, 6, dtype=torch.bool)
    frames = [
        Frames(*planes, *rest, torch.zeros(2, 1, 5, 6), shown, shown, torch.tensor([[0, 1], [1, 0]]))
        for planes in ((kept, change, values), tuple(map(with_zeros, (kept, change, values))))
    ]
    before, after = (net(some, net.past(some)) for net, some in zip((narrow, wide), frames, strict=True))
    for old, new in zip(before, after, strict=True):
        torch.testing.assert_close(new[:, :NARROW], old)


def test_a_wider_lit_fills_the_old_channels_as_before() -> None:
    narrow, wide = (Lit(LitConfig(channels=c, width=12, heads=3, layers=1)) for c in (NARROW, WIDE))
    shaken(narrow)
    widen_all({"lit": wide}, {"lit": narrow.state_dict()}, {"enter.weight": Stack(runs=2, tail=EXTRA)})
    held, mask = torch.randn(1, NARROW, 4, 8, 8), torch.rand(1, 4, 8, 8) < 0.5
    age, scale, context = torch.ones(1, 4, 8, 8), torch.ones(1), torch.randn(1, NARROW, 2, 8, 8)
    before = narrow(held, mask, age, scale, context)
    after = wide(with_zeros(held), mask, age, scale, with_zeros(context))
    torch.testing.assert_close(after[:, :NARROW], before)


def test_weights_of_another_kind_are_refused() -> None:
    wide = PriorNet(PriorConfig(channels=WIDE, embed=8, width=12, known=6))
    with pytest.raises(UsageError, match="another shape"):
        widen_all({"prior": wide}, {"prior": {"embed.weight": torch.zeros(9, 2 * NARROW, 1, 1)}}, STACKS)
    with pytest.raises(UsageError, match="another shape"):
        widen_all({"prior": wide}, {"prior": {"nothing": torch.zeros(1)}}, STACKS)
