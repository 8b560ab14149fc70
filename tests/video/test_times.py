"""Times of a source are sane once it is read, for frames and sound alike, and one note tells what was done; what is
sane stays.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from latcomp.errors import OutputError
from latcomp.video import AudioInfo, AudioPacket, ColorTags, VideoInfo, open_writer
from latcomp.video.approach import approached
from latcomp.video.packets import PacketTimes
from latcomp.video.source_times import SourceTimes
from tests.video import make

Change = Callable[[str, int, int], int]
"""Stream type, number of the packet in its stream and time in 90 kHz -> its time."""
FRAMES, STEP, LAST = 50, 3600, 49 * 3600
WRAP = 2**33


def changed(path: Path, *changes: Change, format: str = "mpegts", options: dict[str, str] | None = None) -> Path:
    """One part after another of the same two seconds, each with its times changed; B-frames and sound in all of
    them.
    """
    part = path.with_name("part.ts")
    make.write(
        part,
        make.pictures(FRAMES),
        audio="aac",
        format="mpegts",
        options={"bf": "2", "g": "25", "crf": "8", **(options or {})},
    )
    data = b""
    for change in changes:
        sink = io.BytesIO()
        with (
            av.open(str(part)) as one,
            av.open(sink, "w", format=format, container_options=MUXERS.get(format, {})) as out,
        ):
            copies = {stream.index: out.add_stream_from_template(stream) for stream in one.streams}
            counts = dict.fromkeys(copies, 0)
            for packet in one.demux():
                if packet.size:
                    kind, number = packet.stream.type, counts[packet.stream.index]
                    packet.pts, packet.dts = (change(kind, number, time) for time in (packet.pts, packet.dts))
                    counts[packet.stream.index] += 1
                    packet.stream = copies[packet.stream.index]
                    out.mux(packet)
        data += sink.getvalue()
    path.write_bytes(data)
    return path


MUXERS = {"mpegts": {"mpegts_copyts": "1", "avoid_negative_ts": "disabled"}}


def moved(by: int) -> Change:
    return lambda kind, number, time: time + by


def times_of(path: Path, **settings: Any) -> tuple[list[float], list[float], list[str]]:
    """(seconds of the frames, seconds of the audio packets, notes on times)."""
    reader, frames, packets = make.read(path, **settings)
    unit = reader.info.audio[0].time_base
    sound = [packet.pts * unit for packet in packets]
    assert all(later.dts > earlier.dts for earlier, later in pairwise(p for p in packets if p.dts is not None))
    return (
        [float(time) for time in make.seconds(reader, frames)],
        [float(time) for time in sound],
        [note for note in reader.notes if "times" in note],
    )


def distance(frames: Sequence[float], sound: Sequence[float], place: float) -> float:
    """How far the sound is behind the picture at a place between 0 and 1 of both."""
    return sound[round(place * (len(sound) - 1))] - frames[round(place * (len(frames) - 1))]


def even(times: Sequence[float], step: float = 0.04) -> bool:
    return all(abs(later - earlier - step) < 0.0015 for earlier, later in pairwise(times))


def test_sane_times_stay(tmp_path: Path) -> None:
    frames, sound, notes = times_of(changed(tmp_path / "a.ts", moved(0)))
    assert (len(frames), notes) == (FRAMES, [])
    assert even(frames)
    assert frames[0] > 0
    assert sound[0] > 0


@pytest.mark.parametrize("again", [0, -60 * 90000, 3600 * 90000], ids=["same", "earlier", "an hour later"])
def test_a_clock_that_starts_again_goes_on_in_picture_and_sound(tmp_path: Path, again: int) -> None:
    start = 100 * 90000
    frames, sound, notes = times_of(
        changed(tmp_path / "a.ts", moved(start), moved(start + again), moved(start + again // 2))
    )
    assert len(frames) == 3 * FRAMES
    assert even(frames)
    assert frames[-1] - frames[0] == pytest.approx(3 * FRAMES * 0.04 - 0.04, abs=0.002)
    assert all(
        abs(distance(frames, sound, place) - distance(frames, sound, 0)) < 0.06 for place in (0.2, 0.4, 0.6, 0.8, 1.0)
    )
    assert len(notes) == 1
    assert "starts again 2 times" in notes[0]


@pytest.fixture(scope="module")
def joined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three parts of two seconds with the same times and other pictures."""
    folder, rng = tmp_path_factory.mktemp("joined"), np.random.default_rng(1)
    for number in range(3):
        noise = [rng.integers(0, 256, (48, 64, 3), np.uint8) for _ in range(FRAMES)]
        options = {"crf": "8", "preset": "ultrafast", "g": "10", "bf": "2"}
        make.write(folder / f"{number}.ts", noise, format="mpegts", options=options, audio="aac")
    path = folder / "joined.ts"
    path.write_bytes(b"".join((folder / f"{number}.ts").read_bytes() for number in range(3)))
    return path


