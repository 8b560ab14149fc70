"""Protects: a file that is open may be asked anything while its groups are read; both get the whole of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from latcomp.codec.lat_file import LatFile, open_lat
from tests.container.make import groups, sized, written

OF = sized(60, 80, 6, segment_groups=2)
DATA = written(OF, groups(OF, 6))  # of more bytes than are read at once


@pytest.fixture(params=["error", "hold"])
def file(request: pytest.FixtureRequest) -> Iterator[LatFile]:
    with open_lat(io.BytesIO(DATA), damaged=request.param) as found:
        yield found


@pytest.mark.parametrize(
    "ask", [LatFile.stats, lambda file: file.mask, lambda file: next(iter(file))], ids=["stats", "mask", "groups"]
)
def test_a_question_moves_no_pass_over_the_groups(file: LatFile, ask: Callable[[LatFile], Any]) -> None:
    whole = [group.tokens.tobytes() for group in file]
    found = []
    for group in file:
        found.append(group.tokens.tobytes())
        ask(file)
    assert found == whole and len(whole) == 6 and not file.damage


def test_two_passes_go_on_side_by_side(file: LatFile) -> None:
    pairs = list(zip(file, file, strict=True))
    assert len(pairs) == 6 and all(a.tokens.tobytes() == b.tokens.tobytes() for a, b in pairs)
