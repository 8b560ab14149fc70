"""Protects the one policy on damaged sources: a refusal that names the frame and the flag, or all that can be had, told
frame by frame.
"""

from __future__ import annotations

import io
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from latcomp.errors import NotAVideoError
from latcomp.video import Frame, open_video
from latcomp.video.losses import Losses

from . import make

SECONDS = Fraction(1, 25)
# (name, settings): every container that cannot but notice, with B-frames where it can hold them
FORMATS: list[tuple[str, dict[str, Any]]] = [
    ("a.mp4", {"container_options": {"movflags": "faststart"}, "options": {"g": "20", "bf": "2", "crf": "1"}}),
    ("a.mov", {"container_options": {"movflags": "faststart"}, "options": {"g": "20", "bf": "2", "crf": "1"}}),
    (
        "fragments.mp4",
        {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "20", "bf": "2", "crf": "1"}},
    ),
    ("a.mkv", {"options": {"g": "20", "bf": "2", "crf": "1"}}),
    ("a.ts", {"format": "mpegts", "options": {"g": "20", "bf": "2", "crf": "1"}, "time_base": Fraction(1, 90000)}),
    ("a.flv", {"options": {"g": "20", "bf": "0", "crf": "1"}}),
    ("a.avi", {"codec": "mpeg4", "options": {"g": "20", "qscale": "1", "b": "9000000"}, "time_base": SECONDS}),
]
IDS = [name for name, _ in FORMATS]


def packet_places(path: Path) -> list[tuple[int, int, Fraction]]:
    """(offset, bytes, seconds) of the video's packets in order of decoding; the offset may lie a few bytes before the
    data.
    """
    with av.open(str(path)) as container:
        return [(p.pos, p.size, (p.pts or 0) * p.time_base) for p in container.demux(video=0) if p.size]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """60 frames with three key frames, in every format."""
    folder = tmp_path_factory.mktemp("whole")
    for name, settings in FORMATS:
        make.write(folder / name, make.pictures(60), **settings)
    return {name: folder / name for name, _ in FORMATS}


def spoiled(source: Path, target: Path, packet: int = 27) -> Path:
    """The file with the middle of one packet overwritten: a frame between the second and the third key frame."""
    data = bytearray(source.read_bytes())
    offset, size, _ = packet_places(source)[packet]
    start = offset + size // 4 + 40
    data[start : start + size // 2] = random.Random(1).randbytes(size // 2)
    target.write_bytes(data)
    return target


def cut(source: Path, target: Path) -> Path:
    """The file without its last third, cut in the middle of a packet."""
    data = source.read_bytes()
    place = next(offset + size // 2 for offset, size, _ in packet_places(source) if offset > len(data) * 6 // 10)
    target.write_bytes(data[: place - (place % 188 == 0)])
    return target


def until_refused(source: Any, **settings: Any) -> tuple[int, str]:
    """(frames that were given, the refusal)."""
    frames = 0
    with pytest.raises(NotAVideoError) as caught, open_video(source, **settings) as reader:
        for item in reader:
            frames += isinstance(item, Frame)
    return frames, str(caught.value)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("harm", [spoiled, cut])
def test_damage_is_refused_by_frame_and_flag(tmp_path: Path, whole: dict[str, Path], name: str, harm: Any) -> None:
    """In every container alike, with the frames before it given."""
    frames, words = until_refused(harm(whole[name], tmp_path / name))
    assert 20 <= frames < 40
    assert f"after {frames} frames ({(frames - (harm is cut)) / 25:.2f} s)" in words or harm is cut
    assert "keep_going=True writes what can be decoded" in words


@pytest.mark.parametrize("name", IDS)
def test_going_on_keeps_every_frame_and_every_time(tmp_path: Path, whole: dict[str, Path], name: str) -> None:
    """What is before the damage and behind the next key frame is as it was, and what is between is told."""
    _, frames, _ = make.read(whole[name])
    reader, found, _ = make.read(spoiled(whole[name], tmp_path / name), keep_going=True)
    assert [frame.pts for frame in found] == [frame.pts for frame in frames]
    (damage,) = reader.damage
    first, behind = damage.first_frame, damage.first_frame + damage.frames
    assert 20 <= first <= 32 and behind == 40
    assert damage.start_seconds == pytest.approx(first / 25, abs=0.002)
    assert f"frames {first} to 39" in str(damage)
    same = [np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, found, strict=True)]
    assert all(same[:first]) and all(same[behind:]) and not same[first]


@pytest.mark.parametrize("name", IDS)
def test_going_on_over_a_cut_gives_what_is_there_and_says_that_the_end_is_missing(
    tmp_path: Path, whole: dict[str, Path], name: str
) -> None:
    _, frames, _ = make.read(whole[name])
    reader, found, _ = make.read(cut(whole[name], tmp_path / name), keep_going=True)
    assert 25 < len(found) < 60
    assert "its end is missing" in str(reader.damage[-1])
    good = reader.damage[0].first_frame
    assert all(
        np.array_equal(a.pixels, b.pixels) and a.pts == b.pts for a, b in zip(frames[:good], found[:good], strict=True)
    )
    assert reader.damage[-1].first_frame + reader.damage[-1].frames == len(found)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("keep_going", [False, True])
def test_a_stretch_behind_or_before_the_damage_is_whole(
    tmp_path: Path, whole: dict[str, Path], name: str, keep_going: bool
) -> None:
    path = spoiled(whole[name], tmp_path / name)
    for part in ({"start_seconds": 1.6}, {"start_seconds": 2.0, "duration_seconds": 0.2}, {"duration_seconds": 0.8}):
        expected = make.read(whole[name], **part)[1]
        reader, frames, _ = make.read(path, keep_going=keep_going, **part)
        assert reader.damage == ()
        assert [f.pts for f in frames] == [f.pts for f in expected]
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(frames, expected, strict=True))


