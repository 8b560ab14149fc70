"""The LIT: hold at the start, kept tokens untouched, any grid, C_fill across groups, independence of far windows."""

import numpy as np
import pytest
import torch

from latcomp.inpaint.config import CONTEXT, LitConfig
from latcomp.inpaint.fill import Filler
from latcomp.inpaint.model import Lit, next_kept
from latcomp.latents import HeldGroup, StepScale, TokenMemory, hold

C = 5


def lit(seed: int = 0, trained: bool = True) -> Lit:
    torch.manual_seed(seed)
    model = Lit(LitConfig(channels=C, width=16, layers=2, heads=2))
    if trained:
        torch.nn.init.normal_(model.leave.weight, std=0.2)
    return model.eval().requires_grad_(False)


def group(height: int, width: int, frames: int = 8, seed: int = 1) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mask = torch.rand(1, frames, height, width, generator=generator) < 0.4
    mask[:, 0] = True
    held = torch.randn(1, C, frames, height, width, generator=generator)
    for t in range(1, frames):
        held[:, :, t] = torch.where(mask[:, t : t + 1].squeeze(1)[:, None], held[:, :, t], held[:, :, t - 1])
    age = torch.zeros(mask.shape)
    for t in range(1, frames):
        age[:, t] = torch.where(mask[:, t], 0, age[:, t - 1] + 1)
    return held, mask, age


STEP = torch.ones(1)
SCALE = StepScale(1.0)


def held_group(values: torch.Tensor, mask: torch.Tensor) -> HeldGroup:
    """The kept tokens of values (1, C, T, h, w) under a mask (1, T, h, w), held at the start of a segment."""
    return hold(TokenMemory.start(tuple(mask.shape[2:]), C, np.float32), *tokens_of(values, mask))


def tokens_of(values: torch.Tensor, mask: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Tokens (N, C) and mask (T, h, w)."""
    return values[0].permute(1, 2, 3, 0)[mask[0]].numpy(), mask[0].numpy()


def test_an_untrained_lit_is_hold() -> None:
    held, mask, age = group(9, 11)
    assert torch.equal(lit(trained=False)(held, mask, age, STEP, None), held)


@pytest.mark.parametrize("size", [(1, 1), (3, 20), (8, 8), (9, 17)])
def test_any_grid_is_filled_and_kept_tokens_are_never_altered(size: tuple[int, int]) -> None:
    held, mask, age = group(*size)
    filled = lit()(held, mask, age, STEP, held[:, :, -CONTEXT:])
    kept = mask.unsqueeze(1).expand_as(held)
    assert torch.equal(filled[kept], held[kept])
    if not mask.all():
        assert not torch.equal(filled, held)


def test_padding_of_the_windows_does_not_leak_into_the_grid() -> None:
    """The same picture inside a larger one whose surroundings are cut off must not see those surroundings through the
    padding.
    """
    model = lit()
    held, mask, age = group(8, 8)
    alone = model.layers[0].space(torch.ones(1, 1, 8, 8, 16))
    constant = model.layers[0].space(torch.ones(1, 1, 5, 6, 16))
    assert torch.allclose(alone[0, 0, 0, 0], constant[0, 0, 0, 0], atol=1e-5)


def test_next_kept_points_at_the_next_keep_of_the_position() -> None:
    held = torch.arange(4.0).view(1, 1, 4, 1, 1)
    mask = torch.tensor([True, False, True, False]).view(1, 4, 1, 1)
    ahead, distance, known = next_kept(held, mask)
    assert ahead.flatten().tolist()[:3] == [0, 2, 2]
    assert distance.flatten().tolist() == [0, 1, 0, 0]
    assert known.flatten().tolist() == [1, 1, 1, 0]


def test_a_group_is_filled_by_what_is_closer_to_the_truth() -> None:
    held, mask, age = group(8, 8)
    model = lit()
    found = held_group(held, mask)
    painted = model(held, mask, age, STEP, None)[0].numpy()
    assert Filler(model, torch.device("cpu")).fill_best(found, painted, SCALE)[0] == "lit"
    assert Filler(model, torch.device("cpu")).fill_best(found, found.held, SCALE)[0] == "hold"


def test_the_lit_is_not_tried_where_hold_lost_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where dropped positions are closer to the truth than kept ones, the encoder saves the LIT's time; C_fill goes on
    with hold.
    """
    held, mask, _ = group(8, 8)
    model = lit()
    found = held_group(held, mask)
    ran = []
    monkeypatch.setattr(Lit, "forward", lambda self, held, *rest: ran.append(1) or held)
    for error_at_dropped, runs in ((0.5, 0), (2.0, 1)):
        truth = found.held + np.where(mask[0].numpy(), 1.0, error_at_dropped).astype(np.float32)
        filler = Filler(model, torch.device("cpu"))
        choice, filled = filler.fill_best(found, truth, SCALE)
        assert (choice, len(ran)) == ("hold", runs)
        assert torch.equal(filled, torch.from_numpy(found.held)[None])
        assert torch.equal(filler._context.latents, filled[:, :, -CONTEXT:])


def test_the_reader_continues_with_the_context_the_writer_chose() -> None:
    """C_fill after `fill_best` must be what `fill` leaves behind, or the second group would differ between the two
    sides.
    """
    model = lit()
    writer, reader = (Filler(model, torch.device("cpu")) for _ in range(2))
    memory = TokenMemory.start((8, 8), C, np.float32)
    for seed in range(3):
        held, mask, _ = group(8, 8, seed=seed)
        found = hold(memory, *tokens_of(held, mask))
        truth = found.held + np.random.default_rng(seed).normal(0, 1, found.held.shape).astype(np.float32)
        choice, filled = writer.fill_best(found, truth, SCALE)
        assert torch.equal(reader.fill(found, choice, SCALE), filled)
        assert torch.equal(writer._context.latents, reader._context.latents)
