"""Protects the metrics: they agree with closed forms and with a direct reading of the papers, and order what eyes
order.
"""

import time

import numpy as np
import pytest

from latcomp.errors import UsageError
from latcomp.metrics.comparison import VideoComparison
from latcomp.metrics.luma import PSNR_CAP_DB, luma, psnr
from latcomp.metrics.ssim import MS_SSIM_WEIGHTS, ms_ssim, scales_of, ssim

FIGURES = ["frames", "psnr_rgb", "psnr_y", "ssim_y", "ms_ssim_y", "bpp", "psnr_rgb_pooled", "psnr_y_pooled"]
KEYS = [*FIGURES, "vmaf", "xpsnr", "st_lpips", "per_frame"]


def texture(height: int = 240, width: int = 320, seed: int = 0) -> np.ndarray:
    """Luma with structure at many scales, roughly as a photograph has."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width))
    for size in (2, 4, 8, 16, 32):
        coarse = random.normal(0, 6 * np.sqrt(size), (height // size + 2, width // size + 2))
        image += np.kron(coarse, np.ones((size, size)))[:height, :width]
    return np.clip(image + 128, 16, 235).astype(np.float32)


def blurred(image: np.ndarray, passes: int) -> np.ndarray:
    for _ in range(passes):
        image = (
            image + np.roll(image, 1, 0) + np.roll(image, -1, 0) + np.roll(image, 1, 1) + np.roll(image, -1, 1)
        ) / 5
    return image


def slow_ssim(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """SSIM and contrast-structure as the paper writes them: float64, one window at a time."""
    a, b = a.astype(np.float64), b.astype(np.float64)
    offsets = np.arange(11) - 5
    g = np.exp(-(offsets**2) / (2 * 1.5**2))
    window = np.outer(g, g) / np.outer(g, g).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    full, contrast = [], []
    for y in range(a.shape[0] - 10):
        for x in range(a.shape[1] - 10):
            p, q = a[y : y + 11, x : x + 11], b[y : y + 11, x : x + 11]
            mp, mq = (window * p).sum(), (window * q).sum()
            vp, vq = (window * (p - mp) ** 2).sum(), (window * (q - mq) ** 2).sum()
            cov = (window * (p - mp) * (q - mq)).sum()
            cs = (2 * cov + c2) / (vp + vq + c2)
            contrast.append(cs)
            full.append(cs * (2 * mp * mq + c1) / (mp * mp + mq * mq + c1))
    return float(np.mean(full)), float(np.mean(contrast))


def test_equal_frames_are_perfect_and_finite() -> None:
    image = texture()
    assert psnr(image, image) == PSNR_CAP_DB == 100.0
    assert ssim(image, image) == 1.0
    assert ms_ssim(image, image) == 1.0


@pytest.mark.parametrize("sigma", [0.5, 2.0, 10.0])
def test_noise_of_known_variance_has_its_psnr(sigma: float) -> None:
    noise = np.random.default_rng(1).normal(0, sigma, (480, 854)).astype(np.float32)
    assert psnr(texture(480, 854) + noise, texture(480, 854)) == pytest.approx(20 * np.log10(255 / sigma), abs=0.02)


def test_a_constant_offset_has_its_psnr_and_ssim() -> None:
    rgb = np.full((32, 32, 3), 100, np.uint8)
    assert psnr(rgb, rgb + 5) == pytest.approx(20 * np.log10(255 / 5), abs=1e-4)
    flat = np.full((32, 32), 100, np.float32)
    c1 = (0.01 * 255) ** 2
    assert ssim(flat, flat + 20) == pytest.approx((2 * 100 * 120 + c1) / (100**2 + 120**2 + c1), abs=1e-5)


def test_uint8_differences_do_not_wrap_around() -> None:
    black, white = np.zeros((16, 16, 3), np.uint8), np.full((16, 16, 3), 255, np.uint8)
    assert psnr(black, white) == psnr(white, black) == 0.0


def test_ssim_is_what_the_paper_says() -> None:
    a = texture(34, 41)
    b = blurred(a, 1) + np.random.default_rng(2).normal(0, 6, a.shape).astype(np.float32)
    assert ssim(a, b) == pytest.approx(slow_ssim(a, b)[0], abs=2e-5)


def test_ms_ssim_is_what_the_paper_says() -> None:
    a = texture(176, 180)
    b = blurred(a, 2) + np.random.default_rng(2).normal(0, 6, a.shape).astype(np.float32)
    product, p, q = 1.0, a.astype(np.float64), b.astype(np.float64)
    for scale, weight in enumerate(MS_SSIM_WEIGHTS):
        full, contrast = slow_ssim(p, q)
        product *= (full if scale == 4 else contrast) ** weight
        height, width = p.shape[0] // 2 * 2, p.shape[1] // 2 * 2
        p, q = (v[:height, :width].reshape(height // 2, 2, width // 2, 2).mean((1, 3)) for v in (p, q))
    assert ms_ssim(a, b) == pytest.approx(product, abs=5e-5)


@pytest.mark.parametrize("metric", [ssim, ms_ssim, psnr])
def test_more_blur_and_more_noise_are_worse(metric) -> None:
    image = texture()
    by_blur = [metric(image, blurred(image, passes)) for passes in (0, 1, 2, 4, 8, 16)]
    assert by_blur == sorted(by_blur, reverse=True)
    noise = np.random.default_rng(3).normal(0, 1, image.shape).astype(np.float32)
    by_noise = [metric(image, image + sigma * noise) for sigma in (0, 1, 3, 9, 27)]
    assert by_noise == sorted(by_noise, reverse=True)
    assert metric(image, texture(seed=9)) < by_blur[-1]


@pytest.mark.parametrize("metric", [ssim, ms_ssim, psnr])
def test_distance_is_the_same_both_ways(metric) -> None:
    assert metric(texture(), blurred(texture(), 2)) == pytest.approx(metric(blurred(texture(), 2), texture()), abs=1e-5)


def test_at_equal_psnr_structure_is_seen() -> None:
    """A brighter picture looks right, a noisy one of the same error does not: what SSIM is for."""
    image = texture()
    noise = np.random.default_rng(4).choice([-8, 8], image.shape).astype(np.float32)
    assert psnr(image, image + 8) == pytest.approx(psnr(image, image + noise), abs=0.01)
    assert ssim(image, image + 8) > ssim(image, image + noise) + 0.1


@pytest.mark.parametrize(
    ("side", "scales"), [(1, 1), (10, 1), (21, 1), (22, 2), (44, 3), (88, 4), (175, 4), (176, 5), (480, 5)]
)
def test_small_frames_have_fewer_scales_and_stay_between_0_and_1(side: int, scales: int) -> None:
    assert scales_of(side, 1000) == scales_of(1000, side) == scales
    image = texture(side, 200)
    assert ms_ssim(image, image) == 1.0
    assert 0.0 <= ms_ssim(image, texture(side, 200, seed=5)) < 1.0
    assert -1.0 <= ssim(image, texture(side, 200, seed=5)) < 1.0


@pytest.mark.parametrize(("matrix", "red"), [(6, 0.299), (1, 0.2126), (9, 0.2627)])
def test_luma_follows_the_matrix(matrix: int, red: float) -> None:
    rgb = np.zeros((1, 3, 3), np.uint8)
    rgb[0, 0], rgb[0, 1] = (255, 0, 0), (255, 255, 255)
    assert luma(rgb, matrix)[0] == pytest.approx([16 + 219 * red, 235, 16], abs=1e-3)


def test_luma_without_a_matrix_goes_by_the_height() -> None:
    for height, matrix in ((719, 6), (720, 1)):
        rgb = np.zeros((height, 1, 3), np.uint8)
        rgb[..., 1] = 200
        assert np.array_equal(luma(rgb), luma(rgb, matrix))


def test_a_comparison_has_the_keys_of_the_contract() -> None:
    random = np.random.default_rng(6)
    frames = random.integers(0, 256, (4, 48, 64, 3)).astype(np.uint8)
    worse = [
        np.clip(f.astype(int) + random.integers(-k, k + 1, f.shape), 0, 255).astype(np.uint8)
        for k, f in enumerate(frames)
    ]
    comparison = VideoComparison()
    for a, b in zip(frames, worse, strict=True):
        comparison.add(a, b)
    result = comparison.result(size_bytes=48 * 64 * 4)
    assert list(result) == KEYS
    assert (result["frames"], result["bpp"]) == (4, 8.0)
    for name in KEYS[1:5]:
        assert len(result["per_frame"][name]) == 4
        assert result[name] == pytest.approx(np.mean(result["per_frame"][name]))
    assert result["per_frame"]["psnr_y"] == [psnr(luma(a), luma(b)) for a, b in zip(frames, worse, strict=True)]
    pooled = np.mean([((a.astype(float) - b) ** 2).mean() for a, b in zip(frames, worse, strict=True)])
    assert result["psnr_rgb_pooled"] == pytest.approx(10 * np.log10(255**2 / pooled), abs=1e-3)
    assert result["psnr_rgb_pooled"] < result["psnr_rgb"]  # the mean of a convex function
    assert VideoComparison.result(comparison)["bpp"] is None


def test_frames_of_other_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="cannot be compared"):
        VideoComparison().add(np.zeros((4, 4, 3), np.uint8), np.zeros((4, 5, 3), np.uint8))
    with pytest.raises(UsageError, match="no frame"):
        VideoComparison().result()


def test_a_480p_frame_takes_little_time() -> None:
    frames = np.random.default_rng(7).integers(0, 256, (2, 480, 854, 3)).astype(np.uint8)
    comparison = VideoComparison()
    comparison.add(*frames)
    best = 1e9
    for _ in range(5):
        start = time.thread_time()
        comparison.add(*frames)
        best = min(best, time.thread_time() - start)
    assert best < 0.15  # 16 ms on an idle core; slack for a busy one
