"""Videos whose tokens are coded by what was coded before: without the tokenizer's prior, with values rounded by what
they cost."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from latcomp.codec.encode import encode
from latcomp.container import Group, Reader, check

MakeVideo = Callable[..., Path]


@pytest.fixture(scope="module")
def video(make_video: MakeVideo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("video") / "in.mkv", frames=40, width=64, height=48)


def encoded(video: Path, **settings: object) -> tuple[Reader, list[Group]]:
    """The reader of a file, at its end, and the file's groups."""
    file = io.BytesIO()
    encode(video, file, coding="adaptive", audio=False, device="cpu", **settings)  # type: ignore[arg-type]
    file.seek(0)
    assert check(file) == []
    file.seek(0)
    reader = Reader(file)
    return reader, [item for item in reader if isinstance(item, Group)]


@pytest.mark.parametrize("settings", [{"quality": 6.0}, {"keep": 0.4}, {"target_bpp": 0.3}], ids=str)
def test_a_file_needs_no_prior(video: Path, settings: dict[str, float]) -> None:
    """Its header asks for the coding and names no prior, although the tokenizer has one."""
    reader, groups = encoded(video, **settings)
    assert "adaptive" in reader.header.requires and reader.header.prior is None and reader.header.units == 1
    assert groups[0].key and len(groups) == 2 and all(len(group.tokens) for group in groups)


def test_values_are_rounded_by_what_they_cost(video: Path) -> None:
    """Where bits count for more than errors, a file is smaller; a lambda of 0 rounds plainly."""
    sizes = []
    for weight in (3.0, 0.0):
        file = io.BytesIO()
        encode(video, file, coding="adaptive", audio=False, device="cpu", quality=6.0, rdo_lambda=weight)
        sizes.append(len(file.getvalue()))
    assert sizes[0] < 0.95 * sizes[1]


def test_lossless_tokens_have_their_own(video: Path) -> None:
    reader, groups = encoded(video, lossless=True)
    assert "adaptive" not in reader.header.requires and groups[0].tokens.dtype == np.float32
