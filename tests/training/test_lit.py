"""Protects: what a LIT is trained on follows a group before it where clips are long enough, and is drawn at once where
they are not.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from latcomp import models
from latcomp.inpaint.config import GROUP, LitConfig
from latcomp.inpaint.model import Lit
from latcomp.latents.profile import CodingProfile
from latcomp.selection import PRIOR_UNITS, SelectionRecipe
from latcomp.tokenizer.cv8x8x4.model import EXACT_SCALE
from latcomp.training import lit, lit_examples
from latcomp.training.feed import on_device
from latcomp.training.latents import LatentClips
from latcomp.training.lit_pixels import FLOOR, PixelErrors
from tests.training.moving import moving_clip

CHANNELS = 4
CPU = torch.device("cpu")
RECIPE = SelectionRecipe.of(CHANNELS * (1.0,), CHANNELS * (1.0,), CodingProfile(), 1)


def clips(frames: int) -> LatentClips:
    return LatentClips([np.random.default_rng(1).normal(0, 3, (CHANNELS, frames, 5, 6)).astype(np.float16)])


def test_examples_have_context_where_clips_hold_two_groups() -> None:
    """About half of the batches of long clips do, and in each either all examples or none."""
    made = [lit_examples.batch_examples(clips(2 * GROUP), RECIPE, 7, index, 2) for index in range(8)]
    assert {len({example.has_context for example in batch}) for batch in made} == {1}
    following = [example for batch in made for example in batch if example.has_context]
    assert 0 < len(following) < 16
    assert all(np.abs(example.context).max() > 0 for example in following)


def test_no_example_is_thrown_away_where_no_clip_holds_two_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    make = lit_examples.make_example
    monkeypatch.setattr(lit_examples, "make_example", lambda *arguments: made.append(make(*arguments)) or made[-1])
    for index in range(8):
        batch = lit_examples.batch_examples(clips(2 * GROUP - 1), RECIPE, 7, index, 2)
        assert not any(example.has_context for example in batch)
    assert len(made) == 16


def test_examples_of_a_moving_camera_are_blind_to_what_is_not_visible() -> None:
    """Positions enter and leave: nothing is kept, counted or seen where a latent frame shows nothing, and still crops
    stand beside them in one batch."""
    moving = LatentClips(clips(2 * GROUP), {0: moving_clip(CHANNELS, 3)})
    batches = [lit_examples.batch_examples(moving, RECIPE, 7, index, 3) for index in range(12)]
    found = [example for batch in batches for example in batch if not example.visible.all()]
    assert found
    for example in found:
        hidden = ~example.visible
        assert not example.mask[hidden].any()
        assert not example.context[:, ~example.context_visible].any()
    mixed = next(batch for batch in batches if batch[0].has_context and not batch[0].visible.all())
    batch = on_device(lit_examples.stacked(mixed), torch.device("cpu"))
    network = Lit(LitConfig(channels=CHANNELS, width=32, layers=1, heads=2, expansion=2))
    torch.nn.init.normal_(network.leave.weight, std=0.1)
    error, hold = lit.run_lit(network, batch)
    elsewhere = dict(batch)
    for name in ("held", "target"):
        noise = torch.randn_like(batch[name]) * ~batch["visible"].unsqueeze(1)
        elsewhere[name] = batch[name] + noise
    again = lit.run_lit(network, elsewhere)
    assert torch.allclose(error, again[0], rtol=1e-4) and torch.allclose(hold, again[1], rtol=1e-4)


def test_pixels_of_a_fill_are_measured_against_the_true_latents() -> None:
    """The true latents have less error than hold, none but the floor where the decoder is told exact steps; what is not
    visible counts for nothing."""
    tokenizer = models.load_tokenizer(models.find_tokenizer(None))
    spec = tokenizer.spec
    recipe = SelectionRecipe.of(spec.channel_step, spec.channel_scale, CodingProfile(), PRIOR_UNITS)
    walk = np.cumsum(np.random.default_rng(2).normal(0, 0.6, (spec.channels, GROUP, 6, 6)), axis=1)
    some = LatentClips([walk.astype(np.float16)])
    drawn = lit_examples.Drawn(6, weighed=1.0)
    batch = on_device(lit_examples.stacked(lit_examples.batch_examples(some, recipe, 7, 0, 2, drawn)), CPU)
    errors = PixelErrors(tokenizer)
    found, hold = errors(batch["truth"], batch)
    assert (found < 0.9 * hold).all() and (found > FLOOR).all()
    finest = batch | {"step_scale": torch.full_like(batch["step_scale"], EXACT_SCALE)}
    exact = errors(batch["truth"], finest | {"halvings": torch.zeros_like(batch["halvings"])})[0]
    assert torch.allclose(exact, torch.full_like(exact, FLOOR))
    batch["visible"][..., :3] = False
    spoilt = batch["truth"].clone()
    spoilt[..., 0] += 5
    assert errors(spoilt, batch)[0].max() < errors(spoilt.flip(-1), batch)[0].min() / 3


def test_a_gate_is_learned_from_a_lit_without_one() -> None:
    """An open gate changes little; it closes where it is told to, and then the fill is hold."""
    torch.manual_seed(1)
    plain = Lit(LitConfig(channels=CHANNELS, width=32, layers=1, heads=2, expansion=2))
    torch.nn.init.normal_(plain.leave.weight, std=0.1)
    gated = Lit(LitConfig(channels=CHANNELS, width=32, layers=1, heads=2, expansion=2, gated=True))
    assert gated.load_state_dict(plain.state_dict(), strict=False).missing_keys == ["gate.weight", "gate.bias"]
    batch = on_device(lit_examples.stacked(lit_examples.batch_examples(clips(GROUP), RECIPE, 7, 0, 2)), CPU)
    assert gated.gate is not None
    with torch.no_grad():
        before, after = (lit.filled_by(one, batch) - batch["held"] for one in (plain, gated))
        assert torch.allclose(after, before * torch.sigmoid(gated.gate.bias), atol=1e-5)
        gated.gate.bias.fill_(-40)
        assert torch.allclose(lit.filled_by(gated, batch), batch["held"], atol=1e-5)


def test_halvings_are_learned_from_a_lit_that_was_not_told_of_them() -> None:
    """What a finished LIT was not told of it does not heed at first, and its weights stay in their places."""
    torch.manual_seed(1)
    shape = {"channels": CHANNELS, "width": 32, "layers": 1, "heads": 2, "expansion": 2}
    plain = Lit(LitConfig(**shape))  # type: ignore[arg-type]
    torch.nn.init.normal_(plain.leave.weight, std=0.1)
    told = Lit(LitConfig(**shape, told_halvings=True))  # type: ignore[arg-type]
    told.load_state_dict(lit.with_column_of_halvings(plain.state_dict()))
    assert lit.with_column_of_halvings(told.state_dict())["enter.weight"].shape == told.enter.weight.shape
    batch = on_device(lit_examples.stacked(lit_examples.batch_examples(clips(GROUP), RECIPE, 7, 0, 2)), CPU)
    with torch.no_grad():
        assert torch.allclose(lit.filled_by(told, batch), lit.filled_by(plain, batch), atol=1e-5)
        told.enter.weight[:, -1] = 1.0
        finer = batch | {"halvings": batch["halvings"] + 1}
        assert not torch.allclose(lit.filled_by(told, finer), lit.filled_by(told, batch), atol=1e-3)
        assert torch.equal(lit.filled_by(plain, finer), lit.filled_by(plain, batch))
