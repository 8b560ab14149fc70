"""Protects: files may have any name, and what names hold is escaped in messages, tables, pages and JSON."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

from latcomp.container import Reader, Writer

from .conftest import Latcomp, assert_refused

NAMES = {
    "not UTF-8": (b"b\xff", "b\\xff"),
    "escape": (b"a\x1b[31mred", "a\\x1b[31mred"),
    "line break": (b"a\nlatcomp: fine", "a\\nlatcomp: fine"),
    "direction": ("a\u202eb".encode(), "a\\u202eb"),
}


@pytest.fixture(params=NAMES, ids=list(NAMES))
def named(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, str]:
    """(a path without suffix, how its name is shown)."""
    if sys.platform == "darwin":
        pytest.skip("its file systems take no such names")
    name, shown = NAMES[request.param]
    return tmp_path / os.fsdecode(name), shown


def shows_only(ran: object, shown: str) -> None:
    """The escaped name, nothing a terminal would act on."""
    err: str = ran.err  # type: ignore[attr-defined]
    assert shown in err
    assert "\x1b" not in err and "\u202e" not in err and all(line.startswith("latcomp: ") for line in err.splitlines())


def test_every_command_takes_any_name(named: tuple[Path, str], clip: Path, lat: Path, latcomp: Latcomp) -> None:
    stem, shown = named
    video, made = stem.with_name(stem.name + ".mp4"), stem.with_name(stem.name + ".lat")
    video.write_bytes(clip.read_bytes())
    shows_only(latcomp("encode", video, made), shown)
    assert made.read_bytes() == lat.read_bytes()
    back = latcomp("decode", made, stem.with_name(stem.name + ".mkv"))
    assert back.code == 0
    shows_only(back, shown)
    for command in (
        ["check", made],
        ["compare", video, made],
        ["tokens", made, stem.with_name(stem.name + ".safetensors")],
    ):
        ran = latcomp(*command)
        assert ran.code == 0, ran.err
        shows_only(ran, shown)
    missing = latcomp("stats", stem.with_name(stem.name + "x.lat"))
    assert_refused(missing, 4)
    shows_only(missing, shown)
    told = [json.loads(line) for line in latcomp("stats", made, made, "--json").out.decode("utf-8").splitlines()]
    assert all(one["path"].encode("utf-8") for one in told)


def test_pages_and_plots_take_any_name(named: tuple[Path, str], clip: Path, lat: Path, latcomp: Latcomp) -> None:
    stem, shown = named
    made, video = stem.with_name(stem.name + ".lat"), stem.with_name(stem.name + ".mp4")
    made.write_bytes(lat.read_bytes())
    video.write_bytes(clip.read_bytes())
    page = stem.with_name(stem.name + ".html")
    assert latcomp("stats", made, "--html", page, "--video", video, "-q").code == 0
    text = page.read_bytes().decode("utf-8")
    assert f"<title>{shown}.lat" in text and f"Frames of {shown}.mp4" in text
    pytest.importorskip("matplotlib")
    plot = stem.with_name(stem.name + ".svg")
    assert latcomp("stats", made, "--plot", plot, "-q").code == 0
    assert f"{shown}.lat:" in plot.read_bytes().decode("utf-8")


def test_batch_takes_any_name(named: tuple[Path, str], clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    stem, shown = named
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / f"{stem.name}.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "in" / f"{stem.name}2.mp4").write_bytes(b"no video")
    ran = latcomp("batch", tmp_path / "in", tmp_path / "out", "--json", "-q")
    assert ran.code == 3
    shows_only(ran, shown)
    done, failed = (json.loads(line) for line in ran.out.decode("utf-8").splitlines())
    assert done["status"] == "done" and failed["exit_code"] == 3
    assert (tmp_path / "out" / f"{stem.name}.lat").is_file()


@pytest.mark.parametrize(
    ("name", "shown"), [("\x1b]0;owned\x07", "\\x1b]0;owned\\x07"), ("\ud800x", "\\ud800x"), ("[red]x", "[red]x")]
)
def test_names_inside_a_file_are_escaped_too(
    name: str, shown: str, lat: Path, latcomp: Latcomp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A header may name its tokenizer as it likes: it is found by its hash."""
    dumps = json.dumps
    from dataclasses import replace

    from latcomp.models import prior_finder

    source = tmp_path / "in.lat"
    with lat.open("rb") as file, source.open("wb") as out:
        reader = Reader(file, find_prior=prior_finder())
        header = replace(reader.header, tokenizer={**reader.header.tokenizer, "name": name})
        with monkeypatch.context() as patch:
            # JSON in ASCII is JSON as well, and can hold a lone surrogate
            patch.setattr(json, "dumps", lambda value, **settings: dumps(value, **{**settings, "ensure_ascii": True}))
            writer = Writer(out, header, prior_finder()(header.prior["name"], header.prior["sha256"]))
        with writer:
            for item in reader:
                writer.write_group(item) if hasattr(item, "mask") else writer.write_audio(item)
    ran = latcomp("stats", source)
    assert ran.code == 0 and shown in ran.err and "\x1b" not in ran.err
    out = latcomp("stats", source, "--json").out
    json.loads(out)["tokenizer"]["name"].encode("utf-8")
    assert latcomp("tokens", source, tmp_path / "out.safetensors", "-q").code == 0
    assert latcomp("stats", source, "--html", tmp_path / "page.html", "-q").code == 0
    assert shown in (tmp_path / "page.html").read_text(encoding="utf-8")
