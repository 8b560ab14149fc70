"""VMAF v0.6.1 of luma, by Netflix's libvmaf: 0 to 100, the higher the better.

Z. Li, A. Aaron, I. Katsavounidis, A. Moorthy, M. Manohara, "Toward a Practical Perceptual Video Quality Metric", 2016.
It runs inside this process where the FFmpeg of PyAV has the filter, else in an ffmpeg program, which gets the luma of
both videos through one pipe. A video against itself gets nearly 100, not 100: less where little moves."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from fractions import Fraction
from pathlib import Path
from typing import IO

import numpy as np

from latcomp.errors import OutputError, UsageError
from latcomp.metrics.ffmpeg_program import find_ffmpeg
from latcomp.metrics.filters import LUMA_TO_PLANES, PairFilter, has_filter
from latcomp.metrics.meter import FramePair, Measured, Meter, check_size

FILTER = "libvmaf"
MODEL = "version=vmaf_v0.6.1"
_THREADS_MOST = 8
_LOG = "vmaf.json"


def check_vmaf() -> None:
    """Raise `UsageError`, with how to get it, when neither PyAV nor a program has libvmaf."""
    if not has_filter(FILTER) and find_ffmpeg(FILTER) is None:
        raise UsageError("vmaf needs an ffmpeg that has libvmaf, on PATH or by: pip install 'latcomp[metrics]'")


def new_vmaf() -> Meter:
    """What measures VMAF here. Raises `UsageError` as `check_vmaf`."""
    if has_filter(FILTER):
        return VmafInProcess()
    check_vmaf()
    program = find_ffmpeg(FILTER)
    return VmafProgram(Path("ffmpeg") if program is None else program)


class VmafInProcess:
    """Measures VMAF by the filter of PyAV's own FFmpeg."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(
            prefix="latcomp-"
        )  # for the filter's log, a few hundred bytes a frame
        self._log = Path(self._folder.name) / _LOG
        self._filter = PairFilter(FILTER, _options(str(self._log)), Fraction(25), grey=False)
        self._frames = 0

    def add(self, pair: FramePair) -> None:
        """Take the next frame. Raises `UsageError` when it is too small."""
        if self._frames == 0:
            check_size("vmaf", pair.reference_y)
        self._frames += 1
        for _ in self._filter.push(pair.test_y, pair.reference_y):
            pass  # its figures go to the log

    def finish(self) -> Measured:
        """VMAF of the video, the mean of its frames, and of each."""
        for _ in self._filter.end():
            pass
        self._filter.close()
        return read_log(self._log)

    def close(self) -> None:
        """Free the filter and its log."""
        self._filter.close()
        self._folder.cleanup()


class VmafProgram:
    """Measures VMAF by an ffmpeg program: both videos' luma, one above the other, goes to its standard input."""

    def __init__(self, program: Path) -> None:
        self._program = program
        self._folder = tempfile.TemporaryDirectory(prefix="latcomp-")  # for its log and messages
        self._process: subprocess.Popen[bytes] | None = None
        self._messages: IO[bytes] | None = None

    def add(self, pair: FramePair) -> None:
        """Take the next frame. Raises `UsageError` when it is too small, `OutputError` when the program has ended."""
        if self._process is None:
            check_size("vmaf", pair.reference_y)
            self._start(*pair.reference_y.shape)
        try:
            for plane in (pair.test_y, pair.reference_y):
                self._pipe.write(np.ascontiguousarray(plane).data)
        except BrokenPipeError:
            self._fail()

    def finish(self) -> Measured:
        """VMAF of the video, the mean of its frames, and of each. Raises `OutputError` when the program fails."""
        if self._process is None:
            raise UsageError("there is no frame to compare")
        try:
            self._pipe.close()
        except BrokenPipeError:
            self._fail()
        if self._process.wait() != 0:
            self._fail()
        return read_log(Path(self._folder.name) / _LOG)

    def close(self) -> None:
        """End the program if it still runs, and remove its log."""
        if self._process is not None:
            self._process.kill()
            with contextlib.suppress(BrokenPipeError):
                self._pipe.close()
            self._process.wait()
        if self._messages is not None:
            self._messages.close()
        self._folder.cleanup()

    @property
    def _pipe(self) -> IO[bytes]:
        if self._process is None or self._process.stdin is None:
            raise OutputError(f"{self._program} has not been started")
        return self._process.stdin

    def _start(self, height: int, width: int) -> None:
        settings = ":".join(f"{name}={value}" for name, value in _options(_LOG).items())
        # grey throughout: nothing is converted, so the planes that are measured are those that were written
        graph = (
            f"[0:v]split[a][b];[a]crop={width}:{height}:0:0,{LUMA_TO_PLANES}[test];"
            f"[b]crop={width}:{height}:0:{height},{LUMA_TO_PLANES}[reference];[test][reference]{FILTER}={settings}"
        )
        source = ["-f", "rawvideo", "-pix_fmt", "gray", "-video_size", f"{width}x{2 * height}", "-i", "pipe:0"]
        command = [str(self._program), "-hide_banner", "-loglevel", "error", *source]
        self._messages = (Path(self._folder.name) / "messages.txt").open("w+b")
        self._process = subprocess.Popen(
            [*command, "-filter_complex", graph, "-f", "null", "-"],
            cwd=self._folder.name,  # a path of the log could hold what filters take for their own signs
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=self._messages,
        )

    def _fail(self) -> None:
        """Raise `OutputError` with the program's own words."""
        code = None if self._process is None else self._process.wait()
        said = ""
        if self._messages is not None:
            self._messages.seek(0)
            said = self._messages.read().decode(errors="replace").strip().partition("\n")[0]
        raise OutputError(f"vmaf: {self._program} ended with {code}: {said or 'it did not say why'}")


def _options(log: str) -> dict[str, str]:
    """Options of the filter."""
    threads = min(_THREADS_MOST, os.cpu_count() or 1)
    return {"model": MODEL, "log_fmt": "json", "log_path": log, "n_threads": str(threads)}


def read_log(path: Path) -> Measured:
    """The figures of a log that libvmaf wrote as JSON. Raises `OutputError` when it holds none."""
    try:
        frames = json.loads(path.read_text(encoding="utf-8"))["frames"]
        found = [float(frame["metrics"]["vmaf"]) for frame in frames]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"vmaf: libvmaf wrote no figures: {error}") from None
    return Measured(float(np.mean(found)), list(found))
