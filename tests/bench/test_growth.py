"""Protects `latcomp bench growth`: every point is of the part of the clip that it says, and was run."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from latcomp.bench.growth import measure as growth
from latcomp.bench.growth.measure import GrowthSettings, measure
from latcomp.bench.growth.plot import over, save_plot
from latcomp.errors import UsageError


def test_points_are_of_the_lengths_sizes_and_shares_they_say(
    make_video: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, shares in (("LENGTHS", (0.5, 1.0)), ("SIZES", (0.5, 1.0)), ("SHARES", (0.3, 1.0))):
        monkeypatch.setattr(growth, name, shares)
    clip = make_video(tmp_path / "clip.mp4", frames=16)
    figures = measure(clip, GrowthSettings(repeats=1, device="cpu"))
    assert json.loads(json.dumps(figures)) == figures
    by = {name: [point for point in figures["points"] if point["by"] == name] for name in ("length", "size", "kept")}
    assert [point["frames"] for point in by["length"]] == [8, 16]
    assert [(point["width"], point["height"]) for point in by["size"]] == [(32, 24), (64, 48)]
    assert [point["keep_ratio"] for point in by["kept"]] == [pytest.approx(0.3, abs=0.02), 1.0]
    assert [over(point) for point in by["size"]] == [0.768, 3.072]
    assert min(point[f"{name}_seconds"] for point in figures["points"] for name in ("encode", "decode")) > 0
    if importlib.util.find_spec("matplotlib"):
        save_plot(figures, tmp_path / "growth.png")
        assert (tmp_path / "growth.png").stat().st_size > 1000


def test_no_run_at_all_is_refused() -> None:
    with pytest.raises(UsageError):
        GrowthSettings(repeats=0)
