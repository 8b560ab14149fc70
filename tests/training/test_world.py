"""Protects: what a prior and a LIT learn from where the camera moves is what the encoder makes of the clip."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp.codec.camera import follow_camera
from latcomp.codec.groups import EncodedGroup, LatentStream
from latcomp.inpaint.config import GROUP
from latcomp.models import load_tokenizer
from latcomp.training.clips import Clip, load_clips
from latcomp.training.feed import in_processes
from latcomp.training.latents import LatentClips
from latcomp.training.world import WorldClip, cached_offsets, cached_worlds, frames_of
from tests.panning import panning_video
from tests.training.moving import moving_clip


class Run:
    """What is asked of a training run."""

    device = torch.device("cpu")


@pytest.fixture(scope="module")
def panning(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one clip whose camera moves, of two whole groups and a rest."""
    folder = tmp_path_factory.mktemp("panning")
    panning_video(folder / "clip.mp4", frames=4 * (2 * GROUP + 3), speed=2.5)
    return folder


@pytest.fixture
def clip(panning: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clip:
    """That clip, with a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return load_clips(panning, 8, 64)[0]


def test_groups_are_the_encoders_own(clip: Clip, trained: Path) -> None:
    tokenizer = load_tokenizer(trained)
    (world,) = cached_worlds(tokenizer, "0" * 64, [clip], Run()).values()  # type: ignore[arg-type]
    stream = LatentStream(tokenizer, torch.device("cpu"), GROUP)
    encoded = [
        group
        for group in stream.run(follow_camera(frames_of(clip), tokenizer.spec))
        if isinstance(group, EncodedGroup) and group.latents.shape[1] == GROUP
    ]
    assert len(world.groups) == len(encoded) == 2
    for group, wanted in zip(world.groups, encoded, strict=True):
        assert group.key == wanted.key
        assert group.view.window == wanted.view.window
        for t, (start, view) in enumerate(zip(group.starts, wanted.view.frames, strict=True)):
            assert np.array_equal(group.view.frames[t].visible, view.visible)
            box = world.values[:, start : start + view.box.area]
            part = wanted.view.part(wanted.latents, t)
            assert np.array_equal(box, part.reshape(len(part), -1).astype(np.float16))
    assert not world.groups[0].view.full, "the camera moves"


def test_offsets_and_latents_are_made_once(clip: Clip, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tokenizer = load_tokenizer(trained)
    (offsets,) = cached_offsets([clip], tokenizer.spec)
    assert offsets.shape == (clip.frames, 3)
    assert np.ptp(offsets[:, 1]) > 100 and not offsets[:, 0].any()
    first = cached_worlds(tokenizer, "1" * 64, [clip], Run())  # type: ignore[arg-type]
    monkeypatch.setattr("latcomp.training.world.frames_of", None)
    again = cached_worlds(tokenizer, "1" * 64, [clip], Run())  # type: ignore[arg-type]
    assert np.array_equal(first[0].values, again[0].values)
    assert [group.starts for group in first[0].groups] == [group.starts for group in again[0].groups]


def test_a_clip_whose_camera_stands_still_has_no_world(
    clips: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = load_clips(clips, 8, 64)[:1]  # its pattern stands still
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cached_worlds(load_tokenizer(trained), "2" * 64, found, Run()) == {}  # type: ignore[arg-type]


def values_of(clip: WorldClip) -> np.ndarray:
    return np.array(clip.values)


def test_other_processes_see_the_same_latents(clip: Clip, trained: Path) -> None:
    tokenizer = load_tokenizer(trained)
    (world,) = cached_worlds(tokenizer, "3" * 64, [clip], Run()).values()  # type: ignore[arg-type]
    assert len(pickle.dumps(world)) < world.values.nbytes / 2, "the file is opened again, not sent"
    (there,) = in_processes(values_of, [world], 1)
    assert np.array_equal(there, world.values)


def test_crops_move_with_the_camera() -> None:
    """A crop shows in each latent frame what a smaller camera would: as many positions, less where nothing is visible,
    and latents that belong there."""
    clip = moving_clip(6, 2)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        groups = clip.run(rng, 0.5)
        parts = clip.crop(rng, groups, 5)
        corners = []
        for group, (latents, view) in zip(groups, parts, strict=True):
            assert latents.shape == (6, *view.shape)
            for t, (start, whole, shown) in enumerate(zip(group.starts, group.view.frames, view.frames, strict=True)):
                assert shown.box.rows <= 5 and shown.box.columns <= 5
                corners.append((shown.box.top - whole.box.top, shown.box.left - whole.box.left))
                y, x = shown.world
                there = (y - whole.box.top) * whole.box.columns + x - whole.box.left
                assert whole.visible.reshape(-1)[there].all()
                found = view.take(latents, t)
                assert np.array_equal(found, clip.values[:, start + there].astype(np.float32))
        assert np.ptp(corners, axis=0).max() <= 2, "it stays in its place in the picture"


def test_followed_clips_are_mostly_drawn_as_files_have_them() -> None:
    still = np.zeros((6, 16, 8, 8), np.float16)
    latents = LatentClips([still, still], {0: moving_clip(6, 1)})
    drawn = [latents.draw_followed(np.random.default_rng(seed)) for seed in range(300)]
    share = sum(isinstance(one, WorldClip) for one in drawn) / len(drawn)
    assert 0.3 < share < 0.5