@pytest.mark.parametrize("start", [0.2, 1.0, 1.8, 2.4, 5.2])
def test_a_part_of_a_joined_file_is_that_part(joined: Path, start: float) -> None:
    """The same times come again and again, so nothing can be searched by them: the way is read, and the rest is as it
    always was.
    """
    _, whole, whole_sound = make.read(joined)
    reader, frames, packets = make.read(joined, start_seconds=start, duration_seconds=0.4)
    first = round(start * 25)
    wanted = whole[first : first + 10]
    assert [frame.pts for frame in frames] == [number * STEP for number in range(10)]
    assert all((frame.pixels == other.pixels).all() for frame, other in zip(frames, wanted, strict=True))
    sound = [packet for packet in whole_sound if wanted[0].pts <= packet.pts < wanted[0].pts + 36000]
    assert [packet.data for packet in packets] == [packet.data for packet in sound]
    assert reader.damage == ()


def test_little_is_decoded_on_the_way_to_a_part(joined: Path) -> None:
    jumps: list[int] = []
    with av.open(str(joined)) as container:
        packets = [(packet, False) for packet in container.demux(video=0)]
        parts = approached(
            packets, 0, Fraction(118, 100), lambda: Fraction(packets[0][0].pts, 90000), lambda: jumps.append(1)
        )
        given = [packet for packet, _ in parts]
    keys = [packet for packet, _ in packets if packet.is_keyframe]
    assert given[0] is keys[2]  # of 0, 0.4 and 0.8 s; the next one is at 1.2 s
    assert len(given) == len(packets) - 20
    assert jumps == [1]


def test_a_clock_that_runs_over_goes_on(tmp_path: Path) -> None:
    """26.5 hours after its start the clock of MPEG begins at 0: here twice, which FFmpeg itself follows once."""
    path = changed(tmp_path / "a.ts", *(moved(WRAP - 90000 - 132000 + number * FRAMES * STEP) for number in range(2)))
    frames, sound, notes = times_of(path)
    assert len(frames) == 2 * FRAMES
    assert even(frames)
    assert min(frames) >= 0
    assert min(sound) >= 0
    assert abs(distance(frames, sound, 1) - distance(frames, sound, 0)) < 0.05
    assert len(notes) <= 1


def test_times_before_zero_are_moved_to_it(tmp_path: Path) -> None:
    frames, sound, notes = times_of(changed(tmp_path / "a.ts", moved(WRAP - 90000 - 132000)))
    plain_frames, plain_sound, _ = times_of(changed(tmp_path / "b.ts", moved(0)))
    assert min(frames[0], sound[0]) == pytest.approx(0, abs=1e-4)
    assert [time - frames[0] for time in sound] == pytest.approx(
        [time - plain_frames[0] for time in plain_sound], abs=1e-4
    )
    assert even(frames)
    assert len(notes) == 1
    assert "before 0" in notes[0]


@pytest.mark.parametrize("wrong", [0, 2**32, 500_000], ids=["far back", "far ahead", "a little back"])
def test_one_wrong_time_moves_nothing_else(tmp_path: Path, wrong: int) -> None:
    """No writer makes such a file, but damage does: so the times are changed on their way from the demuxer."""
    start, found, plain = 10 * 90000, [], []
    path = changed(tmp_path / "a.ts", moved(start))
    with av.open(str(path)) as container:
        times = SourceTimes(container, Fraction(1, 90000), STEP)
        for packet in container.demux():
            if packet.size:
                plain.append(packet.dts)
                if len(plain) == 60:
                    packet.pts = packet.dts = wrong
                times.packet(packet)
                found.append(packet.dts)
    assert len(found) > 100
    assert found[:59] + found[60:] == plain[:59] + plain[60:]
    assert abs(found[59] - plain[59]) < 2 * STEP
    assert times.note() == "times were put right: 1 packet has a time of its own"


