"""Protects: of a multiplex of several channels the film comes with its own audio, and a line says what was left out."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from latcomp.video import open_video
from latcomp.video.programmes import programmes

needs_ffmpeg = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
LEFT_OUT = "1 audio stream of other programmes of the transport stream: left out"


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two programmes: 160x96 with a tone of 440 Hz, 96x64 with one of 880."""
    path = tmp_path_factory.mktemp("programmes") / "two.ts"
    sources = ["testsrc=s=160x96:r=25", "sine=f=440", "testsrc2=s=96x64:r=25", "sine=f=880"]
    inputs = [word for source in sources for word in ("-f", "lavfi", "-t", "1", "-i", source)]
    maps = [word for number in range(4) for word in ("-map", str(number))]
    groups = ["-program", "title=A:st=0:st=1", "-program", "title=B:st=2:st=3"]
    codecs = ["-c:v", "mpeg2video", "-c:a", "mp2"]
    subprocess.run(["ffmpeg", "-v", "error", *inputs, *maps, *codecs, *groups, str(path)], check=True, timeout=60)
    return path


@needs_ffmpeg
@pytest.mark.parametrize(("track", "width"), [(None, 160), (0, 160), (1, 96)])
def test_the_audio_is_that_of_the_films_programme(track: int | None, width: int, two: Path) -> None:
    with open_video(two, video_track=track) as reader:
        assert (reader.info.width, len(reader.info.audio)) == (width, 1)
        assert LEFT_OUT in reader.notes
        sound = {item.stream for item in reader if not hasattr(item, "pixels")}
    assert sound == {0}


@needs_ffmpeg
def test_one_programme_keeps_all_of_its_audio(two: Path, tmp_path: Path) -> None:
    one = tmp_path / "one.ts"
    maps = ["-map", "0:v:0", "-map", "0:a:0", "-map", "0:a:1"]
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(two), *maps, "-c", "copy", str(one)], check=True, timeout=60)
    with open_video(one) as reader:
        assert len(reader.info.audio) == 2 and LEFT_OUT not in reader.notes


def table(pid: int, body: bytes, size: int) -> bytes:
    """A packet with a section of its own; size: 188, 192 with a time in front, 204 with parity behind."""
    packet = bytes([0x47, 0x40 | pid >> 8, pid & 0xFF, 0x10, 0]) + body
    return (bytes(4) if size == 192 else b"") + packet.ljust(188, b"\xff") + (bytes(16) if size == 204 else b"")


def section(kind: int, rest: bytes) -> bytes:
    """A section of a table with its length; the checksum is not looked at."""
    return bytes([kind, 0xB0, len(rest) + 4]) + rest + bytes(4)


@pytest.mark.parametrize("size", [188, 192, 204])
def test_packets_of_every_size_are_read(size: int) -> None:
    pat = section(0, bytes(5) + bytes([0, 0, 0xE0, 16, 0, 1, 0xE1, 0, 0, 2, 0xE1, 1]))
    pmts = [
        section(2, bytes(5) + bytes([0xE1, pid, 0xF0, 0, 0x1B, 0xE1, pid, 0xF0, 0, 3, 0xE1, pid + 1, 0xF0, 0]))
        for pid in (16, 32)
    ]
    data = table(0, pat, size) + table(256, pmts[0], size) + table(257, pmts[1], size) + table(300, b"", size) * 4
    assert programmes(lambda offset, count: data[offset : offset + count]) == [{0x110, 0x111}, {0x120, 0x121}]


@given(st.binary(max_size=2000), st.integers(0, 3))
def test_any_bytes_are_no_error(data: bytes, wild: int) -> None:
    head = b"".join(
        table(pid, data[at : at + 180], 188) for at, pid in zip(range(0, 2000, 180), [0, 16, 0, 17] * 3, strict=False)
    )
    programmes(lambda offset, count: (head + data)[wild:] if wild else data)
