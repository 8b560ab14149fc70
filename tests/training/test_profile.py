"""Protects: a fitted profile holds what was best of what was tried, says so, and is what an encoder then works by."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from latcomp.cli.main import run
from latcomp.errors import UsageError
from latcomp.latents.profile import CodingProfile
from latcomp.selection import PRIOR_UNITS, SelectionRecipe
from latcomp.training import profile as fitting
from latcomp.training.profile import ProfileOptions, train_profile


def recipe(channels: int = 4, profile: CodingProfile | None = None) -> SelectionRecipe:
    ones = (1.0,) * channels
    return SelectionRecipe.of(ones, ones, profile or CodingProfile(), PRIOR_UNITS)


def crops(count: int = 2) -> list[list[np.ndarray]]:
    """Smooth latents that drift: worth holding for a while."""
    found = []
    for seed in range(count):
        rng = np.random.default_rng(seed)
        base = rng.normal(0, 6, (4, 1, 8, 8))
        drift = np.cumsum(rng.normal(0, 0.3, (4, 16, 8, 8)), axis=1)
        whole = (base + drift).astype(np.float32)
        found.append([np.ascontiguousarray(whole[:, :8]), np.ascontiguousarray(whole[:, 8:])])
    return found


def test_a_profile_is_fitted_on_clips_and_read_by_an_encoder(
    clips: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "CANDIDATES", {"dropped_changes": (0.44, 4.44), "hysteresis": (0.3,)})
    seen = []
    options = ProfileOptions(clips, tmp_path, trained, crops=1, device="cpu")
    path = train_profile(options, lambda *what: seen.append(what))
    fitted = CodingProfile.load(tmp_path)
    table = json.loads(path.read_text())["fitted"]["percent_more_bits"]
    assert set(table) == {"dropped_changes", "hysteresis"}
    assert [(name, value) for name, value, _ in seen] == [
        ("dropped_changes", 0.44),
        ("dropped_changes", 4.44),
        ("hysteresis", 0.3),
    ]
    for name, tried in table.items():
        best = min((more for more in tried.values() if more is not None), default=0.0)
        assert tried[f"{getattr(fitted, name):.6g}"] == (best if best < -fitting.GAIN else 0.0)
    assert fitted.complexity_bits > 0 and fitted.cut_share >= 1


def test_what_saves_bits_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a threshold that keeps nearly everything, the fit goes to one that drops."""
    monkeypatch.setattr(fitting, "CANDIDATES", {"dropped_changes": (0.44, 1.44)})
    poor = recipe(profile=CodingProfile(dropped_changes=0.44))
    found, table = fitting._descend(poor, crops(), None, float("inf"), lambda *_: None)
    more = table["dropped_changes"]["1.44"]
    assert more is not None
    assert found.profile.dropped_changes == (1.44 if more < -fitting.GAIN else 0.44)


def test_no_time_leaves_the_constants(clips: Path, trained: Path, tmp_path: Path) -> None:
    train_profile(ProfileOptions(clips, tmp_path, trained, minutes=1e-9, crops=1, device="cpu"))
    fitted = CodingProfile.load(tmp_path)
    own = CodingProfile.load(trained)
    measured = replace(
        own, complexity_bits=fitted.complexity_bits, cut_share=fitted.cut_share, cut_rise=fitted.cut_rise
    )
    assert fitted == measured


def test_a_constant_reaches_the_rule_it_belongs_to() -> None:
    changed = fitting.with_constant(recipe(), "absolute_share", 0.5)
    assert changed.rule.absolute_share == changed.profile.absolute_share == 0.5


@pytest.mark.parametrize("wrong", [{"minutes": 0.0}, {"minutes": float("nan")}, {"crops": 0}], ids=str)
def test_budgets_that_make_no_sense_are_refused(wrong: dict[str, float], tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        ProfileOptions(tmp_path, tmp_path, **wrong)


def test_the_command_keeps_a_profile_that_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    CodingProfile().save(tmp_path)
    with pytest.raises(SystemExit) as ended:
        run(["train", "profile", "--data", str(tmp_path), "--out", str(tmp_path)])
    assert ended.value.code == 6
    assert "--force" in capsys.readouterr().err
