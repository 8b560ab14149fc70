"""Protects the choice on interlaced video: refused unless chosen, woven frames left alone, or as many progressive
ones.
"""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latcomp.errors import NotAVideoError
from latcomp.video import open_video

from . import make

INTERLACED = {"x264-params": "interlaced=1", "crf": "4", "bf": "2"}  # the lower field is then the earlier one


def woven(frames: int, width: int = 64, height: int = 64) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """(interlaced frames, the whole pictures at the time of their lower fields): stripes that move 3 pixels a field."""
    x = np.arange(width)

    def picture(field: int) -> np.ndarray:
        line = (128 + 90 * np.sin((x - 3 * field) / 5)).astype(np.uint8)
        return np.repeat(np.repeat(line[None, :, None], height, axis=0), 3, axis=2)

    lower = [picture(2 * index) for index in range(frames)]
    mixed = [frame.copy() for frame in lower]
    for index, frame in enumerate(mixed):
        frame[0::2] = picture(2 * index + 1)[0::2]
    return mixed, lower


def combing(frame: np.ndarray) -> float:
    """Mean step between neighbouring lines: 0 for these pictures when they are whole."""
    return float(np.abs(np.diff(frame.astype(np.float64), axis=0)).mean())


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("interlaced") / "a.mp4"
    make.write(
        path, woven(12)[0], options=INTERLACED, pts=[0, 512, 1024, 1536, 2048, 2560, 3000, 4000, 5000, 9000, 9512, 9999]
    )
    return path


def test_it_is_refused_with_both_ways_out_unless_one_is_chosen(clip: Path) -> None:
    with pytest.raises(NotAVideoError, match=r"deinterlace=True.*deinterlace=False"):
        open_video(clip, deinterlace=None)


def test_each_frame_becomes_a_whole_one_at_its_own_time(clip: Path) -> None:
    left, frames, _ = make.read(clip, deinterlace=False)
    done, whole, _ = make.read(clip, deinterlace=True)
    assert make.seconds(done, whole) == make.seconds(left, frames)
    assert min(combing(f.pixels) for f in frames) > 20
    assert max(combing(f.pixels) for f in whole[1:-1]) < 5
    expected = woven(12)[1]
    assert min(make.psnr(f.pixels, p) for f, p in zip(whole[1:-1], expected[1:-1], strict=True)) > 28
    assert done.notes == ["the video is interlaced; each frame is deinterlaced"]
    assert left.notes == ["the video is interlaced; its frames are kept woven as they are"]


def test_a_stretch_has_the_frames_that_the_whole_has(clip: Path) -> None:
    """The frames before the start are decoded too, so the first one of a stretch has its neighbours."""
    whole = make.read(clip, deinterlace=True)[1]
    part = make.read(clip, deinterlace=True, start_seconds=0.12, duration_seconds=0.12)[1]
    assert [f.pts for f in part] == [0, 512, 1024, 1464]
    assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(part, whole[3:7], strict=True))


@pytest.mark.parametrize("frames", [1, 2])
def test_few_frames_are_enough(tmp_path: Path, frames: int) -> None:
    make.write(tmp_path / "a.mp4", woven(frames)[0], options=INTERLACED)
    assert len(make.read(tmp_path / "a.mp4", deinterlace=True)[1]) == frames


def test_progressive_video_passes_unchanged(tmp_path: Path) -> None:
    """`--deinterlace` over a folder of mixed videos must not touch the progressive ones, of any size or depth."""
    for name, size, pixel_format in (("a.mp4", (64, 48), "yuv420p10le"), ("b.mkv", (35, 21), "yuv444p")):
        make.write(tmp_path / name, make.pictures(4, *size), pixel_format=pixel_format)
        plain, filtered = (make.read(tmp_path / name, deinterlace=choice) for choice in (None, True))
        assert all(np.array_equal(a.pixels, b.pixels) for a, b in zip(plain[1], filtered[1], strict=True))
        assert filtered[0].notes == plain[0].notes


def test_frames_without_fields_are_read_all_the_same(tmp_path: Path) -> None:
    """A picture of one pixel has no fields to take apart."""
    make.write(tmp_path / "a.mkv", make.pictures(3, 1, 1), codec="ffv1", pixel_format="bgr0", options={"level": "1"})
    assert len(make.read(tmp_path / "a.mkv", deinterlace=True)[1]) == 3


def test_times_survive_a_change_of_size(tmp_path: Path) -> None:
    """A transport stream may change its frame size; the filter is then made anew and nothing is lost."""
    parts = []
    for index, size in enumerate(((64, 64), (64, 48))):
        path = tmp_path / f"{index}.ts"
        pts = [90000 * index + 3600 * i for i in range(5)]
        make.write(path, woven(5, *size)[0], format="mpegts", options=INTERLACED, time_base=Fraction(1, 90000), pts=pts)
        parts.append(path.read_bytes())
    (tmp_path / "a.ts").write_bytes(b"".join(parts))
    left, frames, _ = make.read(tmp_path / "a.ts", deinterlace=False)
    done, whole, _ = make.read(tmp_path / "a.ts", deinterlace=True)
    assert len(frames) == 10
    assert make.seconds(done, whole) == make.seconds(left, frames)
