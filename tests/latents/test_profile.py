"""A coding profile is read as it was written, has usual values without a file, and nothing that no encoder can use."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from latcomp.errors import UsageError
from latcomp.latents import StepScale
from latcomp.latents.profile import PROFILE, CodingProfile


def written(folder: Path, text: str) -> Path:
    """The folder with a profile of this text."""
    (folder / PROFILE).write_text(text, encoding="utf-8")
    return folder


def test_a_folder_without_a_profile_has_the_usual_one(tmp_path: Path) -> None:
    assert CodingProfile.load(tmp_path) == CodingProfile()


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    profile = CodingProfile(scale_at_zero=3.0, rdo_lambda=0, coarsest_adjust=64, fitted={"clips": 12})
    assert profile.save(tmp_path) == tmp_path / PROFILE
    found = CodingProfile.load(tmp_path)
    assert found == profile and found.fitted == {"clips": 12}
    assert asdict(found) == asdict(profile)


def test_members_that_are_left_out_are_the_usual_ones(tmp_path: Path) -> None:
    assert CodingProfile.load(written(tmp_path, '{"hysteresis": 0.2}')) == CodingProfile(hysteresis=0.2)


def test_where_constants_come_from_changes_nothing() -> None:
    """Two profiles of the same constants are the same, whatever they were fitted on."""
    assert CodingProfile(fitted={"clips": 3}) == CodingProfile()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "cannot be read"),
        ("[1]", "no JSON object"),
        ('{"scale": 2}', "'scale' is not known"),
        ('{"rounding": "half"}', "rounding .* is not a number"),
        ('{"rounding": true}', "rounding .* is not a number"),
        ('{"coarsest_adjust": 8.5}', "a coarsest_adjust that is a whole number"),
        ('{"fitted": 3}', "a fitted that is an object"),
        ('{"quality_octave": 0}', "quality_octave 0 is out of range"),
        ('{"hysteresis": NaN}', "hysteresis nan is out of range"),
        ('{"hysteresis": 1' + 400 * "0" + "}", "hysteresis inf is out of range"),
        ('{"finest_adjust": -1' + 400 * "0" + "}", "finest_adjust below its coarsest_adjust"),
        ('{"fitted": ' + 100_000 * "[", "cannot be read"),
        ('{"a\\nb": 1}', r"'a\\nb' is not known"),
    ],
)
def test_a_file_that_is_no_profile_is_told_by_name(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words) as told:
        CodingProfile.load(written(tmp_path, text))
    assert str(tmp_path / PROFILE) in str(told.value)


@pytest.mark.parametrize(
    "wrong",
    [
        {"scale_at_zero": 0.0},
        {"scale_at_zero": float("inf")},
        {"dropped_changes": -1.0},
        {"rounding": 0.0},
        {"rounding": 0.6},
        {"hysteresis": -0.1},
        {"lookahead_lambda": -1.0},
        {"rdo_lambda": -1.0},
        {"cut_share": 0.0},
        {"complexity_full_until": 10.0},
        {"finest_adjust": 80},
        {"finest_adjust": -129},
        {"coarsest_adjust": 128},
        {"scale_at_zero": 1e-300},
        {"scale_at_zero": 1e300},
        {"quality_octave": 1e-9},
        {"quality_octave": 0.1},
        {"octaves_of_bits": 1e-300},
        {"complexity_strength": 1e300},
        {"complexity_none_from": 1e300},
        {"rdo_lambda": 1e300},
        {"rounding": "half"},
        {"finest_adjust": 1.5},
        {"fitted": []},
    ],
    ids=str,
)
def test_values_that_no_encoder_can_work_with_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="a coding profile needs"):
        CodingProfile(**wrong)


def test_quality_halves_the_step_every_two_and_a_half() -> None:
    profile = CodingProfile()
    scales = [profile.step_scale(quality).value for quality in (0, 2.5, 10)]
    assert scales[1] == pytest.approx(scales[0] / 2)
    assert scales[2] == pytest.approx(scales[0] / 16)
    for quality in (-0.1, 10.5, float("nan")):
        with pytest.raises(UsageError, match="out of range"):
            profile.step_scale(quality)


def test_a_threshold_counts_whole_steps_over_the_channels() -> None:
    """A token may be off by so many steps in all, at any step scale and for any number of channels."""
    profile = CodingProfile(dropped_changes=2.0)
    assert profile.threshold(StepScale(0.5), 8) == pytest.approx(2.0 * 0.5 / 8)
    assert profile.threshold(StepScale(0.5, 32), 4) == pytest.approx(2.0 * 1.0 / 4)


def test_the_file_is_one_that_people_can_edit(tmp_path: Path) -> None:
    """All members by name, one a line."""
    text = CodingProfile().save(tmp_path).read_text(encoding="utf-8")
    assert set(json.loads(text)) == set(asdict(CodingProfile()))
    assert len(text.splitlines()) > len(asdict(CodingProfile()))
