"""Protects the choice among several video tracks: the film and not its thumbnail or cover, as ffmpeg chooses, or the
one asked for.
"""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from av.stream import Disposition

from latcomp.errors import NotAVideoError, UsageError
from latcomp.video import open_video

from . import make


def joined(target: Path, *parts: Path, flags: dict[int, Disposition] | None = None) -> Path:
    """One file with the first video track of each part, in order, packets interleaved as each part has them."""
    sources = [av.open(str(part)) for part in parts]
    with av.open(str(target), "w") as container:
        copies = [container.add_stream_from_template(source.streams.video[0]) for source in sources]
        for number, copy in enumerate(copies):
            copy.disposition = (flags or {}).get(number, Disposition(0))
        packets = [
            (p, copy) for source, copy in zip(sources, copies, strict=True) for p in source.demux(video=0) if p.size
        ]
        for packet, copy in sorted(packets, key=lambda pair: pair[0].dts * pair[0].time_base):
            packet.stream = copy
            container.mux(packet)
    for source in sources:
        source.close()
    return target


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("parts")
    make.write(folder / "picture.mov", make.pictures(1, 96, 96), codec="mjpeg", pixel_format="yuvj420p", options={})
    make.write(folder / "small.mp4", make.pictures(8, 64, 48))
    make.write(folder / "large.mp4", make.pictures(8, 80, 64))
    return {
        name: folder / file
        for name, file in (("picture", "picture.mov"), ("small", "small.mp4"), ("large", "large.mp4"))
    }


CASES = [
    (["picture", "small"], {}, (64, 48)),
    (
        ["picture", "small"],
        {0: Disposition.default},
        (64, 48),
    ),  # a thumbnail is flagged as default where it was written first
    (["small", "picture"], {1: Disposition.attached_pic}, (64, 48)),
    (["small", "large"], {}, (80, 64)),
    (["small", "large"], {0: Disposition.default}, (64, 48)),
    (["small", "large"], {1: Disposition.timed_thumbnails}, (64, 48)),
    (["large", "small"], {}, (80, 64)),
    (["picture"], {}, (96, 96)),
]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize(("names", "flags", "size"), CASES, ids=[f"{'+'.join(c[0])} {c[1]}" for c in CASES])
def test_the_film_is_taken(
    tmp_path: Path,
    parts: dict[str, Path],
    suffix: str,
    names: list[str],
    flags: dict[int, Disposition],
    size: tuple[int, int],
) -> None:
    path = joined(tmp_path / f"a.{suffix}", *(parts[name] for name in names), flags=flags)
    with av.open(str(path)) as container:
        kept = [stream.disposition for stream in container.streams.video]
    if kept != [flags.get(number, Disposition(0)) for number in range(len(names))]:
        pytest.skip("this container cannot say that, or says more: the first track of an mp4 is the default one")
    reader, frames, _ = make.read(path)
    assert (reader.info.width, reader.info.height) == size
    assert len(frames) == (1 if names == ["picture"] else 8)


def test_a_track_can_be_asked_for(tmp_path: Path, parts: dict[str, Path]) -> None:
    path = joined(tmp_path / "a.mkv", parts["picture"], parts["small"], parts["large"])
    sizes = [(96, 96, 1), (64, 48, 8), (80, 64, 8)]
    for track, size in enumerate(sizes):
        reader, frames, _ = make.read(path, video_track=track)
        assert (reader.info.width, reader.info.height, len(frames)) == size
        assert reader.info.notes[-1] == "left out: 2 further video streams; video_track chooses another track"
    assert len(make.read(path, video_track=1, start_seconds=0.16)[1]) == 4  # the choice holds after a seek


@pytest.mark.parametrize("track", [2, -1])
def test_a_track_that_is_not_there_lists_those_that_are(tmp_path: Path, parts: dict[str, Path], track: int) -> None:
    path = joined(tmp_path / "a.mp4", parts["small"], parts["large"])
    with pytest.raises(UsageError) as caught:
        open_video(path, video_track=track)
    for words in (f"video_track {track}", "2 video tracks", "0: h264 64x48, 25 frames/s", "1: h264 80x64"):
        assert words in str(caught.value)


def test_a_cover_alone_is_still_no_video(tmp_path: Path, parts: dict[str, Path]) -> None:
    path = joined(tmp_path / "a.mp4", parts["picture"], flags={0: Disposition.attached_pic})
    with av.open(str(path)) as container:
        assert container.streams.video[0].disposition & Disposition.attached_pic
    with pytest.raises(NotAVideoError, match="cover"):
        open_video(path)
    assert len(make.read(path, video_track=0)[1]) == 1  # unless it is asked for
