"""Protects what FFmpeg passes over in silence: bytes it cannot read are told in every container, and no healthy file is
suspected.
"""

from __future__ import annotations

import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from latcomp.errors import NotAVideoError
from latcomp.video.clock import SourceClock

from . import make
from .test_damage import packet_places

LARGE = {"g": "20", "bf": "2", "crf": "1"}
FORMATS: dict[str, dict[str, Any]] = {
    "a.mkv": {"options": LARGE, "container_options": {"cluster_time_limit": "400"}},
    "a.flv": {"options": {**LARGE, "bf": "0"}},
    "a.avi": {"codec": "mpeg4", "options": {"g": "20", "qscale": "1", "b": "9000000"}, "time_base": Fraction(1, 25)},
    "a.ts": {"format": "mpegts", "options": LARGE, "time_base": Fraction(1, 90000)},
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """60 frames with three key frames, in every format."""
    folder = tmp_path_factory.mktemp("whole")
    for name, settings in FORMATS.items():
        make.write(folder / name, make.pictures(60), **settings)
    return {name: folder / name for name in FORMATS}


def overwritten(source: Path, target: Path, first: int, last: int | None = None) -> Path:
    """The file with noise from within one packet of video to within another, or to the last one's end."""
    data, places = bytearray(source.read_bytes()), packet_places(source)
    start = places[first][0] + places[first][1] // 2
    end = places[-1][0] + places[-1][1] if last is None else places[last][0] + places[last][1] // 2
    data[start:end] = random.Random(5).randbytes(end - start)
    target.write_bytes(data)
    return target


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("first", "last"), [(26, 33), (22, 28)])
def test_bytes_that_cannot_be_read_are_told(
    tmp_path: Path, whole: dict[str, Path], name: str, first: int, last: int
) -> None:
    path = overwritten(whole[name], tmp_path / name, first, last)
    with pytest.raises(NotAVideoError, match="keep_going=True"):
        make.read(path)
    reader, frames, _ = make.read(path, keep_going=True)
    assert reader.damage
    if name != "a.avi":  # which has no times: how many frames are missing is not known
        assert [frame.pts for frame in frames] == [frame.pts for frame in make.read(whole[name])[1]]


@pytest.mark.parametrize("name", ["a.mkv", "a.flv"])
def test_bytes_at_the_end_too(tmp_path: Path, whole: dict[str, Path], name: str) -> None:
    """Nothing comes behind them that would show it."""
    path = overwritten(whole[name], tmp_path / name, 52)
    with pytest.raises(NotAVideoError, match="keep_going=True"):
        make.read(path)
    reader, frames, _ = make.read(path, keep_going=True)
    assert 40 <= len(frames) < 60
    assert "bytes could not be read" in str(reader.damage[-1]) or "invalid data" in str(reader.damage[-1])
    before = make.read(path, duration_seconds=1.2)  # a part that is not concerned
    assert (len(before[1]), before[0].damage) == (30, ())


def test_a_hole_among_the_first_frames_is_filled_at_the_rate_of_the_file(
    tmp_path: Path, whole: dict[str, Path]
) -> None:
    """Two frames that came are no measure where those between them did not."""
    path = overwritten(whole["a.mkv"], tmp_path / "a.mkv", 2, 12)
    frames = make.read(path, keep_going=True)[1]
    assert [frame.pts for frame in frames] == [frame.pts for frame in make.read(whole["a.mkv"])[1]]


def test_frames_before_packets_that_fail_are_not_lost_with_them(tmp_path: Path) -> None:
    """A decoder that works on several frames at once still has them when it is told of the first that fails."""
    make.write(
        tmp_path / "a.mp4",
        make.pictures(30),
        options={"g": "30", "bf": "0", "crf": "1"},
        container_options={"movflags": "faststart"},
    )
    data, places = bytearray((tmp_path / "a.mp4").read_bytes()), packet_places(tmp_path / "a.mp4")
    data[places[2][0] :] = bytes(len(data) - places[2][0])
    (tmp_path / "b.mp4").write_bytes(data)
    reader, frames, _ = make.read(tmp_path / "b.mp4", keep_going=True)
    assert len(frames) == 30
    assert (reader.damage[0].first_frame, reader.damage[0].held) == (2, 28)


@pytest.mark.parametrize(
    "settings",
    [
        {"audio": "libmp3lame"},
        {"audio": "pcm_s16le"},
        {"audio": "aac"},
        {"audio": "adpcm_ms"},
        {"codec": "mjpeg", "pixel_format": "yuvj420p", "audio": "pcm_s16le", "pts": [0, 1, 2, 9, 10, 30]},
    ],
)
def test_a_healthy_avi_has_no_holes(tmp_path: Path, settings: dict[str, Any]) -> None:
    """Packets may be pieces of a chunk, and frames may be left out on purpose."""
    count = len(settings.get("pts", range(40)))
    settings = {"codec": "mpeg4", "time_base": Fraction(1, 25), **settings}
    make.write(tmp_path / "a.avi", make.pictures(count), **settings)
    for audio in (True, False):
        reader, frames, _ = make.read(tmp_path / "a.avi", audio=audio)
        assert (len(frames), reader.damage) == (count, ())


def test_one_wrong_presentation_time_moves_no_other_frame(tmp_path: Path, whole: dict[str, Path]) -> None:
    """It is hours from the decoding time of its packet, which goes on as before."""
    import av

    with av.open(str(whole["a.ts"])) as container:
        clock, found, plain = SourceClock(container), [], []
        for packet in container.demux(video=0):
            if packet.size:
                plain.append(packet.pts)
                if len(plain) == 30:
                    packet.pts = packet.pts + 3600 * 90000
                clock.put_right(packet)
                found.append(packet.pts)
    assert found == [*plain[:29], None, *plain[30:]]
    assert clock.singles == 1
