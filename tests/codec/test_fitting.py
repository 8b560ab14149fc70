"""Protects: a tokenizer that brings no steps has them fitted to each video, files say them, and readers take those."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latcomp
from latcomp import models
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import Encoder, encode
from latcomp.codec.fitting import BYTES, GROUPS, fitted
from latcomp.codec.groups import EncodedGroup
from latcomp.codec.settings import EncodeSettings
from latcomp.container import Group, Reader, check
from latcomp.errors import UsageError
from latcomp.latents import GroupView
from latcomp.latents.profile import CodingProfile
from latcomp.latents.steps import SCALE_AT_DEFAULT, SHARE_AT_DEFAULT, deviation_of
from latcomp.tokenizer.base import TokenizerSpec
from latcomp.video import AudioPacket, open_video
from tests.tokenizer import made_up
from tests.tokenizer.made_up import Habits
from tests.video.make import write

SPEC = TokenizerSpec("t", 2, 8, 4, 1, (0.2, 0.4), (1.0, 1.0), transient=1)


def group(size: float, frames: int = 8, key: bool = False, seed: int = 0) -> EncodedGroup:
    latents = (size * np.random.default_rng(seed).normal(size=(2, frames, 3, 4))).astype(np.float32)
    return EncodedGroup(0, key, 0, np.arange(4 * frames), latents, GroupView.whole(frames, (3, 4)))


def test_the_liveliest_of_the_first_groups_decides() -> None:
    """A film may begin with black; what comes behind the first groups is not waited for."""
    groups = [group(size, seed=number) for number, size in enumerate((0.1, 0.5, 1.0, 0.7, 9.0))]
    packet = AudioPacket(0, 0, 0, 1, True, b"")
    items = iter([packet, *groups])
    taken, steps = fitted(items, SPEC)
    assert taken == [packet, *groups[:GROUPS]] and list(items) == groups[GROUPS:]
    assert steps is not None
    rms = np.sqrt(np.mean(np.square(steps.channel_step)))
    assert rms == pytest.approx(SHARE_AT_DEFAULT / SCALE_AT_DEFAULT * deviation_of(groups[2].latents), rel=1e-2)
    assert steps.channel_step[1] == pytest.approx(2 * steps.channel_step[0], rel=1e-3)


def test_the_transient_does_not_count() -> None:
    first = group(1.0, key=True)
    first.latents[:, 0] *= 100
    (_, steps), (_, plain) = (
        fitted(iter([one]), SPEC)
        for one in (first, replace(first, latents=first.latents[:, 1:], key=False, view=GroupView.whole(7, (3, 4))))
    )
    assert steps == plain
    single = group(1.0, frames=1, key=True)
    assert fitted(iter([single]), SPEC)[1] is not None


def test_what_waits_is_bounded() -> None:
    """By bytes too: a large picture's groups, or its frames where they are kept."""
    pixels = tuple(np.zeros((1, BYTES // 24, 3), np.uint8) for _ in range(4))
    heavy = [replace(group(1.0), pixels=pixels) for _ in range(4)]
    assert len(fitted(iter(heavy), SPEC)[0]) == 2
    assert fitted(iter([]), SPEC) == ([], None)


def test_latents_that_are_no_numbers() -> None:
    bad = group(1.0)
    bad.latents[0, 3] = np.nan
    with pytest.raises(UsageError, match="gives latents that are no numbers"):
        fitted(iter([bad]), SPEC)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with made_up.known():
        yield made_up.write_made_up(tmp_path_factory.mktemp("made-up"), Habits(steps_known=False))


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """45 frames of squares whose brightness creeps, the first ones nearly black."""
    path = tmp_path_factory.mktemp("video") / "in.mkv"
    squares = np.random.default_rng(1).integers(20, 200, (2, 2, 3))
    frames = [np.kron(squares * min(index / 20, 1) + index / 2, np.ones((16, 16, 1))) for index in range(45)]
    write(path, [frame.astype(np.uint8) for frame in frames])
    return path


def encoded(video: Path, folder: Path, **settings: Any) -> bytes:
    out = io.BytesIO()
    encode(video, out, tokenizer=folder, device="cpu", audio=False, **settings)
    return out.getvalue()


def error(data: bytes, folder: Path, exact: bytes) -> float:
    """Of the file's latents, over the deviation of the exact ones."""
    found, true = (
        latcomp.open(io.BytesIO(one), tokenizer=folder, device="cpu").latents().numpy()[0] for one in (data, exact)
    )
    return float(np.sqrt(np.square(found - true).mean()) / deviation_of(true))


def test_files_say_their_steps(video: Path, folder: Path) -> None:
    """Whoever reads one takes these and not the tokenizer's guess; a quality is a relative error."""
    data = encoded(video, folder, quality=5)
    header = Reader(io.BytesIO(data)).header
    assert header.requires == ("first_frames", "steps") and header.steps is not None and header.version == 2
    assert header.steps["channel_step"][0] != 1.0
    assert check(io.BytesIO(data), faults_of=lambda header: models.faults_of(header, folder)) == []
    exact = encoded(video, folder, lossless=True)
    assert Reader(io.BytesIO(exact)).header.steps is None
    assert 0.02 < error(data, folder, exact) < 0.1
    assert len(list(decode_frames(io.BytesIO(data), device="cpu", tokenizer=folder))) == 45


@pytest.mark.parametrize("settings", [{"keep": 0.4}, {"target_bpp": 1.0}, {"min_psnr": 30.0}], ids=str)
def test_every_way_to_set_the_size(video: Path, folder: Path, settings: dict[str, float]) -> None:
    data = encoded(video, folder, **settings)
    assert Reader(io.BytesIO(data)).header.steps is not None and check(io.BytesIO(data)) == []
    assert len(list(decode_frames(io.BytesIO(data), device="cpu", tokenizer=folder))) == 45


def test_an_encoder_forgets_the_steps_of_a_video(video: Path, folder: Path) -> None:
    """Its next file is what a new encoder's is, and what it expects of a file does not say steps."""
    encoder = Encoder(EncodeSettings(), folder, "cpu")
    made = []
    for _ in range(2):
        with open_video(video, audio=False) as reader:
            assert encoder.header(reader).steps is None
            out = io.BytesIO()
            encoder.run(reader, out)
            made.append(out.getvalue())
    assert made[0] == made[1] == encoded(video, folder)


def test_steps_of_a_profile(video: Path, folder: Path, tmp_path: Path) -> None:
    """A trained profile's are taken as they are, for every video."""
    with made_up.known():
        other = made_up.write_made_up(tmp_path / "t", Habits(steps_known=False))
        steps = (2.0, 2.0, 2.0, 1.0, 1.0, 1.0)
        CodingProfile(channel_step=steps, channel_scale=steps).save(other)
        assert CodingProfile.load(other).channel_step == steps
        header = Reader(io.BytesIO(encoded(video, other))).header
        assert header.steps == {"channel_step": list(steps), "channel_scale": list(steps)}
        CodingProfile(channel_step=steps[:2], channel_scale=steps[:2]).save(other)
        with pytest.raises(UsageError, match="6 steps and scales are needed"):
            encoded(video, other)


def test_a_tokenizer_with_steps_has_files_without(video: Path, tmp_path: Path) -> None:
    with made_up.known():
        other = made_up.write_made_up(tmp_path / "t", Habits())
        reader = Reader(io.BytesIO(encoded(video, other)))
        assert reader.header.steps is None and all(isinstance(item, Group) for item in reader)
