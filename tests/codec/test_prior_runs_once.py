"""The prior's network runs once for each latent frame: rounding by cost hands to the writer what it found."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.codec import targets
from latcomp.codec.encode import encode
from latcomp.codec.lat_file import open_lat
from latcomp.container import Group
from latcomp.container.coding import Prior
from tests.video.make import write


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 frames of 72x48, one segment, the last 20 of them the same: of 12 latent frames some keep nothing."""
    rng = np.random.default_rng(5)
    texture = np.kron(rng.integers(90, 160, (6, 12, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    path = tmp_path_factory.mktemp("video") / "in.mkv"
    write(path, [texture[:, min(i, 28) // 2 : min(i, 28) // 2 + 72] for i in range(48)])
    return path


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """How often each part of the network ran so far."""
    found = dict.fromkeys(("past", "trunk", "mask_trunk"), 0)

    def counted(name: str) -> Callable[..., Any]:
        whole = getattr(Prior, name)

        def run(self: Prior, *given: Any) -> Any:
            found[name] += 1
            return whole(self, *given)

        return run

    for name in found:
        monkeypatch.setattr(Prior, name, counted(name))
    return found


def encoded(video: Path, **settings: Any) -> bytes:
    out = io.BytesIO()
    encode(video, out, audio=False, device="cpu", **settings)
    return out.getvalue()


def frames_of(data: bytes) -> tuple[int, int, int]:
    """(latent frames, those that keep anything, those whose masks have bytes under the prior) of a file of one
    segment.
    """
    with open_lat(io.BytesIO(data)) as lat:
        groups = [group for group in lat if isinstance(group, Group)]
    assert [group.key for group in groups] == [True, False]
    masks = [group.mask for group in groups]
    coded = sum(len(mask) - (number == 0) for number, mask in enumerate(masks) if not mask.all())
    return sum(map(len, masks)), sum(int(mask.any((1, 2)).sum()) for mask in masks), coded


@pytest.mark.parametrize(
    "settings", [{}, {"keep": 0.3}, {"rdo_lambda": 0.0}, {"keep": 0.3, "rdo_lambda": 0.0}], ids=str
)
def test_each_part_runs_once_a_latent_frame(video: Path, runs: dict[str, int], settings: dict[str, float]) -> None:
    """Also where nothing is rounded by cost, and the writer alone asks it."""
    data = encoded(video, **settings)
    ran = dict(runs)
    count, kept, coded = frames_of(data)
    assert kept < count == 12
    assert ran == {"past": count, "trunk": kept, "mask_trunk": coded}


def test_a_search_runs_it_once_a_latent_frame_and_probe(
    video: Path, runs: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither counting a probe's bytes nor writing what was chosen runs it again; only a probe that is not the last one
    is selected anew.
    """
    in_probes: list[int] = []
    chosen_last: list[bool] = []
    search = targets.search

    def counting(probe: Callable[[int], float], *rest: Any) -> int:
        tried = []

        def counted(adjust: int) -> float:
            before = runs["trunk"]
            figure = probe(adjust)
            in_probes.append(runs["trunk"] - before)
            tried.append(adjust)
            return figure

        found = search(counted, *rest)
        chosen_last.append(found == tried[-1])
        return found

    monkeypatch.setattr(targets, "search", counting)
    data = encoded(video, target_bpp=0.5)
    ran = dict(runs)
    count, kept, _ = frames_of(data)
    assert len(in_probes) > 1 and max(in_probes) <= count
    assert ran["trunk"] == sum(in_probes) + (0 if chosen_last == [True] else kept)


def test_zstd_asks_it_for_rounding_alone(video: Path, runs: dict[str, int]) -> None:
    """Planes need no network: with plain rounding it never runs."""
    data = encoded(video, coding="zstd")
    count, kept, _ = frames_of(data)
    assert runs["past"] <= count and runs["trunk"] == kept
    for name in runs:
        runs[name] = 0
    encoded(video, coding="zstd", rdo_lambda=0.0)
    assert not any(runs.values())
