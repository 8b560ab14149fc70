"""Protects: docs/json.md names the keys that the commands print, all of them and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from .conftest import Latcomp

TEXT = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")


def documented(heading: str) -> set[str]:
    """The keys that the tables of a section name in their first column, and those of a sum in its second."""
    section = re.split(r"^##+ ", TEXT.split(f"# {heading}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    table = section.split("\n| key | meaning |\n")[1].split("\n\n")[0]
    rows = [line.split(" | ", 1) for line in table.splitlines()[1:]]
    keys = {key for first, _ in rows for key in re.findall(r"`(\w+)`", first)}
    return keys | {key for first, rest in rows if "bytes" in first for key in re.findall(r"`(bytes_\w+)`", rest)}


@pytest.fixture
def encoded(clip: Path, latcomp: Latcomp, tmp_path: Path) -> dict[str, object]:
    """What encode prints of a small clip."""
    return json.loads(latcomp("encode", clip, tmp_path / "out.lat", "--json", "-q").out)


def test_encode_and_stats(encoded: dict[str, object], lat: Path, latcomp: Latcomp) -> None:
    stats = json.loads(latcomp("stats", lat, "--json").out)
    assert set(stats) == documented("`stats`")
    assert set(encoded) == documented("`stats`") | documented("`encode`")
    assert set(stats["groups"][0]) == documented("A group")


def test_the_columns_of_csv_are_the_keys_of_a_group(lat: Path, latcomp: Latcomp) -> None:
    header = latcomp("stats", lat, "--csv").out.decode().splitlines()[0]
    assert set(header.split(",")) == documented("A group")


@pytest.mark.parametrize("command", ["decode", "check", "compare", "models"])
def test_other_commands(command: str, clip: Path, lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    arguments = {"decode": [lat, tmp_path / "out.mkv"], "check": [lat], "compare": [clip, lat], "models": []}[command]
    found = json.loads(latcomp(command, *arguments, "--json").out)
    if command == "models":
        found = found["models"][0]
    assert set(found) == documented(f"`{command}`")


def test_batch(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / clip.name).write_bytes(clip.read_bytes())
    found = json.loads(latcomp("batch", tmp_path / "src", tmp_path / "dst", "--json", "-q").out)
    assert set(found) == documented("`batch`")


def test_repair(lat: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    found = json.loads(latcomp("check", lat, "--repair", tmp_path / "out.lat", "--json").out)["repaired"]
    words = TEXT.split("With `--repair` also `repaired`:")[1].split("\n## ")[0]
    assert set(found) == set(re.findall(r"`(\w+)`", words))
