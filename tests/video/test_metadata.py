"""Protects what a video says of itself in words: it comes back where an output can hold it, and is said to be lost
where not.
"""

from __future__ import annotations

import io
import json
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from latcomp.video import Frame, VideoInfo, check_output, open_video, open_writer
from latcomp.video.metadata import ROLES, Chapter, Metadata, Track

from . import make

TAGS = {"title": "Ein Film — 映画", "creation_time": "2020-01-02T03:04:05.000000Z", "comment": "made for a test"}
CHAPTERS = [(0, 400, "One"), (400, 1200, "Two"), (1200, 2000, "")]  # milliseconds
NAMES = ("Director", "Commentary")


def told(path: Path) -> Path:
    """50 frames with two audio tracks, tags and chapters."""
    plain = path.with_name(f"plain.{path.suffix[1:]}")
    make.write(plain, make.pictures(50), audio="aac")
    with av.open(str(plain)) as source, av.open(str(path), "w") as container:
        container.metadata.update(TAGS)
        container.set_chapters(
            [
                {"id": n, "start": a, "end": b, "time_base": Fraction(1, 1000), "metadata": {"title": t} if t else {}}
                for n, (a, b, t) in enumerate(CHAPTERS, 1)
            ]
        )
        video = container.add_stream_from_template(source.streams.video[0])
        sound = [container.add_stream_from_template(source.streams.audio[0]) for _ in NAMES]
        for stream, name in zip(sound, NAMES, strict=True):
            stream.metadata["title"] = name
        sound[1].metadata["language"] = "deu"
        sound[0].disposition, sound[1].disposition = Disposition(0), Disposition.default | Disposition.comment
        for packet in source.demux():
            for stream in [video] if packet.stream.type == "video" else sound:
                if packet.size:
                    copy = av.Packet(bytes(packet))
                    copy.pts, copy.dts, copy.duration, copy.time_base = (
                        packet.pts,
                        packet.dts,
                        packet.duration,
                        packet.time_base,
                    )
                    copy.is_keyframe, copy.stream = packet.is_keyframe, stream
                    container.mux(copy)
    return path


def through_json(info: VideoInfo) -> VideoInfo:
    return VideoInfo.from_header_fields(json.loads(json.dumps(info.to_header_fields())))


@pytest.mark.parametrize("source", ["mkv", "mp4", "mov"])
@pytest.mark.parametrize("target", ["mkv", "mp4", "pipe.mp4", "pipe.mkv"])
def test_it_comes_back(tmp_path: Path, source: str, target: str) -> None:
    info = through_json(make.read(told(tmp_path / f"in.{source}"))[0].info)
    assert check_output(target[-3:], None, info) == ()
    path, sink = tmp_path / f"out.{target[-3:]}", io.BytesIO()
    sink.seekable = lambda: False  # type: ignore[method-assign]
    make.copy(tmp_path / f"in.{source}", sink if target.startswith("pipe") else path, info=info, format=target[-3:])
    if target.startswith("pipe"):
        path.write_bytes(sink.getvalue())
    with av.open(str(path)) as container:
        found = {name.lower(): text for name, text in container.metadata.items()}
        assert {name: found.get(name) for name in TAGS} == TAGS
        ms = [(chapter, chapter["time_base"] * 1000) for chapter in container.chapters()]
        found_chapters = [(c["start"] * unit, c["end"] * unit, c["metadata"].get("title", "")) for c, unit in ms]
        ends = [end for _, end, _ in CHAPTERS[:-1]] + [
            pytest.approx(2000, abs=50)
        ]  # the last one of an mp4 ends with the file
        assert found_chapters == [(start, end, title) for (start, _, title), end in zip(CHAPTERS, ends, strict=True)]
        sound = container.streams.audio
        assert [stream.metadata.get("title") or stream.metadata.get("name") for stream in sound] == list(NAMES)
        if source != "mov":  # it has languages and roles of its own kind
            assert sound[1].language == "deu"
            assert [stream.disposition for stream in sound] == [
                Disposition(0),
                Disposition.default | Disposition.comment,
            ]
    reader, frames, _ = make.read(path)
    assert len(frames) == 50 and reader.notes == []  # the chapters of an mp4 are a track, and no loss
    assert [c.start for c in reader.info.metadata.chapters] == [c.start for c in info.metadata.chapters]


