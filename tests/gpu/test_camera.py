"""Protects a moving camera on a GPU: it is followed as on the CPU, for it is found from pixels alone; hardly a token
differs, and frames are those of the CPU within rounding.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import encode
from latcomp.container import Group, Reader
from latcomp.models import prior_finder
from tests.panning import panning_video

MASK_MOST = 0.005  # share of the positions that one keeps and the other drops
TOKENS_MOST = 0.02  # share of the kept tokens that differ
FRAMES_MOST, FRAMES_MEAN = 6, 0.5  # of 255
Figure = Callable[[str, float], None]


@pytest.fixture(scope="module")
def panned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return panning_video(tmp_path_factory.mktemp("panned") / "pan.mkv", frames=36)


def file_of(panned: Path, device: str, **settings: Any) -> bytes:
    file = io.BytesIO()
    encode(panned, file, device=device, audio=False, **settings)
    return file.getvalue()


def groups_of(file: bytes) -> list[Group]:
    return [item for item in Reader(io.BytesIO(file), find_prior=prior_finder(None)) if isinstance(item, Group)]


@pytest.mark.parametrize("settings", [{}, {"keep": 0.4}], ids=["default", "keep"])
def test_it_is_followed_as_on_the_cpu(settings: dict[str, Any], device: str, panned: Path, figure: Figure) -> None:
    here, there = (groups_of(file_of(panned, name, **settings)) for name in (device, "cpu"))
    assert any(group.offsets is not None for group in there)
    flipped = moved = positions = kept = 0
    for group, wanted in zip(here, there, strict=True):
        assert group.view == wanted.view and np.array_equal(group.offsets, wanted.offsets)
        both = group.mask & wanted.mask
        tokens = [one.tokens[both[one.mask]] for one in (group, wanted)]
        flipped += int((tokens[0] != tokens[1]).any(1).sum())
        moved += int((group.mask != wanted.mask).sum())
        positions, kept = positions + wanted.view.count, kept + int(both.sum())
    figure("share of kept tokens", flipped / kept)
    figure("share of mask positions", moved / positions)
    assert flipped <= TOKENS_MOST * kept and moved <= MASK_MOST * positions


@pytest.mark.parametrize("fill", ["auto", "lit", "hold"])
def test_one_file_decodes_to_the_same_frames(fill: str, device: str, panned: Path, figure: Figure) -> None:
    file = file_of(panned, "cpu", keep=0.4)
    here, there = (
        np.stack([frame.pixels for frame in decode_frames(io.BytesIO(file), device=name, fill=fill)]).astype(np.int16)
        for name in (device, "cpu")
    )
    difference = np.abs(here - there)
    figure(f"largest difference of a pixel, {fill}", float(difference.max()))
    assert difference.max() <= FRAMES_MOST and difference.mean() <= FRAMES_MEAN
