"""More channels for a trained tokenizer."""

from dataclasses import replace
from pathlib import Path

import torch

from latcomp.training import tokenizer
from latcomp.training.clips import load_clips
from latcomp.training.components import start_from_components
from latcomp.training.crops import random_crop, to_rgb
from latcomp.training.grow import grow
from latcomp.training.rate import PreviousFramePrior


def test_growing_keeps_what_was_learnt_and_lowers_the_error(clips: Path) -> None:
    found = load_clips(clips, 20, 96)
    config = tokenizer.PRESETS["tiny"].config
    narrow = tokenizer.Tokenizer(config)
    before = PreviousFramePrior(16, start_from_components(narrow, found, seed=0, crops=20))
    wide = tokenizer.Tokenizer(replace(config, channels=24))
    prior = PreviousFramePrior(24, torch.ones(24))
    states = {"tokenizer": narrow.state_dict(), "prior": before.state_dict()}
    pixels = to_rgb(random_crop(found, 0, 1, 1, 8, 64)[None])
    import latcomp.training.grow as module

    module_side = module.random_crop  # the generated clips are smaller than the crops of real training

    def smaller(clips: object, seed: int, step: int, item: int, frames: int, side: int) -> object:
        return module_side(found, seed, step, item, frames, 64)

    module.random_crop = smaller  # type: ignore[assignment]
    try:
        grow(wide, prior, states, found, seed=0, crops=16)
    finally:
        module.random_crop = module_side
    with torch.no_grad():
        latents = wide.encode(pixels)[0]
        assert torch.allclose(latents[:, :16], narrow.encode(pixels)[0], atol=1e-5)
        errors = [
            (model.decode(model.encode(pixels)[0])[0] - pixels)[:, :, 4:].square().mean() for model in (narrow, wide)
        ]
    assert errors[1] < errors[0]
    assert torch.equal(prior.net[0].weight[:, :16], before.net[0].weight[:, :16])
    assert torch.equal(prior.net[0].weight[:, -1], before.net[0].weight[:, -1])