def test_a_repeated_time_of_sound_is_a_tick_later(tmp_path: Path) -> None:
    path = tmp_path / "a.flv"
    make.write(path, make.pictures(10), audio="aac", format="flv", time_base=Fraction(1, 1000))
    data, at, sounds = bytearray(path.read_bytes()), 13, []
    while at + 11 < len(data):
        if data[at] == 8:
            sounds.append(at)
        at += 15 + int.from_bytes(data[at + 1 : at + 4], "big")
    data[sounds[6] + 4 : sounds[6] + 8] = data[sounds[5] + 4 : sounds[5] + 8]
    path.write_bytes(data)
    reader, _, packets = make.read(path)
    times = [packet.dts for packet in packets]
    place = next(place for place, (one, two) in enumerate(pairwise(times)) if two - one == 1)
    assert times[place + 2] - times[place] == pytest.approx(43, abs=1)
    assert [note for note in reader.notes if "1 audio packet is no later" in note]


def test_a_long_gap_stays_where_the_clock_cannot_be_set_anew(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    make.write(path, make.pictures(4), pts=[0, 512, 12800 * 4000, 12800 * 4000 + 512], options={"bf": "0"})
    reader, frames, _ = make.read(path)
    assert [float(time) for time in make.seconds(reader, frames)] == [0, 0.04, 4000, 4000.04]
    assert reader.notes == []


@pytest.mark.parametrize(("name", "format"), [("a.h264", "h264"), ("a.avi", "avi")])
def test_b_frames_without_times_come_in_order_and_evenly(tmp_path: Path, name: str, format: str) -> None:
    source, path = tmp_path / "a.ts", tmp_path / name
    pictures = make.pictures(30)
    make.write(source, pictures, format="mpegts", options={"bf": "3", "g": "12", "crf": "1"})
    with av.open(str(source)) as one, av.open(str(path), "w", format=format) as out:
        stream = out.add_stream_from_template(one.streams.video[0])
        stream.time_base = Fraction(1, 50)  # that of fields, as ffmpeg copies it to avi
        for packet in one.demux(video=0):
            if packet.size:
                packet.stream = stream
                out.mux(packet)
    reader, frames, _ = make.read(path)
    assert len(frames) == 30
    assert even([float(time) for time in make.seconds(reader, frames)])
    assert reader.info.average_rate == 25
    assert min(make.psnr(frame.pixels, picture) for frame, picture in zip(frames, pictures, strict=True)) > 30


def packet(pts: int | None, dts: int | None = None, duration: int = 10) -> AudioPacket:
    return AudioPacket(0, pts, dts, duration, True, b"x")


def test_packets_are_put_in_order_and_left_alone_in_it() -> None:
    times = PacketTimes()
    rising = [packet(-5), packet(5, 5), packet(15), packet(None, 25)]
    assert [times.next(item) for item in rising[:3]] == rising[:3]
    assert times.mended == 0
    mended = [times.next(item) for item in (packet(15, 15), packet(3), packet(None), packet(100))]
    assert [(item.pts, item.dts) for item in mended] == [(16, 16), (17, 17), (27, 27), (100, None)]
    assert times.mended == 2


INFO = VideoInfo(64, 48, Fraction(1, 90000), Fraction(25), Fraction(1), 0, ColorTags(2, 2, 6, 1))


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "webm", "avi", "y4m"])
@pytest.mark.parametrize("first", [-118592, -3600 * 90000, 0])
def test_frames_before_zero_play_in_every_format(tmp_path: Path, name: str, first: int) -> None:
    """Files made before times were put right on reading hold such times."""
    path = tmp_path / f"a.{name}"
    with open_writer(path, INFO) as writer:
        for number, picture in enumerate(make.pictures(10)):
            writer.write_frame(picture, first + number * STEP)
    reader, frames, _ = make.read(path)
    assert [float(time) for time in make.seconds(reader, frames)] == pytest.approx(
        [0.04 * n for n in range(10)], abs=0.001
    )


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "avi"])
@pytest.mark.parametrize("unit", [Fraction(1, 90000), Fraction(1, 10**9), Fraction(1, 2**31 - 1)])
def test_a_gap_of_hours_in_every_format(tmp_path: Path, name: str, unit: Fraction) -> None:
    """Where a format counts in 32 bits or has places for frames, one is shown again on the way; the end comes when it
    should.
    """
    path = tmp_path / f"a.{name}"
    info = VideoInfo(64, 48, unit, Fraction(25), Fraction(1), 0, ColorTags(2, 2, 6, 1))
    with open_writer(path, info) as writer:
        for picture, seconds in zip(make.pictures(4), (0, 0.04, 30000, 30000.04), strict=True):
            writer.write_frame(picture, round(seconds / unit))
    reader, frames, _ = make.read(path)
    times = [float(time) for time in make.seconds(reader, frames)]
    assert times[:2] == pytest.approx([0, 0.04], abs=0.001)
    assert times[-2:] == pytest.approx([30000, 30000.04], abs=0.001)
    assert (len(times) > 4) == any("repeated" in note for note in writer.notes)


