"""Protects what the writer promises: no frame lost or doubled, times, size, rotation and pixel shape as they were."""

import io
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latcomp.errors import OutputError, UsageError
from latcomp.video import ColorTags, VideoInfo, check_output, format_of_path, open_writer

from . import make

MILLISECOND = Fraction(1, 1000)
# What Matroska rounds times to; mp4 and mov keep them exactly.
ROUNDING = {"mp4": Fraction(0), "mov": Fraction(0), "mkv": MILLISECOND / 2, "webm": MILLISECOND / 2}
HOLDS = {
    "mkv": (None, "h264", "h265", "av1", "ffv1", "vp9"),
    "mp4": (None, "h264", "h265", "av1", "vp9"),
    "mov": (None, "h264", "h265"),
    "webm": (None, "av1", "vp9"),
    "avi": (None, "h264", "ffv1"),
}


def plain_info(width: int = 64, height: int = 48, **changes: object) -> VideoInfo:
    fields = {
        "width": width,
        "height": height,
        "time_base": Fraction(1, 12800),
        "average_rate": Fraction(25),
        "sample_aspect_ratio": Fraction(1),
        "rotation_degrees": 0,
        "color": ColorTags(2, 2, 6, 1),
    }
    return VideoInfo(**(fields | changes))  # type: ignore[arg-type]


def write(
    target: object,
    pictures: list[np.ndarray],
    pts: list[int] | None = None,
    info: VideoInfo | None = None,
    **settings: object,
):
    height, width = pictures[0].shape[:2]
    with open_writer(target, info or plain_info(width, height), **settings) as writer:  # type: ignore[arg-type]
        for i, picture in enumerate(pictures):
            writer.write_frame(picture, i * 512 if pts is None else pts[i])
    return writer


@pytest.mark.parametrize(("name", "codec"), [(name, codec) for name, codecs in HOLDS.items() for codec in codecs])
def test_every_frame_once_and_alike(tmp_path: Path, name: str, codec: str | None) -> None:
    pictures = make.pictures(21, 64, 64)
    path = tmp_path / f"out.{name}"
    write(path, pictures, codec=codec)
    _, frames, _ = make.read(path)
    assert len(frames) == len(pictures)
    assert min(make.psnr(f.pixels, p) for f, p in zip(frames, pictures, strict=True)) > (90 if codec == "ffv1" else 36)


@pytest.mark.parametrize(("width", "height"), [(1, 1), (1, 48), (64, 1), (35, 21), (36, 21), (2, 2), (101, 64)])
@pytest.mark.parametrize("name", ["mp4", "mkv", "mov", "y4m", "webm", "avi"])
def test_any_size_is_kept(tmp_path: Path, name: str, width: int, height: int) -> None:
    pictures = make.pictures(3, width, height)
    write(tmp_path / f"out.{name}", pictures)
    _, frames, _ = make.read(tmp_path / f"out.{name}")
    assert [f.pixels.shape for f in frames] == [(height, width, 3)] * 3
    assert min(make.psnr(f.pixels, p) for f, p in zip(frames, pictures, strict=True)) > 30


@pytest.mark.parametrize("name", list(ROUNDING))
@pytest.mark.parametrize("start", [0, 1000])
def test_variable_times_are_kept(tmp_path: Path, name: str, start: int) -> None:
    pts = [start + p for p in (0, 512, 600, 5000, 5100, 20000, 20500, 20600, 20700, 20800)]
    write(tmp_path / f"out.{name}", make.pictures(len(pts)), pts)
    reader, frames, _ = make.read(tmp_path / f"out.{name}")
    wanted = [Fraction(p, 12800) for p in pts]
    assert all(abs(a - b) <= ROUNDING[name] for a, b in zip(make.seconds(reader, frames), wanted, strict=True))


@pytest.mark.parametrize(
    "time_base", [Fraction(1, 1000), Fraction(1001, 30000), Fraction(1, 90000), Fraction(1, 25), Fraction(1, 10**6)]
)
def test_any_unit_of_time_is_exact_in_mp4(tmp_path: Path, time_base: Fraction) -> None:
    pts = [0, 1, 2, 5, 6, 100, 101]
    write(tmp_path / "out.mp4", make.pictures(7), pts, plain_info(time_base=time_base))
    reader, frames, _ = make.read(tmp_path / "out.mp4")
    assert make.seconds(reader, frames) == [p * time_base for p in pts]


