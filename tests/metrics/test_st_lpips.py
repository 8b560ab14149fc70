"""Protects: ST-LPIPS of our own network is that of its authors' code, on as many frames as were asked for, and only
with the weights that are known.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from latcomp.errors import UsageError
from latcomp.metrics import st_lpips_weights
from latcomp.metrics.comparison import VideoComparison
from latcomp.metrics.st_lpips_net import StLpipsNet
from latcomp.video import Frame, open_video


@pytest.fixture(scope="module")
def net() -> StLpipsNet:
    try:
        st_lpips_weights.weights_file()
    except UsageError as error:
        pytest.skip(str(error))
    return StLpipsNet(st_lpips_weights.load_weights(), torch.device("cpu"))


def distance(net: StLpipsNet, a: np.ndarray, b: np.ndarray) -> float:
    return net.distance(*(torch.from_numpy(np.ascontiguousarray(one)) for one in (a, b)))


def frames_of(path: Path) -> list[np.ndarray]:
    with open_video(path) as reader:
        return [item.pixels for item in reader if isinstance(item, Frame)]


def pattern(height: int, width: int, step: int) -> np.ndarray:
    """(height, width, 3) uint8 of whole numbers alone, the same on every machine."""
    y, x, c = np.mgrid[0:height, 0:width, 0:3]
    return ((x * x * step + 3 * y * x + 5 * y * y + 40 * c) // 16 % 256).astype(np.uint8)


@pytest.mark.parametrize(
    ("size", "wanted"), [((64, 64), 0.0363487), ((75, 101), 0.0555699)], ids=lambda value: str(value)
)
def test_it_is_that_of_the_authors_code(size: tuple[int, int], wanted: float, net: StLpipsNet) -> None:
    """`stlpips_pytorch.stlpips.LPIPS(net="alex", variant="shift_tolerant")` of version 0.0.2 gave these."""
    assert distance(net, pattern(*size, 2), pattern(*size, 3)) == pytest.approx(wanted, rel=1e-4)


def test_equal_pictures_are_0_and_a_shift_is_little(net: StLpipsNet, original: list[np.ndarray]) -> None:
    picture = original[0]
    assert distance(net, picture, picture) == 0
    noisy = np.clip(picture.astype(int) + np.random.default_rng(0).integers(-25, 26, picture.shape), 0, 255)
    assert 0 < distance(net, picture[:, 1:], picture[:, :-1]) < 0.02
    assert distance(net, picture, noisy.astype(np.uint8)) > 5 * distance(net, picture[:, 1:], picture[:, :-1])


def test_it_grows_with_compression(net: StLpipsNet, coded: Callable[[int], Path]) -> None:
    reference = frames_of(coded(0))[3]
    best, middle, worst = (distance(net, reference, frames_of(coded(crf))[3]) for crf in (18, 28, 44))
    assert 0 < best < middle < worst / 2


@pytest.mark.parametrize(("wanted", "found"), [(2, 2), (4, 4), (8, 8), (100, 8), (0, 8)])
def test_as_many_frames_are_measured_as_asked_for(
    wanted: int, found: int, net: StLpipsNet, coded: Callable[[int], Path], original: list[np.ndarray]
) -> None:
    with VideoComparison(metrics=("st-lpips",), st_lpips_frames=wanted, device="cpu") as comparison:
        for a, b in zip(original, frames_of(coded(28)), strict=True):
            comparison.add(a[:48, :48], b[:48, :48])
        result = comparison.result()
    values = result["per_frame"]["st_lpips"]
    measured = [value for value in values if value is not None]
    assert (len(values), len(measured)) == (8, found)
    assert result["st_lpips"] == pytest.approx(np.mean(measured))
    assert list(result["per_frame"]) == ["st_lpips"] and result["psnr_y"] is None
    for value, a, b in zip(values, original, frames_of(coded(28)), strict=True):
        assert value is None or value == pytest.approx(distance(net, a[:48, :48], b[:48, :48]))


def test_a_number_of_frames_below_0_is_refused(net: StLpipsNet) -> None:
    with pytest.raises(UsageError, match="st_lpips_frames -1"):
        VideoComparison(metrics=("st-lpips",), st_lpips_frames=-1)


def test_where_the_weights_are_missing_one_line_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(st_lpips_weights, "PACKAGE", "no_such_package")
    with pytest.raises(UsageError, match=r"stlpips-pytorch 0.0.2: pip install 'latcomp\[metrics\]'"):
        VideoComparison(metrics=("st-lpips",))


def test_other_weights_are_refused_unread(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "other_weights"
    path = package / st_lpips_weights.PLACE
    path.parent.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('it must not be imported')")
    path.write_bytes(b"not a pickle")
    monkeypatch.setattr(st_lpips_weights, "PACKAGE", package.name)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UsageError, match="is not the file of stlpips-pytorch"):
        st_lpips_weights.load_weights()
