"""Protects: XPSNR is what FFmpeg's filter gives of the same luma, frame by frame and over a video; small frames, which
end that filter with a fault, are refused.
"""

from __future__ import annotations

import math
import re
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from latcomp.errors import UsageError
from latcomp.metrics import filters, xpsnr
from latcomp.metrics.comparison import VideoComparison
from latcomp.metrics.meter import LEAST_SIDE, Measured
from latcomp.metrics.xpsnr import Xpsnr, overall_of
from tests.metrics.planes import measured

pytestmark = pytest.mark.skipif(not filters.has_filter("xpsnr"), reason="this PyAV is built without xpsnr")


def of(reference: list[np.ndarray], test: list[np.ndarray], rate: Fraction | None = Fraction(25)) -> Measured:
    return measured(Xpsnr(rate), reference, test)


def test_equal_frames_count_as_100_db(planes: Callable[[int], list[np.ndarray]]) -> None:
    found = of(planes(0), planes(0))
    assert found == Measured(100.0, [100.0] * 8)


def test_it_falls_with_the_quality(planes: Callable[[int], list[np.ndarray]]) -> None:
    found = [of(planes(0), planes(crf)) for crf in (18, 28, 44)]
    assert [len(one.per_frame) for one in found] == [8, 8, 8]
    best, middle, worst = (one.overall for one in found)
    assert best > middle + 2 > worst + 4


def test_one_changed_frame_is_told_in_its_place() -> None:
    frames = [np.full((64, 64), 60 + 9 * n, np.uint8) for n in range(5)]
    changed = [frame + np.uint8(8 * (n == 3)) for n, frame in enumerate(frames)]
    found = of(frames, changed).per_frame
    assert [value == 100 for value in found] == [True, True, True, False, True]


def test_errors_are_weighed_by_the_activity_of_the_reference() -> None:
    """FFmpeg's filter takes that of its first input, whatever it calls it."""
    random = np.random.default_rng(1)
    flat = [np.full((64, 64), 120, np.uint8)] * 3
    busy = [random.integers(60, 180, (64, 64), np.uint8) for _ in range(3)]
    assert of(busy, flat).overall > of(flat, busy).overall + 3


def test_a_video_has_the_mean_root_error_of_its_frames() -> None:
    assert overall_of([30.0, 30.0]) == pytest.approx(30)
    assert overall_of([math.inf, 30.0]) == pytest.approx(30 + 20 * math.log10(2))
    assert overall_of([math.inf]) == 100


@pytest.mark.parametrize(
    "rate", [None, Fraction(1, 2), Fraction(30000, 1001), Fraction(60), Fraction(10**9 + 1, 10**7)]
)
def test_any_rate_is_taken(rate: Fraction | None) -> None:
    random = np.random.default_rng(2)
    frames = [random.integers(60, 180, (64, 64), np.uint8) for _ in range(3)]
    found = of(frames, [frame + np.uint8(3) for frame in frames], rate)
    assert len(found.per_frame) == 3 and 20 < found.overall < 90


def test_small_frames_are_refused_before_the_filter_sees_them() -> None:
    with VideoComparison(metrics=("xpsnr",)) as comparison, pytest.raises(UsageError, match="48 pixels a side"):
        comparison.add(*np.zeros((2, LEAST_SIDE - 1, 200, 3), np.uint8))
    least = [np.zeros((LEAST_SIDE, LEAST_SIDE), np.uint8)] * 2
    assert of(least, least).overall == 100


def test_luma_can_stand_in_all_planes(planes: Callable[[int], list[np.ndarray]]) -> None:
    """As libvmaf needs it, whose frames cannot be grey: no range is stretched on the way."""
    told: list[list[dict[str, str]]] = []
    for grey in (True, False):
        both = filters.PairFilter("xpsnr", {}, Fraction(25), grey=grey)
        told.append([])
        for test, reference in zip(planes(28), planes(0), strict=True):
            told[-1] += both.push(reference, test)
        told[-1] += both.end()
        both.close()
    key = "lavfi.xpsnr.xpsnr."
    assert (
        [one[f"{key}y"] for one in told[0]]
        == [one[f"{key}y"] for one in told[1]]
        == [one[f"{key}v"] for one in told[1]]
    )


def test_a_filter_that_is_closed_has_written_its_files(tmp_path: Path) -> None:
    path = tmp_path / "a:b'c.txt"
    both = filters.PairFilter("xpsnr", {"stats_file": str(path)}, Fraction(25))
    frame = np.zeros((64, 64), np.uint8)
    assert len(list(both.push(frame, frame))) + len(list(both.end())) == 1
    both.close()
    assert path.read_text().startswith("n:    1")


def test_a_pyav_without_the_filter_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xpsnr, "has_filter", lambda name: False)
    with pytest.raises(UsageError, match="xpsnr needs a PyAV"):
        VideoComparison(metrics=("psnr", "xpsnr"))


def test_it_is_what_ffmpeg_says_of_the_files(
    ffmpeg_with: Callable[[str], Path], coded: Callable[[int], Path], planes: Callable[[int], list[np.ndarray]]
) -> None:
    """A whole video too, which FFmpeg's filter says in its log alone."""
    inputs = ["-i", str(coded(0)), "-i", str(coded(36))]
    command = [str(ffmpeg_with("xpsnr")), "-hide_banner", *inputs, "-lavfi", "[0:v][1:v]xpsnr", "-f", "null", "-"]
    said = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, capture_output=True, text=True).stderr
    wanted = re.search(r"XPSNR +y: +([\d.]+)", said)
    assert wanted is not None
    assert of(planes(0), planes(36)).overall == pytest.approx(float(wanted[1]), abs=1e-3)