@pytest.mark.parametrize("name", list(ROUNDING))
@pytest.mark.parametrize("rate", [Fraction(25), Fraction(30000, 1001), Fraction(12)])
def test_the_duration_counts_the_last_frame(tmp_path: Path, name: str, rate: Fraction) -> None:
    source, out = tmp_path / "in.mp4", tmp_path / f"out.{name}"
    make.write(source, make.pictures(10), rate=rate, time_base=1 / rate)
    make.copy(source, out)
    before, after = make.read(source)[0].info, make.read(out)[0].info
    assert before.duration_seconds == pytest.approx(float(10 / rate), abs=1e-4)
    assert after.duration_seconds == pytest.approx(
        before.duration_seconds, abs=0.0011 if name in ("mkv", "webm") else 1e-4
    )
    if name in ("mp4", "mov"):
        assert after.average_rate == rate
        assert after.frames_estimate == 10


def test_a_long_last_frame_stays_long(tmp_path: Path) -> None:
    make.write(tmp_path / "in.mp4", make.pictures(4), pts=[0, 512, 5000, 5100], options={"bf": "0"})
    info = make.read(tmp_path / "in.mp4")[0].info
    make.copy(tmp_path / "in.mp4", tmp_path / "out.mp4")
    assert make.read(tmp_path / "out.mp4")[0].info.duration_seconds == pytest.approx(info.duration_seconds, abs=1e-4)


@pytest.mark.parametrize("name", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_rotation_and_pixel_shape_are_kept(tmp_path: Path, name: str, rotation: int) -> None:
    info = plain_info(rotation_degrees=rotation, sample_aspect_ratio=Fraction(4, 3))
    write(tmp_path / f"out.{name}", make.pictures(3), info=info)
    read = make.read(tmp_path / f"out.{name}")[0].info
    assert read.rotation_degrees == rotation
    assert read.sample_aspect_ratio == Fraction(4, 3)


def test_the_default_is_nearly_transparent(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 1, (480, 854, 1))
    pictures = [np.clip(p + noise, 0, 255).astype(np.uint8) for p in make.pictures(8, 854, 480)]
    write(tmp_path / "out.mp4", pictures)
    _, frames, _ = make.read(tmp_path / "out.mp4")
    assert np.mean([make.psnr(f.pixels, p) for f, p in zip(frames, pictures, strict=True)]) > 40


def test_a_smaller_crf_is_better(tmp_path: Path) -> None:
    pictures = make.pictures(6)
    quality = []
    for crf in (0, 40):
        write(tmp_path / f"{crf}.mp4", pictures, crf=crf)
        _, frames, _ = make.read(tmp_path / f"{crf}.mp4")
        quality.append(make.psnr(frames[3].pixels, pictures[3]))
    assert quality[0] > quality[1] + 6


@pytest.mark.parametrize("name", ["y4m", "avi"])
def test_a_format_without_times_says_when_it_loses_some(tmp_path: Path, name: str) -> None:
    even = write(tmp_path / f"even.{name}", make.pictures(4))
    uneven = write(tmp_path / f"uneven.{name}", make.pictures(4), [0, 100, 9000, 9001])
    assert even.notes == []
    assert len(make.read(tmp_path / f"uneven.{name}")[1]) == 4
    assert len(uneven.notes) == 1
    assert "25 a second" in uneven.notes[0]


def test_avi_keeps_gaps_so_that_sound_stays_with_the_picture(tmp_path: Path) -> None:
    """Frames come at the nearest place of the grid, and the places between stay empty: a pause is as long as it was."""
    steps = [0, 1, 2, 10, 11, 12]
    writer = write(tmp_path / "a.avi", make.pictures(6), [1000 + 512 * step for step in steps])
    reader, frames, _ = make.read(tmp_path / "a.avi")
    assert make.seconds(reader, frames) == [Fraction(step, 25) for step in steps]
    assert writer.notes == []


@pytest.mark.parametrize("rate", [Fraction(25), Fraction(6 * 12800, 8020 + 512)], ids=["nominal", "mean"])
def test_the_last_frame_of_a_variable_rate_is_not_stretched(tmp_path: Path, rate: Fraction) -> None:
    """The frame before it may have been on screen for long; the rate tells better, be it the true mean or a mere
    word.
    """
    pts = [0, 512, 600, 3000, 3100, 8020]
    write(tmp_path / "a.mp4", make.pictures(6), pts, plain_info(average_rate=rate))
    last = make.read(tmp_path / "a.mp4")[0].info.duration_seconds - 8020 / 12800
    assert last == pytest.approx(0.04, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "codec", "rotation", "shape", "notes"),
    [
        ("mp4", None, 90, Fraction(4, 3), 0),
        ("mkv", None, 90, Fraction(4, 3), 0),
        ("webm", None, 90, Fraction(1), 0),
        ("webm", None, 0, Fraction(4, 3), 1),
        ("mkv", "ffv1", 0, Fraction(4, 3), 1),
        ("mov", "mpeg4", 0, Fraction(4, 3), 0),
        ("avi", None, 90, Fraction(4, 3), 1),
        ("y4m", None, 90, Fraction(4, 3), 2),
    ],
)
def test_what_an_output_cannot_say_is_noted_before_the_work(
    name: str, codec: str | None, rotation: int, shape: Fraction, notes: int
) -> None:
    """And nothing is noted that it can say: the file shows it."""
    said = check_output(name, codec, plain_info(rotation_degrees=rotation, sample_aspect_ratio=shape))
    assert len(said) == notes
    out = io.BytesIO()
    with open_writer(
        out, plain_info(rotation_degrees=rotation, sample_aspect_ratio=shape), format=name, codec=codec
    ) as writer:
        for index, picture in enumerate(make.pictures(2)):
            writer.write_frame(picture, 512 * index)
    out.seek(0)
    info = make.read(out)[0].info
    assert (info.rotation_degrees != rotation) + (info.sample_aspect_ratio != shape) == len(said)


