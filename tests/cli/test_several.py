"""Protects: `stats` and `check` take several files: each is told by itself, in every form, and one that fails does not
stop the others.
"""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused


@pytest.fixture
def files(lat: Path, tmp_path: Path) -> list[Path]:
    """An intact file, a damaged one, one that is missing, another intact one."""
    data = lat.read_bytes()
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    for name, content in (("a.lat", data), ("damaged.lat", bytes(flipped)), ("z.lat", data)):
        (tmp_path / name).write_bytes(content)
    return [tmp_path / name for name in ("a.lat", "damaged.lat", "missing.lat", "z.lat")]


def objects(out: bytes) -> list[dict]:
    return [json.loads(line) for line in out.splitlines()]


def test_stats_json_is_an_object_a_line_with_its_path(files: list[Path], lat: Path, latcomp: Latcomp) -> None:
    ran = latcomp("stats", *files, "--json")
    assert ran.code == 4
    told = objects(ran.out)
    assert [one["path"] for one in told] == [str(path) for path in files]
    alone = json.loads(latcomp("stats", lat, "--json").out)
    assert "path" not in alone and told[0] == {"path": str(files[0]), **alone}
    assert told[1]["damage"] and told[3]["frames"] == 20
    assert set(told[2]) == {"path", "error", "exit_code"} and told[2]["exit_code"] == 4
    errors = [line for line in ran.lines if line.startswith("latcomp: error: ")]
    assert len(errors) == 2 and str(files[1]) in errors[0] and str(files[2]) in errors[1]


def test_check_json_is_an_object_a_line_with_its_path(files: list[Path], latcomp: Latcomp) -> None:
    ran = latcomp("check", *files, "--json", "-q")
    assert ran.code == 4
    told = objects(ran.out)
    assert [one["path"] for one in told] == [str(path) for path in files]
    assert told[0] == {"path": str(files[0]), "ok": True, "problems": []}
    assert told[1]["ok"] is False and told[1]["problems"]
    assert told[2]["exit_code"] == 4 and told[3]["ok"] is True
    assert len(ran.lines) == 2


def test_check_has_a_line_a_file(files: list[Path], latcomp: Latcomp) -> None:
    ran = latcomp("check", *files)
    assert ran.code == 4 and ran.out == b""
    assert [str(path) in line for path, line in zip(files, ran.lines, strict=True)] == [True] * 4
    assert ["error" in line for line in ran.lines] == [False, True, True, False]
    assert latcomp("check", files[0], files[3]).code == 0


def test_stats_has_a_row_a_file_and_one_for_all(files: list[Path], latcomp: Latcomp) -> None:
    ran = latcomp("stats", files[0], files[3])
    assert (ran.code, ran.out) == (0, b"")
    names, first, second, both = ran.lines
    assert names.split() == ["frames", "picture", "seconds", "bpp", "kept", "size", "file"]
    assert first.split()[:2] == second.split()[:2] == ["20", "64x48"] and both.split()[0] == "40"
    assert both.rstrip().endswith("all 2 files")


def test_stats_groups_has_a_block_a_file(files: list[Path], latcomp: Latcomp) -> None:
    ran = latcomp("stats", files[0], files[3], "--groups")
    assert [line for line in ran.lines if line.endswith(".lat:")] == [f"{files[0]}:", f"{files[3]}:"]
    assert sum("bits per token" in line for line in ran.lines) >= 2


def test_stats_csv_has_the_path_in_front(files: list[Path], latcomp: Latcomp) -> None:
    ran = latcomp("stats", files[0], files[3], "--csv")
    rows = list(csv.DictReader(io.StringIO(ran.out.decode())))
    assert next(iter(rows[0])) == "path" and [row["path"] for row in rows] == [str(files[0]), str(files[3])]


def test_the_exit_code_is_that_of_the_first_that_failed(files: list[Path], latcomp: Latcomp) -> None:
    """A limit (7) before damage (4), and after it."""
    assert latcomp("check", files[0], files[1], "--max-pixels", "100", "-q").code == 7
    assert latcomp("check", files[1], files[0], "-q").code == 4


@pytest.mark.parametrize(
    "arguments",
    [
        ["stats", "A", "Z", "--html", "OUT.html"],
        ["stats", "A", "Z", "--plot", "OUT.svg"],
        ["check", "A", "Z", "--repair", "OUT.lat"],
        ["stats", "-", "-"],
        ["check", "-", "A", "-"],
    ],
)
def test_what_is_for_one_file_is_refused_for_several(
    arguments: list[str], files: list[Path], latcomp: Latcomp, tmp_path: Path
) -> None:
    before = sorted(tmp_path.iterdir())
    places = {"A": files[0], "Z": files[3]}
    assert_refused(
        latcomp(*[places.get(one, tmp_path / one if one.startswith("OUT") else one) for one in arguments]), 2
    )
    assert sorted(tmp_path.iterdir()) == before


def test_standard_input_may_be_one_of_them(files: list[Path], shell: Latcomp) -> None:
    ran = shell("check", files[0], "-", stdin=files[3].read_bytes())
    assert ran.code == 0 and ran.lines[1] == "latcomp: standard input: no problem found"