def test_sound_whose_times_make_no_sense_costs_no_frame(tmp_path: Path) -> None:
    source = tmp_path / "a.mkv"
    make.write(source, make.pictures(20), audio="aac", format="matroska", time_base=Fraction(1, 1000))
    reader, frames, packets = make.read(source)
    wrong = [0, 5000, 0, 9000, None, 3, 9000]
    for name in ("mp4", "mov", "mkv", "avi"):
        with open_writer(tmp_path / f"b.{name}", reader.info) as writer:
            for frame in frames:
                writer.write_frame(frame.pixels, frame.pts)
            for time, item in zip(wrong, packets, strict=False):
                writer.write_audio(AudioPacket(0, time, time, item.duration, True, item.data))
        _, after, sound = make.read(tmp_path / f"b.{name}")
        assert (len(after), len(sound)) == (20, len(wrong))
        assert any("audio packets come no later" in note for note in writer.notes)
    assert isinstance(reader.info.audio[0], AudioInfo)


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv", "avi", "webm", "y4m", "pipe"])
@pytest.mark.parametrize("source", ["joint", "before zero", "runs over"])
def test_mended_times_play_in_every_format(tmp_path: Path, source: str, name: str) -> None:
    """All frames at their pace and the sound in step to its end, read by FFmpeg's own demuxers."""
    parts = {
        "joint": (moved(0), moved(0)),
        "before zero": (moved(WRAP - 90000 - 132000),),
        "runs over": tuple(moved(WRAP - 90000 - 132000 + number * FRAMES * STEP) for number in range(2)),
    }[source]
    path, out = changed(tmp_path / "a.ts", *parts), tmp_path / f"out.{'mkv' if name == 'pipe' else name}"
    with_sound = name not in ("webm", "y4m")
    sink = io.BytesIO()
    sink.seekable = lambda: False  # type: ignore[method-assign]
    make.copy(path, sink if name == "pipe" else out, read_settings={"audio": with_sound})
    if name == "pipe":
        out.write_bytes(sink.getvalue())
    before, plain, packets = make.read(path)
    after, frames, copies = make.read(out)
    assert len(frames) == len(plain) == FRAMES * len(parts)
    assert even([float(time) for time in make.seconds(after, frames)])
    assert not after.notes
    if not with_sound:
        return
    unit, unit_after = before.info.audio[0].time_base, after.info.audio[0].time_base
    lag = packets[-1].pts * unit - plain[-1].pts * before.info.time_base
    lag_after = copies[-1].pts * unit_after - frames[-1].pts * after.info.time_base
    assert float(lag_after) == pytest.approx(float(lag), abs=0.05 if name == "avi" else 0.003)
    assert len(packets) - len(copies) <= (1 if name == "avi" else 0)  # avi begins with the first frame


def test_a_gap_that_no_frame_can_bridge_is_refused_by_the_name_of_the_target(tmp_path: Path) -> None:
    """An output is written beside its place; messages call it by the name it would get."""
    info = VideoInfo(64, 48, Fraction(1), Fraction(25), Fraction(1), 0, ColorTags(2, 2, 6, 1))
    picture = make.pictures(1)[0]
    with (
        pytest.raises(OutputError, match="a gap of 8e"),
        open_writer(tmp_path / ".out.part.avi", info, label="out.avi") as writer,
    ):
        assert "'out.avi'" in repr(writer)
        for time in (0, 8 * 10**9):
            writer.write_frame(picture, time)
