"""Protects: an even sample holds few items, spreads them over the whole stream, and has all of a short one."""

from __future__ import annotations

import pytest

from latcomp.metrics.sample import EvenSample


def sampled(count: int, wanted: int) -> list[int]:
    sample: EvenSample[int] = EvenSample(wanted)
    for item in range(count):
        sample.add(item)
        assert len(sample._kept) < 2 * wanted
    found = sample.chosen()
    assert all(number == item for number, item in found)
    return [item for _, item in found]


def test_a_short_stream_is_taken_whole() -> None:
    assert [sampled(count, 4) for count in (0, 1, 4)] == [[], [0], [0, 1, 2, 3]]


@pytest.mark.parametrize("count", [5, 7, 8, 24, 72, 100, 1001])
@pytest.mark.parametrize("wanted", [2, 4, 7])
def test_a_long_one_is_spread_evenly(count: int, wanted: int) -> None:
    found = sampled(count, wanted)
    assert len(found) == min(count, wanted)
    if count >= 4 * wanted:
        gaps = [after - before for before, after in zip(found, found[1:], strict=False)]
        assert max(gaps) <= 2 * min(gaps)
        assert found[0] <= count / wanted and found[-1] >= count * (1 - 1.5 / wanted)


def test_only_what_is_taken_needs_to_be_there() -> None:
    sample: EvenSample[int] = EvenSample(2)
    taken = []
    for item in range(20):
        if sample.takes_next:
            taken.append(item)
        sample.add(item)
    assert taken == [0, 1, 2, 3, 4, 6, 8, 12, 16]
