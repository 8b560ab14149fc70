"""Protects: docs/schema/latcomp.schema.json is a JSON schema that what the commands print is valid against, with no
member that it lacks, and whose members are those of docs/json.md.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.datasets import trainers

from .conftest import Latcomp
from .test_json_md import TEXT, documented

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "docs" / "schema" / "latcomp.schema.json").read_text(encoding="utf-8"))
SECTIONS = {
    "encode": "`encode`",
    "stats": "`stats`",
    "group": "A group",
    "decode": "`decode`",
    "check": "`check`",
    "compare": "`compare`",
    "batch": "`batch`",
    "import": "`import` and `export`",
    "models": "`models`",
}
Valid = Callable[[str, Any], None]


def definition(name: str) -> dict[str, Any]:
    """A definition of the schema, behind a reference to another one."""
    found = SCHEMA["$defs"][name]
    return definition(found["$ref"].rpartition("/")[2]) if "$ref" in found else found


def objects(part: Any) -> Iterator[dict[str, Any]]:
    """Every part of a schema that says the members of an object."""
    if isinstance(part, dict):
        if isinstance(part.get("properties"), dict):
            yield part
        for inner in part.values():
            yield from objects(inner)
    elif isinstance(part, list):
        for inner in part:
            yield from objects(inner)


@pytest.fixture(scope="module")
def valid() -> Valid:
    """Asserts that an object is as a definition has it, and has no member that the schema does not know."""
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    strict = copy.deepcopy(SCHEMA)
    for part in objects(strict["$defs"]):
        if part is not strict["$defs"]["file"]:  # what encode and stats share; they have more
            part["unevaluatedProperties"] = False

    def check(name: str, found: Any) -> None:
        validator = jsonschema.Draft202012Validator({**strict, "anyOf": [{"$ref": f"#/$defs/{name}"}]})
        best = jsonschema.exceptions.best_match(validator.iter_errors(found))
        assert best is None, f"{name}, {best.json_path}: {best.message}"
        assert jsonschema.Draft202012Validator(SCHEMA).is_valid(found)  # and the schema as a whole takes it

    return check


def printed(ran: Any, code: int = 0) -> list[Any]:
    """The objects of the lines on standard output."""
    assert ran.code == code, ran.err
    return [json.loads(line) for line in ran.out.splitlines()]


def test_encode_stats_and_decode(clip: Path, latcomp: Latcomp, valid: Valid, tmp_path: Path) -> None:
    lat = tmp_path / "out.lat"
    valid("encode", *printed(latcomp("encode", clip, lat, "--json", "-q")))
    valid("stats", *printed(latcomp("stats", lat, "--json")))
    valid("decode", *printed(latcomp("decode", lat, tmp_path / "back.mkv", "--json", "-q")))


def test_other_settings(clip: Path, latcomp: Latcomp, valid: Valid, tmp_path: Path) -> None:
    for number, words in enumerate(("--keep 0.4 --camera off", "--lossless")):
        valid("encode", *printed(latcomp("encode", clip, tmp_path / f"{number}.lat", *words.split(), "--json", "-q")))


def test_a_damaged_video(make_video: Callable[..., Path], latcomp: Latcomp, valid: Valid, tmp_path: Path) -> None:
    whole = make_video(tmp_path / "whole.mkv").read_bytes()
    (tmp_path / "cut.mkv").write_bytes(whole[: len(whole) * 3 // 4])
    (found,) = printed(latcomp("encode", tmp_path / "cut.mkv", tmp_path / "out.lat", "--keep-going", "--json", "-q"))
    assert found["damage"]
    valid("encode", found)


def test_several_files_one_of_them_unreadable(lat: Path, latcomp: Latcomp, valid: Valid, tmp_path: Path) -> None:
    (tmp_path / "none.lat").write_bytes(b"no .lat file")
    for command in ("stats", "check"):
        good, bad = printed(latcomp(command, lat, tmp_path / "none.lat", "--json"), 4)
        valid(command, good)
        valid("unreadable", bad)


def test_check_and_repair(long_lat: Path, latcomp: Latcomp, valid: Valid, tmp_path: Path) -> None:
    damaged = bytearray(long_lat.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    (tmp_path / "bad.lat").write_bytes(damaged)
    (found,) = printed(latcomp("check", tmp_path / "bad.lat", "--repair", tmp_path / "saved.lat", "--json"), 4)
    assert found["problems"] and found["repaired"]["lost"]
    valid("check", found)
    valid("stats", *printed(latcomp("stats", tmp_path / "bad.lat", "--json"), 4))


def test_compare_and_models(clip: Path, lat: Path, latcomp: Latcomp, valid: Valid) -> None:
    valid("compare", *printed(latcomp("compare", clip, lat, "--json", "-q")))
    valid("models", *printed(latcomp("models", "--json")))


def test_batch(clip: Path, latcomp: Latcomp, valid: Valid, tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "a.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "src" / "b.mp4").write_bytes(b"no video")
    lines = printed(latcomp("batch", tmp_path / "src", tmp_path / "dst", "--json", "-q"), 3)
    assert {line["status"] for line in lines} == {"done", "failed"}
    for line in lines:
        valid("batch", line)


def test_import_and_export(latcomp: Latcomp, valid: Valid, tmp_path: Path) -> None:
    trainers.write_musubi_wan_i2v(tmp_path / "cache", "clip", 0)
    (tmp_path / "cache" / "broken.safetensors").write_bytes(b"no tensors")
    lines = printed(latcomp("import", tmp_path / "cache", tmp_path / "lats", "--json", "-q"), 3)
    assert {line["status"] for line in lines} == {"done", "failed"}
    stats = printed(latcomp("stats", *(tmp_path / "lats").glob("*.lat"), "--json"))
    assert stats[0]["latents"] and stats[0]["attachments"]
    valid("stats", stats[0])
    lines += printed(latcomp("export", tmp_path / "lats", tmp_path / "back", "--as", "musubi", "--json", "-q"))
    for line in lines:
        valid("import", line)


@pytest.mark.parametrize(
    ("name", "file"), [("bench_rd", "rd.json"), ("bench_rd", "rd-256.json"), ("bench_dataset", "dataset.json")]
)
def test_the_figures_of_benchmarks(name: str, file: str, valid: Valid) -> None:
    valid(name, json.loads((ROOT / "benchmarks" / "results" / file).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", SECTIONS)
def test_the_members_are_those_of_the_documentation(name: str) -> None:
    """What is documented is in the schema, and what the schema says is always there is documented."""
    words, found = documented(SECTIONS[name]), definition("model" if name == "models" else name)
    if name == "encode":
        words |= documented("`stats`")
    parts = [found, *([SCHEMA["$defs"]["file"]] if "allOf" in found else [])]
    known = {member for part in parts for member in part["properties"]}
    required = {member for part in parts for member in part["required"]}
    assert words <= known, words - known
    assert required <= words, required - words


def test_inner_members_are_documented() -> None:
    """Those of objects inside objects stand in words, not in the first column of a table."""
    words = set(re.findall(r"\w+", " ".join(re.findall(r"`([^`]+)`", TEXT))))
    missing = {member for part in objects(SCHEMA["$defs"]) for member in part["required"]} - words
    assert not missing


def test_every_member_says_what_it_is() -> None:
    for part in objects(SCHEMA["$defs"]):
        for name, member in part["properties"].items():
            assert member.get("description") or "$ref" in member, name
            assert set(part["required"]) <= set(part["properties"])
