"""The metrics that a comparison can be asked for by name. Imports nothing heavy: help and completion list them."""

from __future__ import annotations

from collections.abc import Iterable

from latcomp.errors import UsageError

METRICS = {
    "psnr": "of luma and of RGB, in dB",
    "ssim": "of luma",
    "ms-ssim": "of luma, on five scales",
    "vmaf": "VMAF v0.6.1 of luma, by libvmaf",
    "xpsnr": "XPSNR of luma in dB, by FFmpeg",
    "st-lpips": "shift-tolerant LPIPS with AlexNet, of a few frames",
}
DEFAULT_METRICS = ("psnr", "ssim", "ms-ssim")
"""What is measured unless something is asked for."""
FURTHER_METRICS = ("vmaf", "xpsnr", "st-lpips")
"""What is measured only when it is asked for: it is slow, or needs what not every installation has."""
MEMBERS = {"vmaf": "vmaf", "xpsnr": "xpsnr", "st-lpips": "st_lpips"}
"""Keys of the further metrics in figures."""
DEFAULT_ST_LPIPS_FRAMES = 4
"""Frames of a video that ST-LPIPS is measured on: one of 480p takes a processor core seconds."""


def metrics_of(names: str | Iterable[str], known: Iterable[str] = tuple(METRICS)) -> tuple[str, ...]:
    """The metrics of a list, or of a text with commas, each once and in the order of `known`.

    Raises `UsageError` for an empty list and for names that are not known."""
    given = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    unknown = [name for name in given if name not in known]
    if unknown or not given:
        named = ", ".join(f"{name!r:.60}" for name in unknown)
        raise UsageError(
            f"metrics {named or 'list is empty'}{' unknown' if named else ''}: choose from {', '.join(known)}",
            settings=("metrics",),
        )
    return tuple(name for name in known if name in given)
