"""An ffmpeg program that has libvmaf, which wheels of PyAV do not: found, and called, never linked."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = "imageio_ffmpeg"  # its wheels hold a whole ffmpeg
_SECONDS = 60  # for a program to list its filters, on a busy machine


def find_ffmpeg(name: str) -> Path | None:
    """The first ffmpeg that has this filter: that of the package imageio-ffmpeg, then the one on PATH; None without."""
    return next((program for program in _programs() if name in _filters_of(program)), None)


def _programs() -> Iterator[Path]:
    if importlib.util.find_spec(PACKAGE) is not None:
        import imageio_ffmpeg

        with contextlib.suppress(RuntimeError):  # a wheel without a program, as on rare platforms
            yield Path(imageio_ffmpeg.get_ffmpeg_exe()).resolve()
    found = shutil.which("ffmpeg")
    if found is not None:
        yield Path(found).resolve()


@cache
def _filters_of(program: Path) -> frozenset[str]:
    """Names of the filters that a program has; none for one that does not run."""
    command = [str(program), "-hide_banner", "-nostdin", "-filters"]
    try:
        told = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return frozenset()
    words = [line.split() for line in told.splitlines()]  # flags, name, inputs->outputs, what it does
    return frozenset(line[1] for line in words if len(line) > 2 and "->" in line[2])
