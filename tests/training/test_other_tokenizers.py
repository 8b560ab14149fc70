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
from latcomp.container import Reader
from latcomp.latents.profile import CodingProfile
from latcomp.training import lit, prior, profile
from tests.tokenizer import made_up
from tests.tokenizer.published import save_taehv


def test_models_for_a_tokenizer_of_another_frame_rule(clips: Path, tmp_path: Path) -> None:
    """1 + 4k frames of 16 pixels: 40 frames and 96 lines are 37 frames and 6 rows of it; the first stands alone."""
    with made_up.known():
        folder = made_up.write_made_up(tmp_path / "made-up", made_up.Habits(spatial=16, low=-0.5, high=0.5))
        common = {"steps": 1, "preset": "tiny", "device": "cpu", "tokenizer": str(folder)}
        lit.train(clips, folder / "lit", **common)  # type: ignore[arg-type]
        prior.train(clips, folder / "prior", **common)  # type: ignore[arg-type]
        fingerprint = models.fingerprint_of(folder)
        latents = [np.load(path) for path in (cache_folder() / "latents" / fingerprint[:16]).glob("*.npy")]
        assert {found.shape for found in latents} == {(6, 10, 6, 8)}
        assert (models.find_lit(folder), models.find_prior(folder)) == (folder / "lit", folder / "prior")
        out = io.BytesIO()
        encode(clips / "clip-1.mp4", out, tokenizer=folder, device="cpu", audio=False)
        lat = out.getvalue()
        assert len(list(decode_frames(io.BytesIO(lat), device="cpu", tokenizer=folder))) == 40


def test_a_profile_of_a_tokenizer_that_brings_no_steps(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has the steps that were fitted to all clips, and files of any video then say these."""
    monkeypatch.setattr(profile, "CANDIDATES", {"hysteresis": (0.3,)})
    with made_up.known():
        folder = made_up.write_made_up(tmp_path / "made-up", made_up.Habits(steps_known=False))
        profile.train_profile(profile.ProfileOptions(clips, folder, folder, crops=1, device="cpu"))
        fitted = CodingProfile.load(folder)
        assert len(fitted.channel_step) == 6 and len(set(fitted.channel_step)) == 1 != fitted.channel_step[0]
        out = io.BytesIO()
        encode(clips / "clip-1.mp4", out, tokenizer=folder, device="cpu", audio=False)
        steps = Reader(io.BytesIO(out.getvalue())).header.steps
        assert steps == {"channel_step": list(fitted.channel_step), "channel_scale": list(fitted.channel_scale)}


def test_one_that_does_not_stream_is_trained_on_windows(clips: Path, tmp_path: Path) -> None:
    """Each of a group, encoded by itself as in a file: 40 frames are one of 29."""
    with made_up.known():
        folder = made_up.write_made_up(tmp_path / "made-up", made_up.Habits(streams=False))
        lit.train(clips, folder / "lit", steps=1, preset="tiny", device="cpu", tokenizer=str(folder))
        fingerprint = models.fingerprint_of(folder)
        latents = [np.load(path) for path in (cache_folder() / "latents" / fingerprint[:16]).glob("*.npy")]
        assert {found.shape[:2] for found in latents} == {(6, 8)}
        assert models.find_lit(folder) == folder / "lit"


def test_profile_lit_and_prior_of_a_published_one(clips: Path, tmp_path: Path) -> None:
    """Beside its single file; what was said to be missing is not, and files are written and read with them."""
    path = save_taehv(tmp_path / "taew2_1.pth")
    place = models.companions(path)
    common = {"steps": 1, "preset": "tiny", "device": "cpu", "tokenizer": str(path)}
    assert len(models.notes_of(path)) == 2
    lit.train(clips, place / "lit", **common)  # type: ignore[arg-type]
    prior.train(clips, place / "prior", **common)  # type: ignore[arg-type]
    profile.train_profile(profile.ProfileOptions(clips, place, tokenizer=str(path), crops=1, minutes=0.001))
    assert len(models.notes_of(path)) == 1
    out = io.BytesIO()
    encode(clips / "clip-1.mp4", out, tokenizer=path, device="cpu", audio=False)
    assert len(list(decode_frames(io.BytesIO(out.getvalue()), device="cpu", tokenizer=path))) == 40
