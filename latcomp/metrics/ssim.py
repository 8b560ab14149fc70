"""SSIM and MS-SSIM of two luma pictures, in numpy."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from latcomp.errors import UsageError

# Wang, Simoncelli, Bovik 2003: exponents of the five scales, the full size first.
MS_SSIM_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
_BLOCK = 16  # columns filtered by one matrix product; measured: 8 to 32 are alike, larger ones multiply too many zeros


def ssim(reference: np.ndarray, test: np.ndarray) -> float:
    """Return the mean SSIM of two luma arrays (H, W): 1 for equal ones, near 0 or below for unrelated ones.

    Wang et al. 2004: gaussian window of 11x11 with sigma 1.5, only where it lies inside the frame; a side shorter than
    the window gets the part of it that fits."""
    return _ssim_and_contrast(*_centred(reference, test))[0]


def ms_ssim(reference: np.ndarray, test: np.ndarray) -> float:
    """Return the MS-SSIM of two luma arrays (H, W), 0 to 1.

    Five scales halved by 2x2 means. A frame whose shorter side has fewer than 176 pixels has no room for the window in
    all of them: it is measured on fewer scales, their exponents scaled to sum to 1, and its values are not those of
    five."""
    return ssim_and_ms_ssim(reference, test)[1]


def ssim_and_ms_ssim(reference: np.ndarray, test: np.ndarray) -> tuple[float, float]:
    """Return SSIM and MS-SSIM together: the first is the full scale of the second."""
    a, b = _centred(reference, test)
    scales = scales_of(*a.shape)
    weights = np.array(MS_SSIM_WEIGHTS[:scales]) / sum(MS_SSIM_WEIGHTS[:scales])
    full, product = 0.0, 1.0
    for scale in range(scales):
        similarity, contrast = _ssim_and_contrast(a, b)
        if scale == 0:
            full = similarity
        factor = similarity if scale == scales - 1 else contrast
        product *= max(0.0, factor) ** float(
            weights[scale]
        )  # a negative mean has no real root: it counts as nothing alike
        if scale < scales - 1:
            a, b = _halved(a), _halved(b)
    return full, product


def scales_of(height: int, width: int) -> int:
    """Return how many of the five scales a frame of this size is measured on: the window must fit the smallest one."""
    fitting = sum(min(height, width) >> scale >= _WINDOW for scale in range(len(MS_SSIM_WEIGHTS)))
    return max(1, fitting)


def _centred(reference: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return both as float32 less 128: variances are differences of squares, and small squares keep more digits."""
    if reference.shape != test.shape or reference.ndim != 2:
        raise UsageError(f"luma of shape {reference.shape} and {test.shape} cannot be compared")
    return np.subtract(reference, 128, dtype=np.float32), np.subtract(test, 128, dtype=np.float32)


def _ssim_and_contrast(a: np.ndarray, b: np.ndarray) -> tuple[float, float]:
    """Return the means of SSIM and of its contrast-structure part, for two luma arrays less 128."""
    mean_a, mean_b, squares, products = _blurred(np.stack([a, b, a * a + b * b, a * b]))
    mean_squares = mean_a * mean_a + mean_b * mean_b
    mean_products = mean_a * mean_b
    contrast = (2 * (products - mean_products) + _C2) / (squares - mean_squares + _C2)
    # Luminance needs the means themselves, not those less 128.
    shifted = 128 * (mean_a + mean_b) + 128**2
    luminance = (2 * (mean_products + shifted) + _C1) / (mean_squares + 2 * shifted + _C1)
    return float((luminance * contrast).mean(dtype=np.float64)), float(contrast.mean(dtype=np.float64))


def _halved(image: np.ndarray) -> np.ndarray:
    """Return means of 2x2 pixels; a last odd row or column is left out."""
    height, width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
    found: np.ndarray = image[:height, :width].reshape(height // 2, 2, width // 2, 2).mean(axis=(1, 3))
    return found


def _blurred(images: np.ndarray) -> np.ndarray:
    """Return images (N, H, W) under the gaussian window, only where it fits: (N, H - 10, W - 10) for larger sides.

    Each direction is a product with a band matrix, block by block: three times as fast as adding shifted copies.
    """
    count, height, width = images.shape
    taps = _band(min(_WINDOW, width))
    reach = taps.shape[0] - _BLOCK
    across = np.empty((count, height, width - reach), np.float32)
    for left in range(0, width - reach, _BLOCK):
        size = min(_BLOCK, width - reach - left)
        across[:, :, left : left + size] = images[:, :, left : left + size + reach] @ taps[: size + reach, :size]
    taps = np.ascontiguousarray(_band(min(_WINDOW, height)).T)
    reach = taps.shape[1] - _BLOCK
    down = np.empty((count, height - reach, across.shape[2]), np.float32)
    for top in range(0, height - reach, _BLOCK):
        size = min(_BLOCK, height - reach - top)
        np.matmul(taps[:size, : size + reach], across[:, top : top + size + reach], out=down[:, top : top + size])
    return down


@lru_cache
def _band(window: int) -> np.ndarray:
    """Return the matrix (BLOCK + window - 1, BLOCK) whose columns are the gaussian window, each one row lower."""
    offsets = np.arange(window) - (window - 1) / 2
    gaussian = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    gaussian /= gaussian.sum()
    band = np.zeros((_BLOCK + window - 1, _BLOCK), np.float32)
    for column in range(_BLOCK):
        band[column : column + window, column] = gaussian
    return band
