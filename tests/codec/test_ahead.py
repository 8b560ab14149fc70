"""Protects: stages that overlap give what they give one after the other, stay within their bound, and leave nothing
running."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from latcomp.codec.ahead import ahead


@pytest.fixture(params=[1, 2], ids=["alone", "overlapping"])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_items_come_in_order_and_none_is_lost(threads: int) -> None:
    with ahead(iter(range(50)), 3) as outer, ahead((item * 2 for item in outer), 2) as items:
        assert list(items) == [item * 2 for item in range(50)]


def test_an_error_comes_where_its_item_would(threads: int) -> None:
    def source() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    found = []
    with pytest.raises(ValueError, match="third"), ahead(source(), 4) as items:
        for item in items:
            found.append(item)
    assert found == [1, 2]


def test_no_more_than_asked_is_made_in_advance(threads: int) -> None:
    made: list[int] = []
    taken = 0
    most = 0

    def source() -> Iterator[int]:
        for number in range(40):
            made.append(number)
            yield number

    with ahead(source(), 3) as items:
        for _ in items:
            taken += 1
            most = max(most, len(made) - taken)
    assert most <= 3 and taken == 40


def test_who_stops_early_finds_the_source_closed_and_no_thread_left(threads: int) -> None:
    closed = threading.Event()

    def source() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    before = threading.active_count()
    with ahead(source(), 2) as items:
        assert next(items) == 0
    assert closed.is_set()
    assert threading.active_count() == before


def test_who_asked_for_one_thread_gets_one() -> None:
    """Workers of a batch or a data loader share the processors among them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ahead((threading.get_ident() for _ in range(3)), 2) as items:
            assert set(items) == {threading.get_ident()}
    finally:
        torch.set_num_threads(before)