@pytest.mark.parametrize(
    ("format", "words"),
    [
        ("avi", ("creation_time", "chapters", "titles and roles of audio tracks")),
        ("y4m", ("title", "comment", "chapters")),
    ],
)
def test_what_an_output_cannot_say_is_noted(tmp_path: Path, format: str, words: tuple[str, ...]) -> None:
    notes = check_output(format, None, through_json(make.read(told(tmp_path / "in.mkv"))[0].info))
    assert all(word in notes[-1] for word in words)
    assert not any(
        "holds no" in note for note in check_output("mkv", None, through_json(make.read(tmp_path / "in.mkv")[0].info))
    )


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts", "a.avi"])
def test_a_file_that_says_nothing_adds_nothing(tmp_path: Path, name: str) -> None:
    """The header of such a video is what it was before there was a member for this."""
    options = {"time_base": Fraction(1, 25), "options": {"bf": "0"}} if name == "a.avi" else {}
    make.write(tmp_path / name, make.pictures(3), audio="aac", format="mpegts" if name == "a.ts" else None, **options)
    assert make.read(tmp_path / name)[0].info.to_header_fields()["metadata"] is None


def test_chapters_of_a_part_are_cut_and_moved_with_it(tmp_path: Path) -> None:
    path = told(tmp_path / "in.mp4")
    ms = 10**6
    whole = make.read(path)[0].info.metadata
    assert whole.chapters == tuple(Chapter(a * ms, b * ms, t) for a, b, t in CHAPTERS)
    part = make.read(path, start_seconds=0.2, duration_seconds=0.8)[0].info.metadata
    assert part.chapters == (Chapter(0, 200 * ms, "One"), Chapter(200 * ms, 800 * ms, "Two"))
    assert part.tags == whole.tags
    assert make.read(path, duration_seconds=0.4)[0].info.metadata.chapters == (Chapter(0, 400 * ms, "One"),)


NONSENSE: list[Any] = [
    None,
    [],
    "title",
    5,
    {"tags": 1, "chapters": 2, "audio": 3, "field_order": 4},
    {"tags": {"title": 1, "": "x", "a": "\0"}},
    {
        "chapters": [
            1,
            {"start": 2, "end": 1},
            {"start": 2**70, "end": 2**71},
            {"start": "0", "end": 1},
            {"start": 0.5, "end": 1},
        ]
    },
    {"audio": [1, {"title": 5, "roles": "default"}]},
    {"field_order": "sideways"},
    {"tags": {"encoder": "x", "Major_Brand": "y"}},
]


@pytest.mark.parametrize("value", NONSENSE, ids=[str(value)[:40] for value in NONSENSE])
def test_what_makes_no_sense_is_left_out(value: Any) -> None:
    assert Metadata.from_json(value) == Metadata()


def test_what_makes_sense_beside_nonsense_stays() -> None:
    tracks = [{}, {"roles": ["dub", "no such"]}]
    value = {"tags": {"Title": "a", "n": 5}, "chapters": [7, {"start": 0, "end": 5}], "audio": tracks, "later": 1}
    assert Metadata.from_json(value) == Metadata((("title", "a"),), (Chapter(0, 5),), (Track(), Track(roles=("dub",))))