def test_a_stretch_that_begins_in_the_damage_begins_with_the_frame_before(
    tmp_path: Path, whole: dict[str, Path]
) -> None:
    path = spoiled(whole["a.mp4"], tmp_path / "a.mp4")
    (damage,) = make.read(path, keep_going=True)[0].damage
    start = (damage.first_frame + 1) / 25
    reader, frames, _ = make.read(path, keep_going=True, start_seconds=start)
    assert len(frames) == 60 - damage.first_frame - 1
    assert (reader.damage[0].first_frame, reader.damage[0].frames) == (0, damage.frames - 1)


@pytest.mark.parametrize("name", ["a.mkv", "a.ts", "a.avi"])
def test_a_cut_stream_is_told_too(tmp_path: Path, whole: dict[str, Path], name: str) -> None:
    data = cut(whole[name], tmp_path / name).read_bytes()
    sources = [io.BytesIO(data) for _ in range(2)]
    for source in sources:
        source.seekable = lambda: False  # type: ignore[method-assign]
    assert "keep_going=True" in until_refused(sources[0])[1]
    assert make.read(sources[1], keep_going=True)[0].damage[-1].reason.endswith("its end is missing")
    full = io.BytesIO(whole[name].read_bytes())
    full.seekable = lambda: False  # type: ignore[method-assign]
    assert len(make.read(full)[1]) == 60


@pytest.mark.parametrize("name", IDS)
def test_a_whole_source_has_no_damage(whole: dict[str, Path], name: str) -> None:
    for settings in ({}, {"keep_going": True}, {"deinterlace": True}):
        reader, frames, _ = make.read(whole[name], **settings)
        assert (len(frames), reader.damage, reader.notes) == (60, (), [])


def test_a_hole_in_a_matroska_file_is_filled(tmp_path: Path, whole: dict[str, Path]) -> None:
    """FFmpeg goes on at the next cluster and says nothing of what it passed over."""
    options = {"g": "10", "bf": "0", "crf": "1"}
    make.write(tmp_path / "a.mkv", make.pictures(60), options=options, container_options={"cluster_time_limit": "400"})
    data = bytearray((tmp_path / "a.mkv").read_bytes())
    places = packet_places(tmp_path / "a.mkv")
    offset, size, _ = places[22]
    data[offset + size : offset + size + 8] = b"\xff" * 8  # the head of the block behind it
    (tmp_path / "b.mkv").write_bytes(data)
    frames, words = until_refused(tmp_path / "b.mkv")
    assert 20 <= frames <= 23 and "bytes could not be read" in words
    reader, found, _ = make.read(tmp_path / "b.mkv", keep_going=True)
    assert [f.pts for f in found] == [f.pts for f in make.read(tmp_path / "a.mkv")[1]]
    assert reader.damage[0].held > 2


