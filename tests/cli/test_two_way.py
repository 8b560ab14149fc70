"""Protects: `check` and `decode` give one verdict on a file. What one refuses the other refuses, and neither fails in
any other way than with a code of files; a damaged file of which all frames could be written is damaged for both."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from latcomp.container.format import CRC, PRELUDE
from latcomp.container.zstd import decompress
from tests.fuzz.commands import COMMANDS, Bench, agree, models_built_once
from tests.fuzz.mutate import changed_lat, placed
from tests.fuzz.seal import front_of, sealed, split_chunks, split_front

GOLDEN = sorted(Path(__file__).parents[1].glob("**/golden/**/*.lat"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with models_built_once():
        yield Bench(tmp_path_factory.mktemp("bench"))


def assert_one_verdict(bench: Bench, data: bytes, commands: tuple[str, ...] = ("decode",)) -> int:
    """The code of `check`, with which these commands agree."""
    checked = bench.call("check", data)
    for command in commands:
        decoded = bench.call(command, data)
        assert agree(checked, decoded), f"check: {checked}, {command}: {decoded}, file: {data.hex()}"
    return checked.code


def test_right_files_are_right_to_every_command(bench: Bench) -> None:
    for data in bench.seeds:
        assert assert_one_verdict(bench, data, COMMANDS) == 0


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_files(path: Path, bench: Bench) -> None:
    assert_one_verdict(bench, path.read_bytes())


@pytest.mark.parametrize(
    "change",
    [
        {"setup": ""},
        {"setup": "00" * 40},
        {"setup": "zz"},
        {"setup": "1a45dfa3"},
        {"codec": None},
        {"sample_rate": "many"},
    ],
    ids=str,
)
def test_audio_that_is_not_described(change: dict[str, object], bench: Bench) -> None:
    """A stream of which nobody can make anything: damage, also to `check`, which has no FFmpeg to ask."""
    front, rest = split_front(bench.seeds[0])
    header = json.loads(decompress(front[PRELUDE.size : -CRC.size], 1 << 20, "header"))
    header["audio"][0] = {name: value for name, value in {**header["audio"][0], **change}.items() if value is not None}
    front = front_of(json.dumps(header).encode())
    data = front + b"".join(sealed(*chunk) for chunk in placed(split_chunks(rest), len(front)))
    assert assert_one_verdict(bench, data, commands=("mkv",)) == 4


@pytest.mark.parametrize("seed", range(10))
def test_changed_files(seed: int, bench: Bench) -> None:
    """20 files a seed, with another header, other times, audio, index and order; some of them are right still."""
    assert 4 in _changed(20, seed, bench)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(100, 120))
def test_many_changed_files(seed: int, bench: Bench) -> None:
    assert {0, 4} <= set(_changed(100, seed, bench))


def _changed(count: int, seed: int, bench: Bench) -> list[int]:
    """The codes of so many changed files."""
    rng = random.Random(seed)
    return [assert_one_verdict(bench, changed_lat(rng.choice(bench.seeds), rng)) for _ in range(count)]
