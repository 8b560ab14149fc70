"""Protects what the reader promises: every frame, at its own time, as RGB, from any container and codec."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from latcomp.errors import LimitError, NotAVideoError, UsageError
from latcomp.video import open_video

from . import make

CASES = [
    ("a.mp4", {}),
    ("a.mov", {}),
    ("a.mkv", {}),
    ("a.avi", {"codec": "mpeg4", "options": {"qscale": "1", "b": "9000000"}, "time_base": Fraction(1, 25)}),
    ("a.webm", {"codec": "libvpx-vp9", "options": {"crf": "4", "b": "0", "deadline": "realtime"}}),
    ("a.ts", {"format": "mpegts", "time_base": Fraction(1, 90000)}),
    ("a.mp4", {"codec": "libx265", "options": {"crf": "1", "x265-params": "log-level=none"}}),
    ("a.mkv", {"codec": "ffv1", "options": {}}),
    ("a.mp4", {"codec": "libsvtav1", "options": {"crf": "8", "preset": "10"}}),
    ("a.mov", {"codec": "mjpeg", "pixel_format": "yuvj420p", "full_range": True, "options": {"b": "9000000"}}),
    ("a.y4m", {"format": "yuv4mpegpipe", "codec": "rawvideo", "time_base": Fraction(1, 25)}),
]


@pytest.mark.parametrize(("name", "settings"), CASES, ids=lambda v: v if isinstance(v, str) else v.get("codec", "x264"))
def test_every_frame_of_a_container_and_codec_comes_back(tmp_path: Path, name: str, settings: dict) -> None:
    pictures = make.pictures(13)
    make.write(tmp_path / name, pictures, **settings)
    reader, frames, _ = make.read(tmp_path / name)
    assert len(frames) == len(pictures)
    assert min(make.psnr(f.pixels, p) for f, p in zip(frames, pictures, strict=True)) > 30
    times = make.seconds(reader, frames)
    assert all(abs(b - a - Fraction(1, 25)) <= Fraction(1, 1000) for a, b in zip(times, times[1:], strict=False))
    assert (reader.info.width, reader.info.height) == (64, 48)
    assert reader.frames_read == 13


@pytest.mark.parametrize(("width", "height"), [(35, 21), (1, 48), (64, 1), (1, 1), (17, 16), (854, 480)])
def test_any_size_is_read_as_it_is(tmp_path: Path, width: int, height: int) -> None:
    pictures = make.pictures(2, width, height)
    make.write(tmp_path / "a.mkv", pictures, codec="ffv1", pixel_format="bgr0", options={"level": "1"})
    _, frames, _ = make.read(tmp_path / "a.mkv")
    assert [f.pixels.shape for f in frames] == [(height, width, 3)] * 2
    assert all(
        np.array_equal(f.pixels, p) for f, p in zip(frames, pictures, strict=True)
    )  # RGB comes through unchanged


def test_variable_frame_times_are_exact(tmp_path: Path) -> None:
    pts = [0, 512, 600, 5000, 5001, 20000, 20500]
    make.write(tmp_path / "a.mp4", make.pictures(7), pts=pts)
    reader, frames, _ = make.read(tmp_path / "a.mp4")
    assert make.seconds(reader, frames) == [Fraction(p, 12800) for p in pts]


def test_a_video_of_one_frame(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(1))
    reader, frames, _ = make.read(tmp_path / "a.mp4")
    assert len(frames) == 1
    assert reader.info.frames_estimate == 1


def test_rotation_and_pixel_shape_are_told_and_not_applied(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(2), rotation=90, pixel_aspect=Fraction(4, 3))
    reader, frames, _ = make.read(tmp_path / "a.mp4")
    assert reader.info.rotation_degrees == 90
    assert reader.info.sample_aspect_ratio == Fraction(4, 3)
    assert frames[0].pixels.shape == (48, 64, 3)


@pytest.mark.parametrize("pixel_format", ["yuv420p10le", "yuv444p", "yuv422p10le"])
def test_deep_and_full_chroma_video_is_read_with_a_note(tmp_path: Path, pixel_format: str) -> None:
    pictures = make.pictures(3)
    make.write(tmp_path / "a.mp4", pictures, pixel_format=pixel_format)
    reader, frames, _ = make.read(tmp_path / "a.mp4")
    assert frames[0].pixels.dtype == np.uint8
    assert min(make.psnr(f.pixels, p) for f, p in zip(frames, pictures, strict=True)) > 38
    assert len(reader.info.notes) == 1
    assert pixel_format in reader.info.notes[0]


def test_plain_video_needs_no_note(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(3), audio="aac")
    assert make.read(tmp_path / "a.mp4")[0].notes == []


def test_interlaced_video_is_noted(tmp_path: Path) -> None:
    options = {"x264-params": "interlaced=1:tff=1", "crf": "4"}
    make.write(tmp_path / "a.mp4", make.pictures(3, 64, 64), options=options)
    reader, frames, _ = make.read(tmp_path / "a.mp4")
    assert len(frames) == 3
    assert any("interlaced" in note for note in reader.info.notes)


def test_streams_that_are_left_out_are_counted_in_one_line(tmp_path: Path) -> None:
    """Subtitles, attachments and a second video do not come through, and whoever has them is told so."""
    make.write(tmp_path / "a.mkv", make.pictures(2), audio="aac")
    with av.open(str(tmp_path / "a.mkv")) as plain, av.open(str(tmp_path / "b.mkv"), "w") as full:
        copies = {stream.index: full.add_stream_from_template(stream) for stream in plain.streams}
        full.add_stream_from_template(plain.streams.video[0])
        full.add_attachment("a.txt", "text/plain", b"hello")
        for packet in plain.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                full.mux(packet)
    reader, frames, packets = make.read(tmp_path / "b.mkv")
    assert reader.info.notes == (
        "left out: 1 further video stream, 1 attachment stream; video_track chooses another track",
    )
    assert len(frames) == 2 and packets
    assert make.read(tmp_path / "a.mkv")[0].notes == []


@pytest.mark.parametrize(("mirrored", "notes"), [(True, 1), (False, 0)])
def test_a_mirrored_picture_is_noted(tmp_path: Path, mirrored: bool, notes: int) -> None:
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.set_display_rotation(90, hflip=mirrored)
        for _ in range(2):
            container.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        container.mux(stream.encode(None))
    assert sum("mirrors" in note for note in make.read(tmp_path / "a.mp4")[0].notes) == notes


STRETCHES = [(0, 0.2), (0.2, 0.2), (1.0, 1.0), (1.98, None), (0.44, 0.04), (10 / 25, 10 / 25), (0.41, 100)]


@pytest.mark.parametrize(("start", "duration"), STRETCHES)
@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_a_stretch_has_exactly_the_frames_in_it(
    tmp_path: Path, name: str, start: float, duration: float | None
) -> None:
    pictures = make.pictures(51)
    options = {"g": "12", "bf": "3", "crf": "1"}  # the start lies between key frames, behind reordered frames
    make.write(tmp_path / name, pictures, options=options, format="mpegts" if name == "a.ts" else None)
    reader, frames, _ = make.read(tmp_path / name, start_seconds=start, duration_seconds=duration)
    end = 1000 if duration is None else round((start + duration) * 25 + 0.499)
    wanted = pictures[int(np.ceil(start * 25 - 1e-6)) : end]
    assert len(frames) == len(wanted)
    assert min(make.psnr(f.pixels, p) for f, p in zip(frames, wanted, strict=True)) > 38
    if start > 0:
        assert frames[0].pts == 0  # a stretch begins at time 0


def test_a_stretch_takes_its_audio_along(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(100), audio="aac")
    reader, frames, packets = make.read(tmp_path / "a.mp4", start_seconds=1.0, duration_seconds=2.0)
    assert len(frames) == 50
    times = [p.pts * reader.info.audio[0].time_base for p in packets if p.pts is not None]
    assert 0 <= times[0] < Fraction(1024, 48000)
    assert 2 - 2 * Fraction(1024, 48000) < times[-1] < 2
    assert reader.info.duration_seconds == 2.0
    assert reader.info.frames_estimate == 50


def test_the_estimate_is_the_count_for_mp4(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(9))
    assert make.read(tmp_path / "a.mp4")[0].info.frames_estimate == 9


def test_missing_timestamps_are_counted_out(tmp_path: Path) -> None:
    make.write(tmp_path / "a.h264", make.pictures(6), format="h264", options={"bf": "0", "crf": "4"})
    reader, frames, _ = make.read(tmp_path / "a.h264")
    times = make.seconds(reader, frames)
    assert len(frames) == 6
    assert {b - a for a, b in zip(times, times[1:], strict=False)} == {Fraction(1, 25)}


def test_too_many_pixels_are_refused_before_decoding(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(1))
    with pytest.raises(LimitError, match="max_pixels"):
        open_video(tmp_path / "a.mp4", max_pixels=64 * 48 - 1)
    make.read(tmp_path / "a.mp4", max_pixels=64 * 48)


@pytest.mark.parametrize("settings", [{"start_seconds": -1}, {"duration_seconds": 0}, {"start_seconds": float("nan")}])
def test_nonsense_stretches_are_usage_errors(tmp_path: Path, settings: dict) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(1))
    with pytest.raises(UsageError):
        open_video(tmp_path / "a.mp4", **settings)


def test_a_stretch_past_the_end_says_so(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(5))
    with pytest.raises(NotAVideoError, match="no frame between 100 s and the end"):
        open_video(tmp_path / "a.mp4", start_seconds=100)
