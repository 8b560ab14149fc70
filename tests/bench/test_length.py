"""Protects `latcomp bench length`: the stream is a video, what is measured are real runs over all of it, and failures
are told.
"""

from __future__ import annotations

import importlib.util
import io
import json
from pathlib import Path

import av
import numpy as np
import pytest

from latcomp.bench.length import measure as length
from latcomp.bench.length.measure import Passage, Sample, Stream, measure
from latcomp.errors import LatcompError, UsageError


def test_the_stream_is_a_video_that_moves_and_cuts() -> None:
    stream = Stream(32, 18, 62, 1)  # a frame a second: the cut comes after 60
    data = stream.header() + b"".join(stream.pictures())
    with av.open(io.BytesIO(data), format="yuv4mpegpipe") as container:
        planes = [frame.to_ndarray(format="gray").astype(int) for frame in container.decode(video=0)]
    assert len(planes) == 62 and planes[0].shape == (18, 32)
    steps = [float(np.abs(a - b).mean()) for a, b in zip(planes, planes[1:], strict=False)]
    assert min(steps) > 0
    assert np.argmax(steps) == 59


def test_a_panned_stream_shows_a_world_that_stands_still() -> None:
    stream = Stream(64, 32, 10, 24, 3)
    square = 32 // 4  # what goes round lies on top of the background
    planes = [np.frombuffer(one, np.uint8, 64 * 32, 6).reshape(32, 64).astype(int) for one in stream.pictures()]
    for before, now in zip(planes, planes[1:], strict=False):
        same = before[:, 3:] == now[:, :-3]
        assert same.mean() > 1 - 4 * square * square / same.size
    assert (planes[0] != planes[-1]).mean() > 0.9


@pytest.mark.parametrize(
    "values", [(32, 32, 8, 24, 65), (15, 32, 8, 24), (32, 33, 8, 24), (32, 32, 0, 24), (32, 32, 8, 0)]
)
def test_impossible_streams_are_refused(values: tuple[int, ...]) -> None:
    with pytest.raises(UsageError):
        Stream(*values)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_figures_of_a_short_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every frame goes in and comes out; samples rise; the plot draws from them."""
    monkeypatch.setattr(length, "SEEKS", 1)
    seen: list[tuple[str, int, int]] = []
    figures = measure(Stream(32, 32, 120, 24), 3, "cpu", lambda *step: seen.append(step))
    assert json.loads(json.dumps(figures)) == figures
    assert {name for name, *_ in seen} == {"encode", "decode"} and {total for *_, total in seen} == {120}
    for name in ("encode", "decode"):
        samples = figures[name]["samples"]
        assert samples[-1]["frames"] == 120 and all(
            a["frames"] < b["frames"] for a, b in zip(samples, samples[1:], strict=False)
        )
        assert all(a["cpu_seconds"] <= b["cpu_seconds"] for a, b in zip(samples, samples[1:], strict=False))
        # the kernel counts a little behind
        assert 2**24 < max(sample["rss_bytes"] for sample in samples) < 1.05 * figures[name]["peak_bytes"] < 2**32
    assert figures["seek"]["start_seconds"] == 3 and figures["seek"]["cpu_seconds"] > 0
    if importlib.util.find_spec("matplotlib"):
        from latcomp.bench.length.plot import save_plot

        save_plot(figures, tmp_path / "out.svg")
        assert (tmp_path / "out.svg").stat().st_size > 10_000


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_the_camera_of_a_panned_stream_is_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(length, "SEEKS", 1)
    figures = measure(Stream(128, 64, 48, 24, 4), 3, "cpu")
    assert figures["pan"] == 4
    assert figures["pixels_per_frame"] == pytest.approx(4, abs=0.3)


def test_a_command_that_fails_is_told(tmp_path: Path) -> None:
    """As an encoder that is not given a device does: its message, not a broken pipe."""
    with pytest.raises(LatcompError, match="nonsense"):
        measure(Stream(32, 32, 40, 24), 3, "nonsense")


def test_early_and_late_are_told_apart() -> None:
    samples = tuple(Sample(10 * i, float(i), 0.1 * i if i < 50 else 0.2 * i - 5, 1000 + i) for i in range(1, 101))
    found = Passage(samples, 100.0, 2000).figures()
    assert found["frames_per_second"] == 10
    assert found["cpu_seconds_a_frame_early"] == pytest.approx(0.01) and found[
        "cpu_seconds_a_frame_late"
    ] == pytest.approx(0.02)
    assert (found["rss_bytes_early"], found["rss_bytes_late"]) == (1015, 1095)
