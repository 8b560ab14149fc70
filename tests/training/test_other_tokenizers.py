"""Protects: a LIT and a prior are trained for a tokenizer of another frame rule, range and factor, and used with it."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

from latcomp import models
from latcomp.caches import cache_folder
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.errors import UsageError
from latcomp.training import lit, prior
from tests.tokenizer import made_up


def test_models_for_a_tokenizer_of_another_frame_rule(clips: Path, tmp_path: Path) -> None:
    """1 + 4k frames of 16 pixels: 40 frames and 96 lines are 37 frames and 6 rows of it; the first stands alone."""
    with made_up.known():
        folder = made_up.write_made_up(tmp_path / "made-up", made_up.Habits(spatial=16, low=-0.5, high=0.5))
        common = {"steps": 1, "preset": "tiny", "device": "cpu", "tokenizer": str(folder)}
        lit.train(clips, folder / "lit", **common)  # type: ignore[arg-type]
        prior.train(clips, folder / "prior", **common)  # type: ignore[arg-type]
        sha256 = models.sha256_of(folder / models.WEIGHTS)
        latents = [np.load(path) for path in (cache_folder() / "latents" / sha256[:16]).glob("*.npy")]
        assert {found.shape for found in latents} == {(6, 10, 6, 8)}
        assert (models.find_lit(folder), models.find_prior(folder)) == (folder / "lit", folder / "prior")
        out = io.BytesIO()
        encode(clips / "clip-1.mp4", out, tokenizer=folder, device="cpu", audio=False)
        lat = out.getvalue()
        assert len(list(decode_frames(io.BytesIO(lat), device="cpu", tokenizer=folder))) == 40


def test_one_that_does_not_stream_is_refused(clips: Path, tmp_path: Path) -> None:
    """A clip's latents are made in one stream, and its own go a group at a time."""
    with made_up.known():
        folder = made_up.write_made_up(tmp_path / "made-up", made_up.Habits(streams=False))
        with pytest.raises(UsageError, match="does not stream"):
            lit.train(clips, tmp_path / "lit", steps=1, preset="tiny", device="cpu", tokenizer=str(folder))
