"""Protects `--video-track`: encode, batch and compare read the track that is asked for, and list the tracks where there
is no such one.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import av
import pytest

from .conftest import Latcomp, assert_refused


@pytest.fixture(scope="module")
def two_tracks(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one .mkv: 6 frames of 64x48, then 4 of 32x16."""
    folder = tmp_path_factory.mktemp("tracks")
    parts = [make_video(folder / "a.mp4", 6, 64, 48), make_video(folder / "b.mp4", 4, 32, 16)]
    (folder / "both").mkdir()
    sources = [av.open(str(part)) for part in parts]
    with av.open(str(folder / "both" / "clip.mkv"), "w") as container:
        copies = [container.add_stream_from_template(source.streams.video[0]) for source in sources]
        packets = [(p, copy) for source, copy in zip(sources, copies, strict=True) for p in source.demux() if p.size]
        for packet, copy in sorted(packets, key=lambda pair: pair[0].dts * pair[0].time_base):
            packet.stream = copy
            container.mux(packet)
    return folder / "both"


def test_every_command_that_reads_videos_takes_it(two_tracks: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    clip = two_tracks / "clip.mkv"
    for given, frames in (([], 6), (["--video-track", "1"], 4)):
        ran = latcomp("encode", clip, tmp_path / "a.lat", "-f", "--json", *given)
        assert ran.code == 0 and json.loads(ran.out)["frames"] == frames
        assert "1 further video stream; --video-track chooses another" in ran.err
        ran = latcomp("compare", clip, tmp_path / "a.lat", "--json", *given)
        assert ran.code == 0 and json.loads(ran.out)["frames"] == frames
        ran = latcomp("batch", two_tracks, tmp_path / str(frames), "--json", *given)
        assert ran.code == 0 and json.loads(ran.out)["frames"] == frames


def test_a_track_that_is_not_there(two_tracks: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    ran = latcomp("encode", two_tracks / "clip.mkv", tmp_path / "a.lat", "--video-track", "2")
    assert_refused(ran, 2)
    assert "2 video tracks: 0: h264 64x48" in ran.err
    assert list(tmp_path.iterdir()) == []
