"""Protects fidelity as others see it: what ffprobe shows of a source it shows of the decoded video, whatever format
either is in.

Each source is made by PyAV, encoded to a .lat and decoded to several formats; Debian's ffprobe and ffmpeg, which are
older than the FFmpeg inside PyAV, then read source and output. What an output legitimately shows differently stands
beside it as `but`."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import latcomp
from latcomp.codec.decode import decode_frames
from latcomp.codec.encode import Encoder
from latcomp.codec.settings import EncodeSettings
from latcomp.video import open_video
from tests.video import make

pytestmark = pytest.mark.skipif(
    shutil.which("ffprobe") is None or shutil.which("ffmpeg") is None,
    reason="ffprobe and ffmpeg are not installed (Debian: apt-get install ffmpeg)",
)

X265 = {"crf": "8", "preset": "ultrafast", "x265-params": "log-level=none"}
VP9 = {"crf": "8", "b": "0", "deadline": "realtime", "cpu-used": "8"}
AV1 = {"crf": "10", "preset": "10"}
MILLISECONDS, NTSC = Fraction(1, 1000), Fraction(30000, 1001)
INTERLACED = {"x264-params": "interlaced=1", "crf": "4", "bf": "0"}

# Frame times in units of the time base, last frame as long as the first. Phones: near 30 a second, with drops.
PHONE = [0, 420, 850, 1290, 2140, 2560]
BURSTS = [0, 512, 600, 3000, 3100, 9000]

# What may differ, and why.
# an average over so few and so uneven frames; Matroska's is the word of its default duration, which no other format has
RATE = "rate"
TIMES = "times"  # avi and y4m count frames: times lie on a grid, and begin at 0
ROTATION = "rotation"  # avi and y4m cannot say it; decode notes it
PIXELS = "pixel shape"  # webm, y4m and ffv1 in Matroska, as PyAV writes them, do not say it; decode notes it
COLOR = "color"  # y4m says the range alone; ffv1 is written as RGB, and tagged so
AUDIO = "audio"  # y4m holds none
PCM24 = "24 bits"  # older FFmpeg reads 24-bit PCM in mp4 (ISO 23003-5) as if it had 16
MP2 = "layer 2"  # mp4 has one name for the three layers of MPEG audio; ffprobe calls them mp3
DURATION = "duration"  # a Matroska stream is begun before its end is known
# ffmpeg counts output frames at the average rate, where frames of a burst collide, as they do from the source
COLLIDE = "collide"


@dataclass(frozen=True)
class Output:
    """A format to decode to."""

    name: str
    """Suffix, or `pipe`: what `decode IN.lat -` writes."""
    but: frozenset[str] = frozenset()
    codec: str | None = None

    def __str__(self) -> str:
        return self.name if self.codec is None else f"{self.codec}.{self.name}"


@dataclass(frozen=True)
class Row:
    """One source and what it is decoded to."""

    label: str
    suffix: str
    outputs: tuple[Output, ...]
    size: tuple[int, int] = (48, 32)
    frames: int = 6
    deinterlace: bool | None = None
    make: dict[str, Any] = field(default_factory=dict)


def out(name: str, *but: str, codec: str | None = None) -> Output:
    return Output(name, frozenset(but), codec)


def row(label: str, suffix: str, *outputs: Output, **settings: Any) -> Row:
    own = {key: settings.pop(key) for key in ("size", "frames", "deinterlace") if key in settings}
    return Row(label, suffix, outputs, make=settings, **own)


MP4, MOV, MKV, WEBM, AVI = out("mp4"), out("mov"), out("mkv"), out("webm"), out("avi", TIMES)
PIPE = out("pipe", DURATION)
Y4M = out("y4m", TIMES, COLOR, AUDIO)

ROWS = [
    row("h264 aac", "mp4", MP4, MOV, MKV, AVI, Y4M, PIPE, audio="aac"),
    row("h264 with B-frames", "mp4", MP4, options={"bf": "3", "crf": "8"}),
    row("h264 flac", "mkv", MKV, MP4, audio="flac"),
    row("h264 pcm", "mov", MOV, MKV, MP4, AVI, audio="pcm_s16le"),
    row("vp9 opus", "webm", WEBM, MKV, MP4, codec="libvpx-vp9", options=VP9, time_base=MILLISECONDS, audio="libopus"),
    row(
        "av1 opus",
        "webm",
        WEBM,
        MP4,
        out("webm", codec="av1"),
        codec="libsvtav1",
        options=AV1,
        size=(64, 64),
        time_base=MILLISECONDS,
        audio="libopus",
    ),
    row("hevc aac", "mp4", MP4, out("mp4", codec="h265"), codec="libx265", options=X265, size=(64, 64), audio="aac"),
    row(
        "hevc 10-bit BT.2020 PQ",
        "mkv",
        MKV,
        MP4,
        WEBM,
        codec="libx265",
        options=X265,
        size=(64, 64),
        pixel_format="yuv420p10le",
        tags=(9, 16, 9),
        convert_as=9,
    ),
    row(
        "mpeg4 mp3",
        "avi",
        AVI,
        out("mp4", RATE),
        MKV,
        codec="mpeg4",
        options={"b": "4000000"},
        time_base=Fraction(1, 25),
        audio="libmp3lame",
        audio_rate=44100,
    ),
    row(
        "mjpeg full range pcm",
        "avi",
        AVI,
        MKV,
        MOV,
        codec="mjpeg",
        options={"b": "9000000"},
        pixel_format="yuvj420p",
        full_range=True,
        time_base=Fraction(1, 25),
        audio="pcm_s16le",
    ),
    row("mpeg4", "mp4", MP4, codec="mpeg4", options={"b": "4000000"}, time_base=Fraction(1, 25)),
    row(
        "ffv1 RGB pcm 24-bit",
        "mkv",
        MKV,
        out("mkv", COLOR, codec="ffv1"),
        codec="ffv1",
        options={},
        pixel_format="bgr0",
        audio="pcm_s24le",
    ),
    row("raw", "y4m", Y4M, MP4, format="yuv4mpegpipe", codec="rawvideo", time_base=Fraction(1, 25)),
    row("raw 29.97", "y4m", Y4M, MP4, MKV, AVI, format="yuv4mpegpipe", codec="rawvideo", rate=NTSC, time_base=1 / NTSC),
    row(
        "h264 aac in a transport stream",
        "ts",
        MP4,
        MKV,
        AVI,
        PIPE,
        format="mpegts",
        time_base=Fraction(1, 90000),
        audio="aac",
    ),
    row(
        "mpeg2 mp2 in a transport stream",
        "ts",
        out("mp4", MP2),
        MKV,
        format="mpegts",
        codec="mpeg2video",
        time_base=Fraction(1, 25),
        options={"b": "4000000"},
        audio="mp2",
    ),
    row(
        "VFR of a phone",
        "mp4",
        MP4,
        MOV,
        out("mkv", RATE),
        out("webm", RATE),
        out("avi", TIMES, RATE),
        pts=PHONE,
        options={"bf": "0"},
    ),
    row(
        "VFR with bursts",
        "mp4",
        MP4,
        out("mkv", RATE, COLLIDE),
        out("webm", RATE, COLLIDE),
        pts=BURSTS,
        options={"bf": "0"},
    ),
    row(
        "VFR opus",
        "mkv",
        out("mkv", COLLIDE),
        out("webm", COLLIDE),
        out("mp4", RATE, COLLIDE),
        pts=[0, 40, 53, 200, 210, 600],
        time_base=MILLISECONDS,
        audio="libopus",
    ),
    row("turned by 90", "mp4", MP4, MKV, WEBM, out("avi", TIMES, ROTATION), rotation=90),
    row("turned by -90", "mov", MOV, MKV, rotation=-90),
    row("turned by 180", "mp4", MP4, rotation=180),
    row(
        "4:3 pixels, BT.709 full range",
        "mp4",
        MP4,
        MKV,
        MOV,
        AVI,
        out("webm", PIXELS),
        out("y4m", TIMES, COLOR, PIXELS),
        out("mkv", COLOR, PIXELS, codec="ffv1"),
        pixel_aspect=Fraction(4, 3),
        tags=(1, 1, 1),
        convert_as=1,
        full_range=True,
    ),
    row("BT.601 tags", "mkv", MKV, AVI, tags=(6, 6, 6)),
    row("PAL tags", "mp4", MP4, tags=(5, 6, 5)),
    row("odd 35x21", "mp4", MP4, MKV, WEBM, Y4M, size=(35, 21), pixel_format="yuv444p"),
    row("10-bit", "mkv", MKV, MP4, pixel_format="yuv420p10le"),
    row("4:4:4", "mp4", MP4, pixel_format="yuv444p"),
    row(
        "prores 4:2:2 10-bit pcm 24-bit",
        "mov",
        MOV,
        MKV,
        out("mp4", PCM24),
        codec="prores_ks",
        pixel_format="yuv422p10le",
        options={},
        audio="pcm_s24le",
    ),
    row("gray", "mkv", MKV, codec="ffv1", options={}, pixel_format="gray"),
    row("one frame aac", "mp4", MP4, MKV, AVI, frames=1, audio="aac"),
    row(
        "one pixel wide", "mkv", MKV, MP4, WEBM, size=(1, 32), codec="ffv1", options={"level": "1"}, pixel_format="bgr0"
    ),
    row("one pixel, one frame", "mp4", MP4, MKV, AVI, Y4M, size=(1, 1), frames=1, pixel_format="yuv444p"),
    row("29.97 BT.709", "mp4", MP4, MKV, WEBM, AVI, rate=NTSC, time_base=1 / NTSC, tags=(1, 1, 1), convert_as=1),
    row(
        "23.976 in milliseconds",
        "mkv",
        MKV,
        MP4,
        rate=Fraction(24000, 1001),
        time_base=MILLISECONDS,
        pts=[round(i * 1001 / 24) for i in range(24)],
    ),
    row("first frame at 1 s", "mp4", MP4, MKV, pts=[12800 + 512 * i for i in range(6)]),
    row("interlaced, deinterlaced", "mp4", MP4, size=(48, 64), options=INTERLACED, deinterlace=True),
]
PAIRS = [(each, output) for each in ROWS for output in each.outputs]


class Matrix:
    """Sources and their .lat files, made once each, by one encoder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.encoder = Encoder(EncodeSettings(quality=8), device="cpu")
        self._made: dict[str, tuple[bytes, list[np.ndarray], dict[str, Any]]] = {}

    def source(self, of: Row) -> tuple[bytes, list[np.ndarray], dict[str, Any]]:
        """(the .lat of the video, its decoded frames, what ffprobe shows of the video)."""
        if of.label not in self._made:
            path = self.folder / f"source{len(self._made)}.{of.suffix}"
            count = len(of.make["pts"]) if "pts" in of.make else of.frames
            make.write(path, make.pictures(count, *of.size), **of.make)
            lat = io.BytesIO()
            with open_video(path, deinterlace=of.deinterlace) as reader:
                self.encoder.run(reader, lat)
            frames = [frame.pixels for frame in decode_frames(io.BytesIO(lat.getvalue()), device="cpu")]
            self._made[of.label] = (lat.getvalue(), frames, probe(path))
        return self._made[of.label]

    def decode(self, of: Row, output: Output) -> Path:
        """The video decoded to that format."""
        lat = io.BytesIO(self.source(of)[0])
        path = self.folder / f"out.{'mkv' if output.name == 'pipe' else output.name}"
        if output.name == "pipe":
            sink = io.BytesIO()
            sink.seekable = lambda: False  # type: ignore[method-assign]
            latcomp.decode(lat, sink, device="cpu")
            path.write_bytes(sink.getvalue())
        else:
            latcomp.decode(lat, path, codec=output.codec, device="cpu", force=True)
        return path


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Matrix:
    return Matrix(tmp_path_factory.mktemp("matrix"))


