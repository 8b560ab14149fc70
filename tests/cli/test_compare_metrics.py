"""Protects: compare measures what --metrics names and nothing else, says how to get what is missing before any work,
and loads no optional package unless it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from latcomp.errors import UsageError
from latcomp.metrics import ffmpeg_program, st_lpips_weights, vmaf
from latcomp.metrics.filters import has_filter
from latcomp.metrics.meter import check_at_hand

from .conftest import Latcomp, assert_refused
from .test_startup import CALL, run_and_look

FIGURES = {"psnr_rgb", "psnr_y", "ssim_y", "ms_ssim_y", "psnr_rgb_pooled", "psnr_y_pooled", "vmaf", "xpsnr", "st_lpips"}


def need(metric: str) -> None:
    try:
        check_at_hand((metric,))
    except UsageError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (None, {"psnr_rgb", "psnr_y", "ssim_y", "ms_ssim_y", "psnr_rgb_pooled", "psnr_y_pooled"}),
        ("psnr", {"psnr_rgb", "psnr_y", "psnr_rgb_pooled", "psnr_y_pooled"}),
        ("ssim", {"ssim_y"}),
        ("ms-ssim", {"ms_ssim_y"}),
        ("xpsnr", {"xpsnr"}),
        ("vmaf", {"vmaf"}),
        ("st-lpips,ssim", {"ssim_y", "st_lpips"}),
    ],
)
def test_what_is_named_is_measured_and_the_rest_is_null(
    asked: str | None, told: set[str], clip: Path, make_video: Callable[..., Path], latcomp: Latcomp, tmp_path: Path
) -> None:
    for name in (asked or "").split(","):
        need(name)
    other = make_video(tmp_path / "other.mp4", frames=20)
    ran = latcomp("compare", clip, other, *([] if asked is None else ["--metrics", asked]), "--json", "-q")
    assert ran.code == 0, ran.err
    found = json.loads(ran.out)
    assert {name for name in FIGURES if found[name] is not None} == told
    assert set(found["per_frame"]) == {name for name in told if not name.endswith("_pooled")}
    assert all(len(values) == 20 for values in found["per_frame"].values())
    assert found["bpp"] > 0


def test_people_read_the_names_of_what_was_measured(clip: Path, latcomp: Latcomp) -> None:
    need("xpsnr")
    ran = latcomp("compare", clip, clip, "--metrics", "xpsnr, ssim")
    assert (ran.code, ran.out) == (0, b"")
    assert "20 frames, SSIM 1.0000, XPSNR 100.00 dB (Y), " in ran.err and "PSNR 1" not in ran.err.replace("XPSNR", "")


def test_st_lpips_is_never_called_lpips(clip: Path, latcomp: Latcomp) -> None:
    need("st-lpips")
    ran = latcomp("compare", clip, clip, "--metrics", "st-lpips", "--st-lpips-frames", "2")
    assert "20 frames, st-lpips(alex) 0.0000 (2 frames), " in ran.err
    values = json.loads(latcomp("compare", clip, clip, "--metrics", "st-lpips", "--json", "-q").out)["per_frame"]
    assert sum(value is not None for value in values["st_lpips"]) == 4


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["--metrics", "vmav"], "did you mean vmaf?"),
        (["--metrics", "lpips"], "did you mean st-lpips?"),
        (["--metrics", ""], "is not known"),
        (["--st-lpips-frames", "2"], "--metrics st-lpips"),
        (["--st-lpips-frames", "-1", "--metrics", "st-lpips"], "equal to 0"),
    ],
)
def test_a_wrong_setting_is_one_line_and_exit_2(arguments: list[str], named: str, clip: Path, latcomp: Latcomp) -> None:
    ran = latcomp("compare", clip, clip, *arguments)
    assert_refused(ran, 2)
    assert named in ran.err


@pytest.mark.parametrize("command", [["compare"], ["bench", "rd"]], ids=" ".join)
def test_what_is_missing_is_told_with_how_to_get_it(
    command: list[str], clip: Path, latcomp: Latcomp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(vmaf, "has_filter", lambda name: False)
    monkeypatch.setattr(ffmpeg_program, "PACKAGE", "no_such_package")
    monkeypatch.setattr(st_lpips_weights, "PACKAGE", "no_such_package")
    monkeypatch.setenv("PATH", str(tmp_path))
    files = [clip, tmp_path / "none.mp4"] if command == ["compare"] else [clip]
    for metric, words in (("vmaf", "ffmpeg that has libvmaf"), ("st-lpips", "weights of stlpips-pytorch 0.0.2")):
        ran = latcomp(*command, *files, "--metrics", metric)
        assert_refused(ran, 2)
        assert words in ran.err and "pip install 'latcomp[metrics]'" in ran.err


def test_a_plot_shows_what_was_measured(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    need("xpsnr")
    plot = tmp_path / "plot.svg"
    ran = latcomp("compare", clip, clip, "--metrics", "xpsnr,ssim", "--plot", plot, "-q")
    assert ran.code == 0, ran.err
    assert plot.stat().st_size > 1000
    ran = latcomp("compare", clip, clip, "--metrics", "st-lpips", "--plot", tmp_path / "none.svg")
    assert_refused(ran, 2)
    assert "--metrics" in ran.err


def test_small_frames_are_one_line_too(latcomp: Latcomp, make_video: Callable[..., Path], tmp_path: Path) -> None:
    need("xpsnr")
    small = make_video(tmp_path / "small.mp4", frames=3, width=64, height=32)
    ran = latcomp("compare", small, small, "--metrics", "xpsnr")
    assert_refused(ran, 2)
    assert "these are 64x32: leave it out of --metrics" in ran.err


def test_help_is_quick_and_plain_compare_loads_no_optional_package(clip: Path) -> None:
    done = run_and_look(CALL, "compare", "--help")
    assert done.returncode == 0, done.stderr
    names = [
        "imageio_ffmpeg",
        "stlpips_pytorch",
        "latcomp.metrics.vmaf",
        "latcomp.metrics.xpsnr",
        "latcomp.metrics.st_lpips",
    ]
    look = f"{CALL}\nloaded = set({names}) & set(sys.modules)\nassert not loaded, loaded\nsys.modules.clear()"
    done = run_and_look(look, "compare", str(clip), str(clip), "-q")
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not has_filter("xpsnr"), reason="this PyAV is built without xpsnr")
def test_bench_rd_measures_them_of_every_codec_alike(clip: Path, latcomp: Latcomp, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    arguments = ["--codecs", "latcomp,x264", "-Q", "2,8", "--device", "cpu", "--metrics", "xpsnr", "--at", "0.5"]
    ran = latcomp("bench", "rd", clip, *arguments, "--json", out)
    assert ran.code == 0, ran.err
    found = json.loads(out.read_text())
    assert all(10 < row["xpsnr"] <= 100 and row["vmaf"] is None and row["st_lpips"] is None for row in found["clips"])
    assert set(found["bd_rate"]["x264"]["clip"]) == {"psnr_y", "ms_ssim_y", "psnr_rgb", "xpsnr"}
    assert all("xpsnr" in row and "vmaf" not in row for row in found["at"])
    assert "XPSNR" in ran.err and "VMAF" not in ran.err
    ran = latcomp("bench", "rd", clip, "--metrics", "psnr")
    assert_refused(ran, 2)
