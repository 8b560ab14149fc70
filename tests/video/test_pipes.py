"""Protects streams: what can be read from a pipe is, what cannot is spooled, and what goes to a pipe can be read
again.
"""

import io
import os
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import pytest

from latcomp.errors import NotAVideoError
from latcomp.video import open_writer

from . import make


@contextmanager
def pipe_from(data: bytes) -> Iterator[BinaryIO]:
    """A pipe that a thread fills with `data`."""
    read_end, write_end = os.pipe()

    def fill() -> None:
        with os.fdopen(write_end, "wb") as file:
            with suppress(BrokenPipeError):  # the reader may leave early
                file.write(data)

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        with os.fdopen(read_end, "rb") as file:
            yield file
    finally:
        thread.join()


@contextmanager
def pipe_to(consume: Callable[[BinaryIO], bytes]) -> Iterator[tuple[BinaryIO, list[bytes]]]:
    """A pipe whose other end a thread reads; what it read is in the list afterwards."""
    read_end, write_end = os.pipe()
    got: list[bytes] = []

    def drain() -> None:
        with os.fdopen(read_end, "rb") as file:
            got.append(consume(file))

    thread = threading.Thread(target=drain)
    thread.start()
    try:
        with os.fdopen(write_end, "wb") as file:
            yield file, got
    finally:
        thread.join()


KINDS = {
    "mkv": {"name": "a.mkv"},
    "mpegts": {"name": "a.ts", "format": "mpegts"},
    "webm": {
        "name": "a.webm",
        "codec": "libvpx-vp9",
        "options": {"crf": "4", "b": "0", "deadline": "realtime"},
        "audio": "libopus",
    },
    "faststart mp4": {"name": "a.mp4", "container_options": {"movflags": "faststart"}},
    "fragmented mp4": {"name": "a.mp4", "container_options": {"movflags": "frag_keyframe+empty_moov"}},
    "y4m": {
        "name": "a.y4m",
        "format": "yuv4mpegpipe",
        "codec": "rawvideo",
        "time_base": Fraction(1, 25),
        "audio": None,
    },
    "index last mp4": {"name": "a.mp4"},
    "index last mov": {"name": "a.mov"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_pipe_gives_what_the_file_gives(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"audio": "aac", **KINDS[kind]}
    path = tmp_path / str(settings.pop("name"))
    make.write(path, make.pictures(40, 160, 120), **settings)  # type: ignore[arg-type]
    spooled = []
    original = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda *a, **k: spooled.append(1) or original(*a, **k))
    _, frames, packets = make.read(path)
    with pipe_from(path.read_bytes()) as pipe:
        _, piped_frames, piped_packets = make.read(pipe)
    assert [f.pts for f in piped_frames] == [f.pts for f in frames]
    assert all((a.pixels == b.pixels).all() for a, b in zip(piped_frames, frames, strict=True))
    assert [p.data for p in piped_packets] == [p.data for p in packets]
    assert bool(spooled) == kind.startswith("index last")


def test_a_stretch_from_a_pipe(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mkv", make.pictures(40))
    with pipe_from((tmp_path / "a.mkv").read_bytes()) as pipe:
        _, frames, _ = make.read(pipe, start_seconds=0.4, duration_seconds=0.4)
    _, wanted, _ = make.read(tmp_path / "a.mkv", start_seconds=0.4, duration_seconds=0.4)
    assert len(frames) == 10
    assert all((a.pixels == b.pixels).all() for a, b in zip(frames, wanted, strict=True))


@pytest.mark.parametrize("kind", ["mkv", "faststart mp4", "fragmented mp4", "index last mp4"])
def test_a_cut_pipe_is_damaged_input(tmp_path: Path, kind: str) -> None:
    settings = dict(KINDS[kind])
    path = tmp_path / str(settings.pop("name"))
    make.write(path, make.pictures(60, 160, 120), **settings)  # type: ignore[arg-type]
    data = path.read_bytes()
    with pipe_from(data[: len(data) // 2]) as pipe, pytest.raises(NotAVideoError, match="cut off"):
        make.read(pipe)


@pytest.mark.parametrize("data", [b"", b"words, words, words\n" * 50])
def test_a_pipe_of_no_video(data: bytes) -> None:
    with pipe_from(data) as pipe, pytest.raises(NotAVideoError):
        make.read(pipe)


def test_a_named_pipe_is_read_as_a_stream(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(10))
    os.mkfifo(tmp_path / "fifo")
    thread = threading.Thread(target=lambda: (tmp_path / "fifo").write_bytes((tmp_path / "a.mp4").read_bytes()))
    thread.start()
    assert len(make.read(tmp_path / "fifo")[1]) == 10
    thread.join()


def test_a_file_object_that_seeks_is_read_and_left_open(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(30), options={"g": "10", "crf": "1"})
    file = io.BytesIO((tmp_path / "a.mp4").read_bytes())
    assert len(make.read(file, start_seconds=0.6)[1]) == 15
    assert not file.closed


@pytest.mark.parametrize("format", [None, "mkv", "mp4", "mov", "webm", "y4m"])
def test_what_is_written_to_a_pipe_can_be_read(tmp_path: Path, format: str | None) -> None:
    audio = {"webm": "libopus"}.get(format or "", "aac")
    source = tmp_path / ("a.mkv" if format == "webm" else "a.mp4")
    make.write(source, make.pictures(30), audio=audio)
    before, frames_before, packets_before = make.read(source)
    with pipe_to(lambda file: file.read()) as (pipe, got):
        make.copy(source, pipe, format=format)
    (tmp_path / "out").write_bytes(got[0])
    after, frames, packets = make.read(tmp_path / "out")
    times = zip(make.seconds(after, frames), make.seconds(before, frames_before), strict=True)
    assert max(abs(a - b) for a, b in times) <= (0 if format in ("mp4", "mov", "y4m") else Fraction(1, 2000))
    assert [p.data for p in packets] == ([] if format == "y4m" else [p.data for p in packets_before])
    assert min(make.psnr(a.pixels, b.pixels) for a, b in zip(frames, frames_before, strict=True)) > 36


def test_a_reader_that_leaves_early_is_a_broken_pipe(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(100, 160, 120))
    info = make.read(tmp_path / "a.mp4")[0].info

    def leave(file: BinaryIO) -> bytes:
        return file.read(10)

    with pytest.raises(BrokenPipeError), pipe_to(leave) as (pipe, _), open_writer(pipe, info, format="y4m") as writer:
        for i, picture in enumerate(make.pictures(100, 160, 120)):
            writer.write_frame(picture, i * 512)
