"""Protects the order of results from several processes, that tasks are taken as they are needed, and that a process
which is killed costs its tasks and nothing else."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from latcomp.datasets.caches.pool import in_order
from latcomp.errors import DeviceError


def square(number: int) -> int:
    return number * number


def die_of(number: int) -> int:
    """Ends its process, not the test's, for 5."""
    if number == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def minus(number: int, error: DeviceError) -> int:
    return -number


@pytest.mark.parametrize("jobs", [1, 2])
def test_results_come_in_order_and_tasks_are_taken_late(jobs: int) -> None:
    taken = []

    def tasks() -> Iterator[int]:
        for number in range(100):
            taken.append(number)
            yield number

    with in_order(square, tasks(), jobs, minus) as results:
        first = [next(results) for _ in range(3)]
        assert first == [0, 1, 4] and len(taken) < 20
        assert list(results) == [number * number for number in range(3, 100)]


def test_a_process_that_is_killed_costs_what_was_at_work() -> None:
    with in_order(die_of, range(30), 2, minus) as results:
        found = list(results)
    assert [abs(number) for number in found] == list(range(30))
    assert found[5] == -5 and sum(number < 0 for number in found) <= 8


def test_processes_that_only_die_end_it() -> None:
    with pytest.raises(DeviceError, match="lower jobs"), in_order(die, range(1000), 2, minus) as results:
        list(results)
