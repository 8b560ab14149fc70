"""Protects: a wrong command line is told in one line with exit code 2, before any file is touched."""

from __future__ import annotations

from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused

WRONG = [
    ["encode"],
    ["encode", "IN"],
    ["encode", "IN", "OUT", "--nope"],
    ["encode", "IN", "OUT", "--keep", "2"],
    ["encode", "IN", "OUT", "--keep", "0"],
    ["encode", "IN", "OUT", "--keep", "nan"],
    ["encode", "IN", "OUT", "--keep", "-0.1"],
    ["encode", "IN", "OUT", "-Q", "11"],
    ["encode", "IN", "OUT", "-Q", "-1"],
    ["encode", "IN", "OUT", "-Q", "nan"],
    ["encode", "IN", "OUT", "-Q", "high"],
    ["encode", "IN", "OUT", "--threshold", "-1"],
    ["encode", "IN", "OUT", "--threshold", "inf"],
    ["encode", "IN", "OUT", "--start", "-1"],
    ["encode", "IN", "OUT", "--start", "nan"],
    ["encode", "IN", "OUT", "--duration", "0"],
    ["encode", "IN", "OUT", "--duration", "inf"],
    ["encode", "IN", "OUT", "--threshold", "0.1", "--keep", "0.5"],
    ["encode", "IN", "OUT", "--lossless", "-Q", "5"],
    ["encode", "IN", "OUT", "--reference", "next"],
    ["encode", "IN", "OUT", "--device", "tpu"],
    ["encode", "IN", "OUT", "--device", "cuda:x"],
    ["encode", "IN", "OUT", "--max-pixels", "0"],
    ["encode", "IN", "IN"],
    ["encode", "IN", "-", "--json"],
    ["decode", "IN", "OUT", "--fill", "zero"],
    ["decode", "IN", "OUT", "--crf", "-1"],
    ["decode", "IN", "IN"],
    ["decode", "IN", "-", "--json"],
    ["stats", "IN", "--json", "--csv"],
    ["tokens", "IN", "OUT.txt"],
    ["train"],
    ["train", "tokenizer", "--data", "DIR", "--out", "OUT"],
    ["train", "lit", "--data", "DIR", "--out", "OUT", "--minutes", "1", "--steps", "1"],
    ["train", "tokenizer", "--data", "DIR", "--out", "OUT", "--minutes", "0"],
    ["train", "tokenizer", "--data", "MISSING", "--out", "OUT", "--minutes", "1"],
    ["train", "lit", "--data", "DIR", "--out", "OUT", "--minutes", "1", "--resume", "MISSING"],
    ["no-such-command"],
]


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_a_wrong_command_line_is_one_line_and_exit_2(arguments: list[str], latcomp: Latcomp, tmp_path: Path) -> None:
    source = tmp_path / "IN"
    source.write_bytes(b"kept as it is")
    names = {name: tmp_path / name for name in ("IN", "OUT", "OUT.txt", "MISSING")} | {"DIR": tmp_path}
    ran = latcomp(*[names.get(argument, argument) for argument in arguments])
    assert_refused(ran, 2)
    assert [path.name for path in tmp_path.iterdir()] == ["IN"]
    assert source.read_bytes() == b"kept as it is"


def test_no_command_prints_the_help_and_exits_2(latcomp: Latcomp) -> None:
    """`latcomp` alone shows what there is, on standard error."""
    ran = latcomp()
    assert ran.code == 2
    assert ran.out == b""
    assert "encode" in ran.err and "decode" in ran.err


def test_version_and_help_go_to_standard_output(latcomp: Latcomp) -> None:
    """Asked-for text is data."""
    version = latcomp("--version")
    assert (version.code, version.err) == (0, "")
    assert version.out.startswith(b"latcomp ")
    shown = latcomp("encode", "--help")
    assert (shown.code, shown.err) == (0, "")
    for flag in (b"--quality", b"--threshold", b"--keep", b"--lossless", b"--no-audio", b"--device", b"--force"):
        assert flag in shown.out


def test_a_traceback_is_shown_when_asked_for(latcomp: Latcomp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LATCOMP_DEBUG=1 adds it to the one line, and changes nothing else."""
    monkeypatch.setenv("LATCOMP_DEBUG", "1")
    ran = latcomp("check", tmp_path / "missing.lat")
    assert ran.code == 4
    assert "Traceback" in ran.err
    assert ran.lines[-1].startswith("latcomp: error: ")


def test_a_second_video_is_never_taken_for_the_output(latcomp: Latcomp, tmp_path: Path) -> None:
    """`latcomp encode -f *.MTS` names two videos of a camera: neither may be overwritten, whatever a video or picture
    is called.
    """
    from latcomp.suffixes import INPUT_SUFFIXES

    (tmp_path / "A.MTS").write_bytes(b"kept as it is")
    for suffix in INPUT_SUFFIXES:
        second = tmp_path / f"B{suffix.upper()}"
        second.write_bytes(b"kept as well")
        ran = latcomp("encode", "-f", "-q", tmp_path / "A.MTS", second)
        assert_refused(ran, 2)
        assert "did you mean" in ran.err
        assert second.read_bytes() == b"kept as well"
