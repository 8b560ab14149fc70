"""Protects: what a LIT is trained on follows a group before it where clips are long enough, and is drawn at once where
they are not.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latcomp.inpaint.model import GROUP, Lit, LitConfig
from latcomp.latents.profile import CodingProfile
from latcomp.selection import SelectionRecipe
from latcomp.training import lit
from latcomp.training.feed import on_device
from latcomp.training.latents import LatentClips
from tests.training.moving import moving_clip

CHANNELS = 4
RECIPE = SelectionRecipe.of(CHANNELS * (1.0,), CHANNELS * (1.0,), CodingProfile(), 1)


def clips(frames: int) -> LatentClips:
    return LatentClips([np.random.default_rng(1).normal(0, 3, (CHANNELS, frames, 5, 6)).astype(np.float16)])


def test_examples_have_context_where_clips_hold_two_groups() -> None:
    """About half of the batches of long clips do, and in each either all examples or none."""
    made = [lit.batch_examples(clips(2 * GROUP), RECIPE, 7, index, 2) for index in range(8)]
    assert {len({example.has_context for example in batch}) for batch in made} == {1}
    following = [example for batch in made for example in batch if example.has_context]
    assert 0 < len(following) < 16
    assert all(np.abs(example.context).max() > 0 for example in following)


def test_no_example_is_thrown_away_where_no_clip_holds_two_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = lit.make_example
    monkeypatch.setattr(lit, "make_example", lambda *arguments: made.append(make(*arguments)) or made[-1])
    for index in range(8):
        batch = lit.batch_examples(clips(2 * GROUP - 1), RECIPE, 7, index, 2)
        assert not any(example.has_context for example in batch)
    assert len(made) == 16


def test_examples_of_a_moving_camera_are_blind_to_what_is_not_visible() -> None:
    """Positions enter and leave: nothing is kept, counted or seen where a latent frame shows nothing, and still crops
    stand beside them in one batch."""
    moving = LatentClips(clips(2 * GROUP), {0: moving_clip(CHANNELS, 3)})
    batches = [lit.batch_examples(moving, RECIPE, 7, index, 3) for index in range(12)]
    found = [example for batch in batches for example in batch if not example.visible.all()]
    assert found
    for example in found:
        hidden = ~example.visible
        assert not example.mask[hidden].any()
        assert not example.context[:, ~example.context_visible].any()
    mixed = next(batch for batch in batches if batch[0].has_context and not batch[0].visible.all())
    batch = on_device(lit.stacked(mixed), torch.device("cpu"))
    network = Lit(LitConfig(channels=CHANNELS, width=32, layers=1, heads=2, expansion=2))
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    error, hold = lit.run_lit(network, batch)
    elsewhere = dict(batch)
    for name in ("held", "target"):
        noise = torch.randn_like(batch[name]) * ~batch["visible"].unsqueeze(1)
        elsewhere[name] = batch[name] + noise
    again = lit.run_lit(network, elsewhere)
    assert torch.allclose(error, again[0], rtol=1e-4) and torch.allclose(hold, again[1], rtol=1e-4)
