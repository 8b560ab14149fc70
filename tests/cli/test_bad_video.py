"""Protects: input that is no video, and output that may not be written, end in one line, the right exit code, and no
file.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Latcomp, assert_refused


def a_text(path: Path, clip: Path) -> None:
    path.write_text("no video\n" * 100)


def an_empty_file(path: Path, clip: Path) -> None:
    path.touch()


def a_folder(path: Path, clip: Path) -> None:
    path.mkdir()


def nothing(path: Path, clip: Path) -> None:
    """The path stays free."""


def half_a_clip(path: Path, clip: Path) -> None:
    path.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])


def sound_alone(path: Path, clip: Path) -> None:
    import av

    with av.open(str(clip)) as source, av.open(str(path), "w", format="mp4") as copy:
        stream = copy.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(audio=0):
            if packet.size:
                packet.stream = stream
                copy.mux(packet)


def zero_frames(path: Path, clip: Path) -> None:
    path.write_bytes(b"YUV4MPEG2 W64 H48 F25:1 Ip A1:1 C420jpeg\n")


BAD = [a_text, an_empty_file, a_folder, nothing, half_a_clip, sound_alone, zero_frames]


@pytest.mark.parametrize("make", BAD, ids=lambda make: make.__name__)
def test_what_is_no_video_exits_3_and_leaves_nothing(
    make: Callable[[Path, Path], None], clip: Path, latcomp: Latcomp, tmp_path: Path
) -> None:
    source = tmp_path / "input.bin"
    make(source, clip)
    before = sorted(tmp_path.iterdir())
    assert_refused(latcomp("encode", source, tmp_path / "out.lat"), 3)
    assert sorted(tmp_path.iterdir()) == before


def test_a_failed_run_keeps_the_file_it_was_to_replace(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """--force replaces a file only once the new one is complete."""
    source, target = tmp_path / "half.mp4", tmp_path / "out.lat"
    half_a_clip(source, clip)
    target.write_bytes(b"worth keeping")
    assert_refused(latcomp("encode", source, target, "--force"), 3)
    assert target.read_bytes() == b"worth keeping"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["half.mp4", "out.lat"]


def test_an_existing_output_is_refused_and_kept(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    target = tmp_path / "out.lat"
    target.write_bytes(b"worth keeping")
    ran = latcomp("encode", clip, target)
    assert_refused(ran, 6)
    assert "--force" in ran.err
    assert target.read_bytes() == b"worth keeping"


def test_an_output_that_cannot_be_written_exits_6(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    assert_refused(latcomp("encode", clip, tmp_path / "no-such-folder" / "out.lat"), 6)
    assert_refused(latcomp("encode", clip, clip / "out.lat"), 6)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_exits_6(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o500)
    assert_refused(latcomp("encode", clip, folder / "out.lat"), 6)


def test_input_and_output_may_not_be_one_file(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    """Not even by way of a link, and not with --force."""
    copy, link = tmp_path / "clip.mp4", tmp_path / "link.lat"
    copy.write_bytes(clip.read_bytes())
    link.symlink_to(copy)
    assert_refused(latcomp("encode", copy, link, "--force"), 2)
    assert copy.read_bytes() == clip.read_bytes()


def test_a_frame_above_the_limit_exits_7_and_names_the_flag(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", clip, tmp_path / "out.lat", "--max-pixels", 64 * 48 - 1)
    assert_refused(ran, 7)
    assert "--max-pixels" in ran.err
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there_exits_8(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    assert_refused(latcomp("encode", clip, tmp_path / "out.lat", "--device", "cuda:99"), 8)
    assert list(tmp_path.iterdir()) == []


def test_a_tokenizer_that_is_not_at_hand_exits_2(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", clip, tmp_path / "out.lat", "--tokenizer", "no-such-tokenizer")
    assert_refused(ran, 2)
    assert "no-such-tokenizer" in ran.err