def test_frames_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with open_writer(tmp_path / "out.mp4", plain_info()) as writer:
        writer.write_frame(make.pictures(1)[0], 10)
        with pytest.raises(UsageError, match="increase"):
            writer.write_frame(make.pictures(1)[0], 10)
        with pytest.raises(UsageError, match="shape"):
            writer.write_frame(make.pictures(1, 48, 64)[0], 20)
        with pytest.raises(UsageError, match="uint8"):
            writer.write_frame(make.pictures(1)[0].astype(np.float32), 20)


@pytest.mark.parametrize(
    ("format", "codec", "size", "words"),
    [
        ("gif", None, 64, "known are"),
        ("mp4", "nonsense", 64, "no encoder"),
        ("mp4", "aac", 64, "no video encoder"),
        ("webm", "h264", 64, "webm cannot hold"),
        ("y4m", "h264", 64, "cannot hold"),
        ("mp4", "h265", 32, "64 pixels per side"),
    ],
)
def test_what_cannot_be_written_is_refused_first(format: str, codec: str | None, size: int, words: str) -> None:
    with pytest.raises(OutputError, match=words) as caught:
        check_output(format, codec, plain_info(size, size))
    assert "\n" not in str(caught.value)


def test_a_crf_for_a_codec_without_one_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="crf"):
        check_output("mkv", "ffv1", plain_info(), crf=20)
    with pytest.raises(UsageError, match="between 0 and 51"):
        check_output("mp4", None, plain_info(), crf=52)


def test_the_format_follows_the_suffix() -> None:
    assert [format_of_path(f"a.{s}") for s in ("mp4", "MKV", "m4v", "mov", "y4m", "webm")] == [
        "mp4",
        "mkv",
        "mp4",
        "mov",
        "y4m",
        "webm",
    ]
    with pytest.raises(OutputError, match="no suffix"):
        format_of_path("video")
    with pytest.raises(OutputError, match="xyz"):
        format_of_path("video.xyz")


def test_an_unwritable_place_is_an_output_error(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no such file or directory"):
        open_writer(tmp_path / "none" / "out.mp4", plain_info())


def test_an_exception_inside_is_not_hidden_and_lets_go_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(KeyError), open_writer(tmp_path / "out.mp4", plain_info()) as writer:
        writer.write_frame(make.pictures(1)[0], 0)
        raise KeyError
    (tmp_path / "out.mp4").unlink()


def test_a_full_disk_is_an_output_error() -> None:
    class Full(io.BytesIO):
        def write(self, data: object) -> int:
            raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=r"(?i)no space left"):
        write(Full(), make.pictures(40), format="mkv")