def interlaced(path: Path, order: str) -> Path:
    """Woven frames whose first field is the top or the bottom one."""
    mode = "tff=1" if order == "top" else "bff=1"
    made = [
        "-f",
        "lavfi",
        "-i",
        "testsrc2=s=64x64:r=50:d=0.4",
        "-vf",
        f"tinterlace=interleave_{order}",
        "-pix_fmt",
        "yuv420p",
    ]
    command = [
        "ffmpeg",
        "-v",
        "error",
        *made,
        "-c:v",
        "libx264",
        "-flags",
        "+ilme+ildct",
        "-x264-params",
        mode,
        str(path),
    ]
    subprocess.run(command, check=True)
    return path


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
@pytest.mark.parametrize("order", ["top", "bottom"])
def test_the_order_of_fields_is_kept_where_frames_stay_woven(tmp_path: Path, order: str) -> None:
    source = interlaced(tmp_path / "in.mp4", order)
    info = through_json(make.read(source, deinterlace=False)[0].info)
    assert info.metadata.field_order == order
    for name in ("out.mp4", "out.mkv", "out.mov", "out.avi", "out.y4m"):
        writer = make.copy(source, tmp_path / name, info=info)
        shown = subprocess.run(
            ["ffprobe", "-v", "error", "-show_entries", "stream=field_order", "-of", "csv=p=0", str(tmp_path / name)],
            capture_output=True,
            text=True,
            check=True,
        )
        assert shown.stdout.strip().strip(",")[:1] == order[0], name  # tt or tb, bb or bt
        assert not any("progressive" in note for note in writer.notes)
        again = make.read(tmp_path / name, deinterlace=False)
        assert again[0].info.metadata.field_order == order and len(again[1]) == len(make.read(source)[1])
    assert any("woven" in note for note in check_output("webm", None, info))
    progressive = through_json(make.read(source, deinterlace=True)[0].info)
    assert progressive.metadata.field_order is None


TRANSPARENT = [("a.mkv", "ffv1", "yuva420p"), ("a.mkv", "ffv1", "bgra"), ("a.mov", "png", "ya8")]


@pytest.mark.parametrize(("name", "codec", "pixel_format"), TRANSPARENT)
def test_transparency_is_said_to_be_lost(tmp_path: Path, name: str, codec: str, pixel_format: str) -> None:
    with av.open(str(tmp_path / name), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt = pixel_format
        for number in range(2):
            frame = av.VideoFrame(16, 16, pixel_format)
            for plane in frame.planes:
                plane.update(bytes([90]) * plane.buffer_size)
            frame.pts, frame.time_base = number, Fraction(1, 25)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    assert any("transparency is lost" in note for note in make.read(tmp_path / name)[0].notes)


def test_transparency_beside_the_picture_is_said_to_be_lost(tmp_path: Path) -> None:
    """VP9 in WebM has it in data that FFmpeg's decoder passes over: only a tag tells."""
    make.write(
        tmp_path / "a.webm",
        make.pictures(3),
        codec="libvpx-vp9",
        options={"crf": "30", "b": "0", "deadline": "realtime"},
    )
    with av.open(str(tmp_path / "a.webm")) as source, av.open(str(tmp_path / "b.webm"), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        stream.metadata["alpha_mode"] = "1"
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    assert any("transparency is lost" in note for note in make.read(tmp_path / "b.webm")[0].notes)
    assert make.read(tmp_path / "a.webm")[0].notes == []


def test_woven_frames_keep_their_pixels(tmp_path: Path) -> None:
    """Marking fields is no filter on the picture."""
    pictures = make.pictures(4, 64, 64)
    info = VideoInfo.from_header_fields(
        {
            "width": 64,
            "height": 64,
            "time_base": [1, 25],
            "average_rate": [25, 1],
            "sample_aspect_ratio": [1, 1],
            "rotation": 0,
            "color": {"primaries": 2, "transfer": 2, "matrix": 6, "range": 1},
            "audio": [],
            "metadata": {"field_order": "top"},
        }
    )
    with open_writer(tmp_path / "a.mkv", info, codec="ffv1") as writer:
        for number, picture in enumerate(pictures):
            writer.write_frame(picture, number)
    with open_video(tmp_path / "a.mkv") as reader:
        frames = [item for item in reader if isinstance(item, Frame)]
    assert all(np.array_equal(frame.pixels, picture) for frame, picture in zip(frames, pictures, strict=True))


def test_the_roles_of_a_track_are_those_of_ffmpeg() -> None:
    """They are listed so that a header is read without PyAV."""
    assert {role.name for role in Disposition} <= ROLES
