"""Protects parts of a video: exact frames and audio of any stretch, from a .lat of which nothing but that stretch is
read.
"""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import latcomp
from latcomp.container import Reader
from tests.video import make

FRAMES = 256
CUTS = (64, 128)  # scene cuts, which start segments
SECONDS = Fraction(1, 25)
LATE = 126_000  # 1.4 s: where a transport stream's first frame usually is


class Counted(io.BytesIO):
    """A file that remembers which of its bytes were asked for."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.touched = np.zeros(len(data), bool)

    def read(self, size: int | None = -1) -> bytes:
        """As a file does, and remembered."""
        place = self.tell()
        data = super().read(size)
        self.touched[place : place + len(data)] = True
        return data


def scenes(frames: int) -> list[np.ndarray]:
    """48x32 pictures of a grainy still scene, of its negative, and of the first scene again."""
    still, grain = make.pictures(1, 48, 32)[0], np.random.default_rng(1)
    noisy = [np.clip(still + grain.normal(0, 4, still.shape), 0, 255).astype(np.uint8) for _ in range(frames)]
    return [255 - picture if CUTS[0] <= index < CUTS[1] else picture for index, picture in enumerate(noisy)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("parts") / "a.mp4"
    make.write(path, scenes(FRAMES), audio="aac")
    return path


@pytest.fixture(scope="module")
def lat(source: Path) -> bytes:
    """The whole video with exact latents, so that it is long enough to leave something unread."""
    file = io.BytesIO()
    latcomp.encode(source, file, lossless=True)
    return file.getvalue()


def decoded(source: object, target: Path, **settings: float) -> tuple[list[np.ndarray], list[bytes], list[Fraction]]:
    """(frames, audio packets, times of frames) of a part, written losslessly."""
    latcomp.decode(source, target, codec="ffv1", force=True, **settings)  # type: ignore[arg-type]
    reader, frames, packets = make.read(target)
    return [frame.pixels for frame in frames], [packet.data for packet in packets], make.seconds(reader, frames)


@pytest.fixture(scope="module")
def whole(lat: bytes, tmp_path_factory: pytest.TempPathFactory) -> list[np.ndarray]:
    return decoded(io.BytesIO(lat), tmp_path_factory.mktemp("whole") / "a.mkv")[0]


@pytest.mark.parametrize(
    ("start", "duration"),
    [(0.0, 0.4), (3.0, 0.6), (2.56, 0.4), (2.52, 0.08), (5.12, 0.04), (5.120001, 0.2), (9.6, None)],
    ids=["start", "inside", "segment", "seam", "one frame", "rounded", "end"],
)
def test_a_part_is_what_the_whole_has_there(
    source: Path, lat: bytes, whole: list[np.ndarray], tmp_path: Path, start: float, duration: float | None
) -> None:
    """Frames, from time 0 on, and the audio packets that the same part of the source has: at a seam between segments
    too.
    """
    settings = {"start_seconds": start} | ({} if duration is None else {"duration_seconds": duration})
    frames, packets, times = decoded(io.BytesIO(lat), tmp_path / "part.mkv", **settings)
    first = round(start * 25)
    last = FRAMES if duration is None else first + round(duration * 25)
    assert all(np.array_equal(a, b) for a, b in zip(frames, whole[first:last], strict=True))
    assert all(abs(time - index * SECONDS) <= Fraction(1, 2000) for index, time in enumerate(times))
    assert packets == [packet.data for packet in make.read(source, **settings)[2]]


def test_only_the_part_is_read(lat: bytes, tmp_path: Path) -> None:
    """Header, index and the groups of the part: a fraction of the file, and nothing of the segments it is not in."""
    index = Reader(io.BytesIO(lat)).index
    assert index is not None
    assert [entry.first_frame for entry in index] == [0, *CUTS]
    file = Counted(lat)
    frames, _, _ = decoded(file, tmp_path / "part.mkv", start_seconds=2.6, duration_seconds=0.4)
    assert len(frames) == 10
    at_once = 1 << 16  # bytes that a read takes
    assert not file.touched[at_once : index[1].offset].any()
    assert not file.touched[index[2].offset + 2 * at_once : len(lat) - at_once].any()
    assert (
        file.touched.mean() < 0.6
    )  # two of eight groups, and what reads take at once: much in a file as small as this


def test_latents_of_a_part_read_only_it(lat: bytes) -> None:
    file = Counted(lat)
    with latcomp.open(file) as opened:
        latents = opened.latents(start_seconds=5.12, duration_seconds=0.48)
    assert latents.shape[2] == 3
    assert file.touched.mean() < 0.6


@pytest.mark.parametrize("through", ["file", "pipe"])
def test_time_counts_from_the_first_frame(tmp_path: Path, through: str) -> None:
    """A transport stream begins at 1.4 s or at hours: --start 1 is a second behind its first frame all the same, on
    both sides.
    """
    pts = [LATE + 3600 * index for index in range(40)]
    make.write(
        tmp_path / "a.ts",
        make.pictures(40, 48, 32),
        format="mpegts",
        time_base=Fraction(1, 90000),
        pts=pts,
        audio="aac",
    )
    file = io.BytesIO()
    latcomp.encode(tmp_path / "a.ts", file)

    def opened() -> io.BytesIO:
        again = io.BytesIO(file.getvalue())
        if through == "pipe":
            again.seekable = lambda: False  # type: ignore[method-assign]
        return again

    for settings, count in (({"duration_seconds": 1.0}, 25), ({"start_seconds": 1.0, "duration_seconds": 0.4}, 10)):
        assert len(decoded(opened(), tmp_path / "b.mkv", **settings)[0]) == count
        assert len(make.read(tmp_path / "a.ts", **settings)[1]) == count


def test_audio_far_ahead_of_its_frames_is_found_again(tmp_path: Path) -> None:
    """Some writers put seconds of audio before the frames they belong to; in the .lat it stands with them."""
    make.write(tmp_path / "a.mkv", scenes(100), audio="libopus")  # all audio first
    file = io.BytesIO()
    latcomp.encode(tmp_path / "a.mkv", file)
    reader, _, packets = make.read(tmp_path / "a.mkv")
    unit = reader.info.audio[0].time_base
    wanted = [
        packet.data
        for packet in packets
        if packet.pts is not None and Fraction("2.8") <= packet.pts * unit < Fraction("3.8")
    ]
    found = decoded(io.BytesIO(file.getvalue()), tmp_path / "b.mkv", start_seconds=2.8, duration_seconds=1.0)[1]
    assert len(wanted) == 50
    assert found == wanted
