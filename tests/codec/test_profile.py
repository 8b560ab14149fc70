"""A tokenizer's profile decides how it is encoded with, and nothing else: files of any profile are read without it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.container import Group
from latcomp.errors import UsageError
from latcomp.latents.profile import PROFILE, CodingProfile
from latcomp.models import find_lit, find_prior, find_tokenizer, fingerprint_of


@pytest.fixture(scope="module")
def video(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 frames of 72x44: two groups."""
    return make_video(tmp_path_factory.mktemp("video") / "in.mp4", frames=40, width=72, height=44)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The shipped tokenizer with its LIT and its prior, in a folder of its own that a profile can be put into."""
    shipped = find_tokenizer(None)
    for source, name in ((shipped, ""), (find_lit(shipped), "lit"), (find_prior(shipped), "prior")):
        assert source is not None
        (tmp_path / "tok" / name).mkdir(parents=True)
        for file in source.iterdir():
            if file.is_file() and file.name != PROFILE:
                (tmp_path / "tok" / name / file.name).symlink_to(file)
    return tmp_path / "tok"


def encoded(video: Path, tokenizer: Path | None, **settings: object) -> bytes:
    out = io.BytesIO()
    encode(video, out, tokenizer=tokenizer, audio=False, device="cpu", **settings)
    return out.getvalue()


def groups_of(data: bytes) -> list[Group]:
    with open_lat(io.BytesIO(data)) as lat:
        return list(lat)


def test_no_profile_is_the_usual_one(video: Path, folder: Path) -> None:
    without = encoded(video, folder)
    CodingProfile().save(folder)
    assert encoded(video, folder) == without


def test_the_shipped_profile_is_the_usual_one() -> None:
    assert CodingProfile.load(find_tokenizer(None)) == CodingProfile()


@pytest.mark.parametrize(
    "change",
    [
        {"scale_at_zero": 2.5},
        {"token_price": 9.0},
        {"token_price": 0.0, "dropped_changes": 4.0},
        {"hysteresis": 0.4},
        {"lookahead_lambda": 0.0},
        {"rdo_lambda": 4.0},
        {"complexity_strength": 0.0},
    ],
    ids=str,
)
def test_a_changed_profile_changes_what_is_written_and_not_what_can_be_read(
    video: Path, folder: Path, change: dict[str, float]
) -> None:
    """The tokenizer stays the one that the file names, so that the shipped one reads it."""
    usual, before = encoded(video, folder), fingerprint_of(folder)
    CodingProfile(**change).save(folder)
    changed = encoded(video, folder)
    assert changed != usual
    assert fingerprint_of(folder) == before == fingerprint_of(find_tokenizer(None))
    (folder / PROFILE).unlink()
    frames = [
        [frame.pixels for frame in decode_frames(io.BytesIO(changed), device="cpu", tokenizer=tokenizer)]
        for tokenizer in (None, folder)
    ]
    assert len(frames[0]) == 40
    assert all(np.array_equal(a, b) for a, b in zip(*frames, strict=True))


def test_lambdas_of_the_settings_come_before_those_of_the_profile(video: Path, folder: Path) -> None:
    usual = encoded(video, folder)
    CodingProfile(lookahead_lambda=0.0, rdo_lambda=0.0).save(folder)
    plain = encoded(video, folder)
    asked = CodingProfile()
    settings = {"lookahead_lambda": asked.lookahead_lambda, "rdo_lambda": asked.rdo_lambda}
    assert encoded(video, folder, **settings) == usual != plain
    assert encoded(video, None, lookahead_lambda=0.0, rdo_lambda=0.0) == plain


def test_a_search_stays_within_the_profiles_adjustments(video: Path, folder: Path) -> None:
    CodingProfile(finest_adjust=-7, coarsest_adjust=80).save(folder)
    assert {group.step_adjust for group in groups_of(encoded(video, folder, target_bpp=90.0))} == {-7}


def test_a_profile_that_cannot_be_read_is_told_before_anything_is_written(
    video: Path, folder: Path, tmp_path: Path
) -> None:
    (folder / PROFILE).write_text('{"speed": 3}')
    with pytest.raises(UsageError, match="'speed' is not known"):
        encode(video, tmp_path / "out.lat", tokenizer=folder, device="cpu")
    assert not (tmp_path / "out.lat").exists()
