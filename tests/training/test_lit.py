"""Protects: what a LIT is trained on follows a group before it where clips are long enough, and is drawn at once where
they are not.
"""

from __future__ import annotations

import numpy as np
import pytest

from latcomp.inpaint.model import GROUP
from latcomp.latents.profile import CodingProfile
from latcomp.selection import SelectionRecipe
from latcomp.training import lit
from latcomp.training.latents import LatentClips

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
