"""Luma of RGB frames and the PSNR of two of them.

Luma is on the scale a video stores, 16 to 235, with peak 255, so that PSNR-Y is what `ffmpeg -lavfi psnr` says of the
stored planes; the full scale of 0 to 255 would read 1.3 dB lower."""

from __future__ import annotations

import numpy as np

from latcomp.errors import UsageError

PSNR_CAP_DB = 100.0
"""What frames without any difference count as: a mean over frames must stay finite."""

# Red and blue weights of luma by FFmpeg's number of the matrix; green is the rest.
_LUMA_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
}


def luma(rgb: np.ndarray, matrix: int | None = None) -> np.ndarray:
    """Return float32 luma (H, W) of a uint8 RGB frame (H, W, 3), black 16 and white 235.

    `matrix` is FFmpeg's number, as in ColorTags; None: BT.601 below 720 lines and BT.709 from there.
    """
    height, width = rgb.shape[:2]
    if matrix not in _LUMA_WEIGHTS:
        matrix = 6 if height < 720 else 1
    red, blue = _LUMA_WEIGHTS[matrix]
    weights = np.array([red, 1 - red - blue, blue], np.float32) * np.float32(219 / 255)
    return (rgb.reshape(-1, 3).astype(np.float32) @ weights + np.float32(16)).reshape(height, width)


def stored_luma(values: np.ndarray) -> np.ndarray:
    """Return luma of `luma` (H, W) as uint8, as a video stores it."""
    stored: np.ndarray = np.rint(values).astype(np.uint8)
    return stored


def mse(reference: np.ndarray, test: np.ndarray) -> float:
    """Return the mean squared error of two arrays of one shape, whatever it is; UsageError when shapes differ."""
    if reference.shape != test.shape:
        raise UsageError(f"frames of shape {reference.shape} and {test.shape} cannot be compared")
    difference = np.subtract(reference, test, dtype=np.float32).ravel()
    return float(np.dot(difference, difference)) / int(difference.size)


def psnr_of_mse(error: float) -> float:
    """Return decibels for a mean squared error with peak 255, at most PSNR_CAP_DB."""
    return PSNR_CAP_DB if error <= 0 else min(PSNR_CAP_DB, float(10 * np.log10(255.0**2 / error)))


def psnr(reference: np.ndarray, test: np.ndarray) -> float:
    """Return the PSNR of two uint8 RGB frames or two luma arrays in dB, at most PSNR_CAP_DB."""
    return psnr_of_mse(mse(reference, test))
