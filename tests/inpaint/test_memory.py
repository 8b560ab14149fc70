"""Protects the memory of large pictures: a LIT goes through them part by part, and fills as if it took them at once."""

from __future__ import annotations

import pytest
import torch

from latcomp.inpaint import model
from latcomp.inpaint.config import LitConfig
from latcomp.inpaint.model import Lit


@pytest.mark.parametrize("context", [False, True])
@pytest.mark.parametrize("most", [1, 100, 250])
def test_parts_do_not_show(most: int, context: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    lit = Lit(LitConfig(channels=4, width=24, layers=2, heads=2)).eval()
    for parameter in lit.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    held, mask = torch.randn(1, 4, 5, 11, 19), torch.rand(1, 5, 11, 19) < 0.4
    before = torch.randn(1, 4, 2, 11, 19) if context else None
    seen: list[int] = []
    for layer in lit.layers:
        for branch in (layer.norm_space, layer.norm_time, layer.norm_mlp):
            branch.register_forward_pre_hook(lambda _, given: seen.append(given[0].numel() // 24))
    with torch.inference_mode():
        age, scale = torch.ones(1, 5, 11, 19), torch.tensor([1.0])
        whole = lit(held, mask, age, scale, before)
        assert len(seen) == 6
        seen.clear()
        monkeypatch.setattr(model, "PART_POSITIONS", most)
        monkeypatch.setattr(model, "PART_SERIES", most)
        parts = lit(held, mask, age, scale, before)
    assert (whole - held).abs().max() > 0.01, "something was painted in"
    assert torch.allclose(whole, parts, atol=1e-5)
    assert len(seen) > 6
    # one slice at least goes through: a latent frame, or a row of all latent frames
    assert max(seen) <= max(7 * most, 11 * 19)
