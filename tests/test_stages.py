"""Protects the clock of `latcomp bench speed`: seconds fall to the innermost stage, threads add up, and without it
nothing is kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from latcomp.stages import STAGES, StageClock, stage, staged


def test_the_inner_stage_has_its_time_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """1 s of selection, 2 s of token coding inside it, 4 s of selection again; then a stage of 8 s beside both."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    with StageClock() as clock:
        with stage("selection"):
            now += 1
            with stage("token_coding"):
                now += 2
            now += 4
        now += 100  # belongs to none
        with stage("reading"):
            now += 8
    assert clock.seconds == {"reading": 8, "selection": 5, "token_coding": 2}
    assert list(clock.seconds) == [name for name in STAGES if name in clock.seconds]


def test_a_stage_inside_itself_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)
    with StageClock() as clock, stage("tokenizer"), stage("tokenizer"):
        now += 3
    assert clock.seconds == {"tokenizer": 3}


def test_what_a_consumer_does_is_not_the_makers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Making three items takes 1 s each and finding the end 1 more; the consumer's 10 s each are its own."""
    now = 0.0
    monkeypatch.setattr(time, "perf_counter", lambda: now)

    def make() -> Iterator[int]:
        nonlocal now
        for index in range(3):
            now += 1
            yield index
        now += 1

    with StageClock() as clock:
        found = []
        for item in staged("reading", make()):
            found.append(item)
            with stage("writing"):
                now += 10
    assert found == [0, 1, 2]
    assert clock.seconds == {"reading": 4, "writing": 30}


def test_threads_have_stages_of_their_own_and_add_up() -> None:
    """Two threads inside different stages at the same time: neither is inside the other's."""
    both = threading.Barrier(2, timeout=10)

    def work(name: str) -> None:
        with stage(name):  # type: ignore[arg-type]
            both.wait()
            time.sleep(0.02)
            both.wait()

    with StageClock() as clock:
        threads = [threading.Thread(target=work, args=(name,)) for name in ("selection", "token_coding")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert min(clock.seconds["selection"], clock.seconds["token_coding"]) >= 0.02


def test_nothing_is_kept_without_a_clock() -> None:
    clock = StageClock()
    with stage("reading"):
        pass
    assert list(staged("reading", "ab")) == ["a", "b"]
    with clock:
        pass
    with stage("writing"):
        pass
    assert clock.seconds == {}
    assert stage("reading") is stage("writing"), "one empty context serves all"


def test_a_failing_stage_is_closed_and_the_error_passes() -> None:
    with StageClock() as clock:
        with pytest.raises(ValueError, match="inside"):
            with stage("lit"), stage("tokenizer"):
                raise ValueError("inside")
        assert clock.open_stages() == []
        with stage("selection"):
            assert len(clock.open_stages()) == 1
    assert set(clock.seconds) == {"lit", "tokenizer", "selection"}


def test_an_inner_clock_measures_and_the_outer_one_goes_on_after_it() -> None:
    with StageClock() as outer:
        with StageClock() as inner, stage("reading"):
            pass
        with stage("writing"):
            pass
    assert (set(inner.seconds), set(outer.seconds)) == ({"reading"}, {"writing"})