def probe(path: Path) -> dict[str, Any]:
    """What ffprobe shows of a file, with what it leaves unsaid as conventions have it: square pixels, BT.601 of limited
    range.
    """
    entries = "format:stream:frame=stream_index,best_effort_timestamp_time"
    command = ["ffprobe", "-v", "error", "-count_frames", "-show_entries", entries, "-of", "json", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    told = json.loads(done.stdout)
    video = next(stream for stream in told["streams"] if stream["codec_type"] == "video")
    sound = [stream for stream in told["streams"] if stream["codec_type"] == "audio"]
    times = [float(f["best_effort_timestamp_time"]) for f in told["frames"] if f.get("stream_index") == video["index"]]
    tag = video.get("tags", {}).get("DURATION")  # Matroska: where the stream ends
    transport = told["format"]["format_name"] == "mpegts"  # counts from its first packet, others from 0
    whole = told["format"].get("duration")
    return {
        "times": times,
        "video_seconds": _seconds_of(tag) - times[0] if tag else _float(video.get("duration")),
        "end_seconds": None
        if whole is None
        else float(whole) + (float(told["format"]["start_time"]) if transport else 0),
        "count": int(video["nb_read_frames"]),
        "size": (video["width"], video["height"]),
        "rates": (Fraction(video["r_frame_rate"]), Fraction(video["avg_frame_rate"])),
        "pixel shape": video.get("sample_aspect_ratio", "1:1"),
        "rotation": [data["rotation"] for data in video.get("side_data_list", []) if "rotation" in data],
        "color": tuple(video.get(key, unsaid) for key, unsaid in COLOR_TAGS.items()),
        "field order": video.get("field_order", "progressive"),
        "audio": [(stream["codec_name"], stream["sample_rate"], stream["channels"]) for stream in sound],
    }


COLOR_TAGS = {"color_primaries": None, "color_transfer": None, "color_space": "smpte170m", "color_range": "tv"}


def _seconds_of(tag: str) -> float:
    hours, minutes, seconds = tag.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def _float(text: str | None) -> float | None:
    return None if text is None else float(text)


def differences(before: dict[str, Any], after: dict[str, Any], output: Output) -> dict[str, tuple[Any, Any]]:
    """What ffprobe shows differently, beyond what the format's unit of time (a millisecond in Matroska) makes of it."""
    found = {}
    but = output.but
    exact = ["count", "size", *(key for key in ("rotation", "color", "audio", PIXELS) if key not in but)]
    if but & {PCM24, MP2}:
        exact.remove("audio")
    wanted = {**before, "field order": "progressive"}
    found.update({key: (wanted[key], after[key]) for key in [*exact, "field order"] if wanted[key] != after[key]})
    if RATE not in but and before["rates"] != after["rates"]:
        found["rates"] = (before["rates"], after["rates"])
    origins = (before["times"][0], after["times"][0]) if TIMES in but else (0, 0)
    moved = [abs((a - origins[0]) - (b - origins[1])) for a, b in zip(before["times"], after["times"], strict=False)]
    if max(moved) > 0.0006 and not {TIMES, RATE} <= but:
        found["times"] = (before["times"], after["times"])
    for key, most in (("video_seconds", 0.0011), ("end_seconds", 0.05)):  # an audio stream ends with a whole packet
        if DURATION in but or AUDIO in but or {TIMES, RATE} <= but or before[key] is None:
            continue
        offset = before["times"][0] if TIMES in but and key == "end_seconds" else 0
        if after[key] is None or abs(before[key] - offset - after[key]) > most:
            found[key] = (before[key], after[key])
    return found


def complaints(path: Path, output: Output) -> str:
    """What ffmpeg says when it decodes the whole file."""
    finer = ["-enc_time_base", "-1"] if COLLIDE in output.but else []
    command = ["ffmpeg", "-v", "error", "-i", str(path), *finer, "-f", "null", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stderr + (f"exit code {done.returncode}" if done.returncode else "")


@pytest.mark.parametrize(("of", "output"), PAIRS, ids=[f"{each.label}-{output}" for each, output in PAIRS])
def test_others_see_the_same_video(matrix: Matrix, of: Row, output: Output) -> None:
    _, expected, before = matrix.source(of)
    made = matrix.decode(of, output)
    assert differences(before, probe(made), output) == {}
    assert complaints(made, output) == ""
    with av.open(str(made)) as container:
        decoded = [frame for packet in container.demux() for frame in packet.decode()]
    assert sum(isinstance(frame, av.VideoFrame) for frame in decoded) == before["count"]
    frames = make.read(made)[1]
    assert (
        min(make.psnr(a.pixels, b) for a, b in zip(frames, expected, strict=True)) > 29
    )  # colours as they were decoded
