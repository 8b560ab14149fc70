"""Protects `bench rd`: one row a setting with the documented keys, bits without audio, means that leave out and name
what is missing.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from latcomp.bench.rd import rivals
from latcomp.bench.rd.figures import (
    RdRow,
    at_rates,
    bd_rates,
    curve,
    figures_of,
    mean_rows,
    measures_of,
    without_overlap,
)
from latcomp.bench.rd.latents import LATENT_CODECS, LatentBench, pack, unpack
from latcomp.bench.rd.measure import CODECS, Clock, RdBench, RdSettings, measured
from latcomp.bench.rd.plots import plot_paths, save_plots
from latcomp.bench.rd.source import read_clip
from latcomp.codec.encode import encode
from latcomp.errors import OutputError, UsageError

KEYS = [
    "clip",
    "codec",
    "preset",
    "setting",
    "bpp",
    "psnr_rgb",
    "psnr_y",
    "ms_ssim_y",
    "encode_seconds",
    "decode_seconds",
    "vmaf",
    "xpsnr",
    "st_lpips",
]


def line(clip: str, codec: str, factor: float = 1.0, start: float = 30.0) -> list[RdRow]:
    """A curve of 3 dB an octave."""
    points = [(factor * 0.01 * 2**i, start + 3 * i) for i in range(5)]
    return [
        RdRow(clip, codec, "p", float(i), bpp, q - 3, q, 1 - 10 ** (-q / 20), 1.0, 0.5)
        for i, (bpp, q) in enumerate(points)
    ]


@pytest.fixture(scope="module")
def clip(make_video: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("clip") / "square.mp4", frames=10, width=64, height=48, sound=True)


@pytest.fixture(scope="module")
def figures(clip: Path) -> dict[str, Any]:
    bench = RdBench([clip], RdSettings(qualities=(1, 9), groups={"all": ("square",)}, at=(1e-6,), device="cpu"))
    seconds = bench.run(clip)
    assert list(seconds) == bench.codecs
    return bench.figures()


def test_every_codec_has_its_rows_with_the_keys_of_the_contract(figures: dict[str, Any], clip: Path) -> None:
    counts = {
        "latcomp": 2,
        "raw-fp16": 1,
        "int8-zstd": 1,
        **{r.name: len(r.crfs) for r in rivals.RIVALS.values() if r.at_hand},
    }
    for row in figures["clips"]:
        assert list(row) == KEYS
        assert row["clip"] == "square"
        assert row["bpp"] > 0 and 10 < row["psnr_y"] <= 100 and 0 < row["ms_ssim_y"] <= 1
        assert row["encode_seconds"] > 0 and row["decode_seconds"] > 0
    assert {codec: sum(row["codec"] == codec for row in figures["clips"]) for codec in counts} == counts
    assert len(figures["clips"]) == sum(counts.values())
    assert figures["sources"] == {"square": {"frames": 10, "width": 64, "height": 48, "fps": 25.0}}


def test_bits_of_latcomp_are_those_of_its_file_without_audio(figures: dict[str, Any], clip: Path) -> None:
    row = next(row for row in figures["clips"] if row["codec"] == "latcomp" and row["setting"] == 9)
    out = io.BytesIO()
    silent = encode(clip, out, quality=9, audio=False, device="cpu")
    assert row["bpp"] == silent.stats["bpp"] == pytest.approx(len(out.getvalue()) * 8 / (10 * 64 * 48))


def test_latents_kept_whole_cost_what_their_values_take(figures: dict[str, Any]) -> None:
    raw, small = (next(row for row in figures["clips"] if row["codec"] == codec) for codec in LATENT_CODECS)
    channels = LatentBench(device="cpu").tokenizer.spec.channels
    assert raw["bpp"] == channels * 3 * 6 * 8 * 16 / (10 * 64 * 48)  # 10 frames make 3 latent frames of 6x8
    assert small["bpp"] < raw["bpp"] / 2
    assert small["psnr_y"] == pytest.approx(raw["psnr_y"], abs=1.5)
    assert raw["setting"] is small["setting"] is None


def test_bd_rates_are_against_every_codec_with_a_curve(figures: dict[str, Any]) -> None:
    assert set(figures["bd_rate"]) == {r.name for r in rivals.RIVALS.values() if r.at_hand}
    for by_clip in figures["bd_rate"].values():
        assert list(by_clip) == ["square", "mean", "mean of all"]
        assert by_clip["square"] == by_clip["mean"] == by_clip["mean of all"]
    assert all(row["missing"] == ["square"] and row["clips"] == 0 for row in figures["at"])


def test_a_codec_that_pyav_lacks_is_left_out(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rivals.RIVALS, "x265", replace(rivals.RIVALS["x265"], encoder="libnone"))
    bench = RdBench([clip], RdSettings(codecs=("x265", "x264")))
    assert (bench.missing, bench.codecs) == (["x265"], ["x264"])


def test_wrong_settings_are_refused_before_anything_runs(clip: Path) -> None:
    with pytest.raises(UsageError, match="codec vp9 is not known: choose from latcomp, x264"):
        RdSettings(codecs=("latcomp", "vp9"))
    with pytest.raises(UsageError, match="11"):
        RdSettings(qualities=(11,))
    with pytest.raises(UsageError, match="metrics 'psnr' unknown: choose from vmaf, xpsnr, st-lpips"):
        RdSettings(metrics=("psnr",))
    with pytest.raises(UsageError, match="group static names cups"):
        RdBench([clip], RdSettings(groups={"static": ("square", "cups")}))
    with pytest.raises(UsageError, match="square is taken"):
        RdBench([clip, Path("elsewhere") / "square.mkv"], RdSettings())
    assert RdSettings().codecs == CODECS


def test_means_leave_out_clips_without_a_common_quality_and_name_them() -> None:
    rows = [
        *line("a", "latcomp", 2.0),
        *line("a", "x264"),
        *line("b", "latcomp"),
        *line("b", "x264", start=90.0),
        *line("c", "latcomp"),
        *line("c", "x264", 2.0),
    ]
    found = bd_rates(rows, "latcomp", {"still": ("b", "c"), "none": ("b",)})["x264"]
    assert found["a"]["psnr_y"] == pytest.approx(100.0)
    assert found["b"] == dict.fromkeys(("psnr_y", "ms_ssim_y", "psnr_rgb"))
    assert found["c"] == {name: pytest.approx(-50.0) for name in ("psnr_y", "ms_ssim_y", "psnr_rgb")}
    assert found["mean"]["psnr_y"] == pytest.approx(25.0)
    assert found["mean of still"]["psnr_y"] == pytest.approx(-50.0)
    assert found["mean of none"]["psnr_y"] is None
    assert (
        without_overlap({"x264": found}, "abc")[0] == "x264, psnr_y: no quality in common on b; left out of the means"
    )
    assert bd_rates(line("a", "x264"), "latcomp", {}) == {}


def test_qualities_at_a_rate_are_read_off_curves_and_never_beyond_them() -> None:
    rows = [*line("a", "latcomp"), *line("b", "latcomp", 4.0)]
    low, high = at_rates(rows, [0.02, 0.08])
    both = at_rates([*rows, *line("b", "x264")], [0.02])
    assert [(row["codec"], row["clips"], row["missing"]) for row in both] == [("latcomp", 1, ["b"]), ("x264", 1, ["a"])]
    assert [row["common"]["clips"] for row in both] == [0, 0]
    assert both[0]["common"]["psnr_y"] is None
    assert low == {
        "codec": "latcomp",
        "bpp": 0.02,
        "psnr_rgb": pytest.approx(30.0),
        "psnr_y": pytest.approx(33.0),
        "ms_ssim_y": pytest.approx(1 - 10 ** (-33 / 20)),
        "clips": 1,
        "missing": ["b"],
        "common": {
            "psnr_rgb": pytest.approx(30.0),
            "psnr_y": pytest.approx(33.0),
            "ms_ssim_y": low["ms_ssim_y"],
            "clips": 1,
        },
    }
    assert (high["clips"], high["missing"]) == (2, [])
    assert high["psnr_y"] == pytest.approx((39.0 + 33.0) / 2)
    assert "at" not in figures_of(rows, "latcomp", {}, ())


def test_further_measures_are_curves_where_rows_have_them() -> None:
    """ST-LPIPS falls as quality rises; VMAF stays at 100 from somewhere on, and its curve ends there."""
    rows = [
        replace(row, vmaf=min(100.0, 70 + 15 * row.setting), st_lpips=0.2 / 2**row.setting)
        for row in (*line("a", "latcomp", 2.0), *line("a", "x264"))
        if row.setting is not None
    ]
    assert measures_of(rows) == ("psnr_y", "ms_ssim_y", "vmaf", "st_lpips")
    assert bd_rates(rows, "latcomp", {})["x264"]["a"] == {
        name: pytest.approx(100.0) for name in ("psnr_y", "ms_ssim_y", "vmaf", "st_lpips", "psnr_rgb")
    }
    low, high = (row for row in at_rates(rows, [0.02, 0.16]) if row["codec"] == "x264")
    assert (low["vmaf"], low["st_lpips"]) == (pytest.approx(85.0), pytest.approx(0.1))
    assert (high["vmaf"], high["st_lpips"], high["missing"]) == (None, pytest.approx(0.2 / 16), [])
    assert mean_rows(rows)[0].vmaf == 70.0 and mean_rows(rows)[0].xpsnr is None
    assert measures_of(line("a", "x264")) == ("psnr_y", "ms_ssim_y")


def test_means_over_clips_are_by_codec_and_setting() -> None:
    mean = mean_rows([*line("a", "latcomp"), *line("b", "latcomp", 3.0)])
    assert [row.bpp for row in mean] == pytest.approx([0.02 * 2**i for i in range(5)])
    assert [row.clip for row in mean] == ["mean"] * 5
    assert curve(mean, "mean", "latcomp", "psnr_y")[0][1] == pytest.approx(30.0)


def test_int8_latents_are_off_by_half_a_step_at_most() -> None:
    sizes = np.array([0, 1, 3, 10, 400], np.float32).reshape(5, 1, 1, 1)
    latents = np.random.default_rng(0).normal(0, 1, (5, 3, 4, 6)).astype(np.float32) * sizes
    packed = pack(latents, "int8-zstd")
    assert packed.steps is not None
    off = np.abs(unpack(packed) - latents).reshape(5, -1).max(axis=1)
    assert np.all(off <= packed.steps * 0.5001)
    assert np.abs(unpack(packed)).reshape(5, -1).max(axis=1) == pytest.approx(
        np.abs(latents).reshape(5, -1).max(axis=1), rel=1e-5
    )
    raw = pack(latents, "raw-fp16")
    assert raw.size_bytes == latents.size * 2
    assert np.array_equal(unpack(raw), latents.astype(np.float16).astype(np.float32))


def test_the_clock_counts_the_making_of_frames_alone() -> None:
    def slow() -> Iterator[np.ndarray]:
        for _ in range(3):
            time.sleep(0.02)
            yield np.zeros(1)

    clock = Clock(slow())
    for _ in clock:
        time.sleep(0.2)
    assert 0.06 <= clock.seconds < 0.5


def test_a_codec_that_loses_or_adds_frames_is_refused(clip: Path, tmp_path: Path) -> None:
    source = read_clip(clip, tmp_path)
    for frames in (source.rgb[:-1], [*source.rgb, source.rgb[0]]):
        with pytest.raises(OutputError, match=f"square: x264 made {len(frames)} frames of 10"):
            measured(source, "x264", "medium", 20, 0.1, frames, 1.0, 1.0, RdSettings())


def test_plots_are_one_a_clip_and_one_a_mean(tmp_path: Path) -> None:
    rows = [*line("a b", "latcomp"), *line("a b", "x264"), *line("c", "latcomp"), *line("c", "x264")]
    rows.append(RdRow("c", "raw-fp16", "p", None, 3.0, 30.0, 40.0, 0.99, 1.0, 1.0))
    written = save_plots(rows, tmp_path / "plots", {"still": ("c",)})
    assert [path.name for path in written] == ["mean.png", "mean-of-still.png", "a-b.png", "c.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in written)
    assert plot_paths(tmp_path / "one.png", ["a"], {}) == {"mean": tmp_path / "one.png"}