def test_two_recordings_joined_are_not_damaged(tmp_path: Path, whole: dict[str, Path]) -> None:
    """The counters of a transport stream jump at the joint, and nothing is missing."""
    (tmp_path / "a.ts").write_bytes(whole["a.ts"].read_bytes() * 2)
    reader, frames, _ = make.read(tmp_path / "a.ts")
    assert len(frames) == 120 and reader.damage == ()


def test_deinterlacing_keeps_the_order_around_held_frames(tmp_path: Path) -> None:
    options = {"x264-params": "interlaced=1", "crf": "1", "g": "20", "bf": "0"}
    make.write(
        tmp_path / "a.mp4", make.pictures(60, 64, 64), options=options, container_options={"movflags": "faststart"}
    )
    times = [frame.pts for frame in make.read(tmp_path / "a.mp4")[1]]
    path = spoiled(tmp_path / "a.mp4", tmp_path / "b.mp4")
    for deinterlace in (False, True):
        reader, frames, _ = make.read(path, keep_going=True, deinterlace=deinterlace)
        assert [frame.pts for frame in frames] == times
        assert reader.damage


class TestLosses:
    """The bookkeeping by itself: times of packets in, times of frames out."""

    def feed(self, losses: Losses, order: list[int], missing: set[int]) -> list[int]:
        """Times of frames that are lost, where packets come in `order`, and frames in order of time."""
        lost: list[int] = []
        for pts in order:
            losses.entering(pts)
        for pts in sorted(set(order) - missing):
            lost += [each.pts for each in losses.leaving(pts, key=pts % 10 == 0, whole=True)]
        return lost + [each.pts for each in losses.rest()]

    def test_packets_that_are_passed_over_are_no_loss_while_nothing_went_wrong(self) -> None:
        losses = Losses(SECONDS, Fraction(25))
        assert self.feed(losses, list(range(20)), {3, 4, 15}) == []
        assert all(losses.at(pts) is None for pts in range(20)) and losses.untold is None

    def test_after_a_failure_they_are(self) -> None:
        losses = Losses(SECONDS, Fraction(25))
        assert self.feed(losses, list(range(10)), set()) == []
        for pts in range(10, 15):
            losses.entering(pts)
        losses.failed("bad")
        lost = [each.pts for pts in (10, 11, 14) for each in losses.leaving(pts, key=pts == 10, whole=True)]
        assert lost == [12, 13]
        assert [losses.at(pts) for pts in range(10, 15)] == [None, None, ("bad", 1), ("bad", 1), ("bad", 1)]

    def test_where_a_frame_takes_two_packets_only_frames_that_come_are_told(self) -> None:
        losses = Losses(SECONDS, Fraction(25))
        assert self.feed(losses, list(range(20)), set(range(1, 20, 2))) == []
        losses.entering(20)
        losses.entering(21)
        losses.failed("bad")
        assert [each.pts for each in losses.leaving(22, key=True, whole=True)] == [20]
        assert (losses.at(20), losses.at(22)) == (("bad", 1), None)

    def test_a_jump_of_hours_is_not_filled(self) -> None:
        losses = Losses(SECONDS, Fraction(25))
        assert self.feed(losses, list(range(10)), set()) == []
        losses.failed("bad")
        assert losses.leaving(25 * 3600, key=True, whole=True) == []
        assert losses.at(25 * 3600) == ("bad", 0)

    def test_what_no_frame_shows_is_told_at_the_end(self) -> None:
        losses = Losses(SECONDS, Fraction(25))
        assert self.feed(losses, list(range(10)), set()) == []
        losses.failed("bad")
        assert losses.rest() == [] and losses.untold == "bad"
