"""Protects the errors: whatever is no video is refused with one clear line, and damage is never passed over in
silence.
"""

from pathlib import Path

import pytest

from latcomp.errors import NotAVideoError
from latcomp.video import Frame, open_video

from . import make


def refusal(path: Path) -> str:
    with pytest.raises(NotAVideoError) as caught:
        make.read(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    return message


def test_missing(tmp_path: Path) -> None:
    assert "no such file" in refusal(tmp_path / "none.mp4")


def test_directory(tmp_path: Path) -> None:
    assert "directory" in refusal(tmp_path)


def test_empty(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").touch()
    assert "empty" in refusal(tmp_path / "a.mp4")


@pytest.mark.parametrize("name", ["notes.txt", "notes.mp4", "notes.nfo", "list.ffconcat"])
def test_text(tmp_path: Path, name: str) -> None:
    start = "ffconcat version 1.0\nfile other.mp4\n" if name.endswith("concat") else ""
    (tmp_path / name).write_text(start + "Only words, no pictures.\n" * 200)
    refusal(tmp_path / name)


def test_bytes_that_are_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.mp4").write_bytes(bytes(range(256)) * 64)
    refusal(tmp_path / "a.mp4")


def test_only_audio(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.m4a"), "w") as container:
        stream = container.add_stream("aac", rate=48000)
        stream.codec_context.layout = "stereo"
        container.start_encoding()
        make._write_tone(container, stream, 0.5, 48000)
    assert "only audio" in refusal(tmp_path / "a.m4a")


def test_no_frames(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.width, stream.height = 64, 48
        container.start_encoding()
    refusal(tmp_path / "a.mkv")


def test_cut_off_with_the_index_last(tmp_path: Path) -> None:
    make.write(tmp_path / "whole.mp4", make.pictures(20))
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    assert "cut off" in refusal(tmp_path / "cut.mp4")


CUT = [
    ("a.mp4", {"container_options": {"movflags": "faststart"}}),
    ("a.mp4", {"container_options": {"movflags": "frag_keyframe+empty_moov"}, "options": {"g": "5", "crf": "1"}}),
    ("a.mkv", {}),
    ("a.mkv", {"codec": "ffv1"}),
    ("a.webm", {"codec": "libvpx-vp9", "options": {"crf": "4", "b": "0", "deadline": "realtime"}}),
]


@pytest.mark.parametrize(("name", "settings"), CUT)
def test_frames_before_a_cut_are_given_and_then_the_damage_is_named(tmp_path: Path, name: str, settings: dict) -> None:
    make.write(tmp_path / name, make.pictures(60), **settings)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: len(data) * 6 // 10])
    frames = 0
    with pytest.raises(NotAVideoError) as caught, open_video(tmp_path / name) as reader:
        for item in reader:
            frames += isinstance(item, Frame)
    assert 10 < frames < 60
    assert f"after {frames} frames" in str(caught.value)


def test_a_whole_file_with_rubbish_behind_it_is_not_cut_off(tmp_path: Path) -> None:
    make.write(tmp_path / "a.mp4", make.pictures(5))
    with (tmp_path / "a.mp4").open("ab") as file:
        file.write(b"\0" * 100)
    assert len(make.read(tmp_path / "a.mp4")[1]) == 5


def test_a_recording_joined_in_the_middle_starts_with_its_first_whole_frame(tmp_path: Path) -> None:
    make.write(tmp_path / "a.ts", make.pictures(40), format="mpegts", options={"g": "10", "crf": "1"})
    data = (tmp_path / "a.ts").read_bytes()
    (tmp_path / "a.ts").write_bytes(data[188 * (len(data) // 188 // 3) :])
    assert 10 <= len(make.read(tmp_path / "a.ts")[1]) < 40
