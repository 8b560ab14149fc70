"""Whether length costs anything: a made-up stream of hours through the two commands, with memory and speed over time.

Frames go into `latcomp encode` through a pipe as they are made and come out of `latcomp decode` through another, so
nothing but the .lat file grows, and what is watched are whole processes, start-up and all."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import IO, Any

import numpy as np

from latcomp.container import scan
from latcomp.errors import LatcompError, UsageError
from latcomp.report.camera import camera_dict

SCENE_SECONDS = 60  # a cut to another background after so many, so that a long stream has segments as films do
PAN_MAX = 64  # what the encoder follows
PANORAMA_CELL = 6  # pixels between two random grey levels of a panned background
SAMPLES = 200  # of memory and time, spread evenly over the frames
SEEK_BEFORE_END = 2.0  # seconds before the end of the stream at which the seek lands
SEEKS = 3
OnFrames = Callable[[str, int, int], None]
"""What is going on ('encode' or 'decode'), frames so far, and of how many."""


@dataclass(frozen=True)
class Stream:
    """A video made of arithmetic: a textured background that changes every minute, and a bright square that goes
    round.
    """

    width: int
    height: int
    frames: int
    rate: int
    """Frames per second."""
    pan: int = 0
    """Pixels by which the camera turns to the right from frame to frame, over a rough background without an end."""

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 16 or self.width % 2 or self.height % 2:
            raise UsageError(
                f"size {self.width}x{self.height} is out of range: choose even sides of 16 or more", settings=("size",)
            )
        if not 0 <= self.pan <= PAN_MAX:
            raise UsageError(f"a pan of {self.pan} pixels a frame is out of range: choose 0 to {PAN_MAX}")
        if self.frames < 1 or self.rate < 1:
            raise UsageError(f"{self.frames} frames at {self.rate} a second: choose 1 or more of both")

    @property
    def seconds(self) -> float:
        """How long it is."""
        return self.frames / self.rate

    def header(self) -> bytes:
        """The first line of it as yuv4mpeg."""
        return f"YUV4MPEG2 W{self.width} H{self.height} F{self.rate}:1 Ip A1:1 C420jpeg\n".encode()

    def pictures(self) -> Iterator[bytes]:
        """One frame after the other as yuv4mpeg."""
        y, x = np.mgrid[0 : self.height, 0 : self.width]
        chroma = bytes([128]) * (self.width * self.height // 2)
        side = max(4, min(self.width, self.height) // 4)
        round_trip = 8 * self.rate
        still = np.empty(0)
        for index in range(self.frames):
            scene, place = divmod(index, SCENE_SECONDS * self.rate)
            if place == 0:
                slope, wave = 40 + 37 * scene % 80, 3 + scene % 5
                still = (60 + slope * x / self.width + 20 * np.sin(y / wave)).astype(np.uint8)
            luma = self._panorama(scene, place) if self.pan else still.copy()
            turn = 2 * np.pi * (index % round_trip) / round_trip
            left = round((self.width - side) * (0.5 + 0.5 * np.cos(turn)))
            top = round((self.height - side) * (0.5 + 0.5 * np.sin(turn)))
            luma[top : top + side, left : left + side] = 225
            yield b"FRAME\n" + luma.tobytes() + chroma

    def _panorama(self, scene: int, place: int) -> np.ndarray:
        """What the camera shows of the scene's background, uint8 (height, width), `place` frames after its start."""
        left, cell = self.pan * place, PANORAMA_CELL
        first, last = left // cell, (left + self.width) // cell + 1
        columns = [
            np.random.default_rng([scene, column]).integers(40, 200, self.height // cell + 2)
            for column in range(first, last + 1)
        ]
        coarse = np.stack(columns, axis=1).astype(np.float32)
        y, x = np.arange(self.height) / cell, (left + np.arange(self.width)) / cell - first
        return _between(_between(coarse, y, 0), x, 1).astype(np.uint8)


def _between(values: np.ndarray, places: np.ndarray, axis: int) -> np.ndarray:
    """Values at places along an axis, in between by a straight line."""
    low = places.astype(int)
    part = (places - low).reshape([-1 if number == axis else 1 for number in range(values.ndim)])
    found: np.ndarray = (1 - part) * values.take(low, axis) + part * values.take(low + 1, axis)
    return found


@dataclass(frozen=True)
class Sample:
    """How far a process was at one moment."""

    frames: int
    seconds: float
    """Since it was started."""
    cpu_seconds: float
    """That it has worked, all threads together."""
    rss_bytes: int
    """Memory it holds."""


@dataclass(frozen=True)
class Passage:
    """One command over the whole stream."""

    samples: tuple[Sample, ...]
    seconds: float
    peak_bytes: int
    """The most memory it ever held."""

    def figures(self) -> dict[str, Any]:
        """Everything as JSON; `*_early` and `*_late` are of the second and the last tenth of the frames, None for short
        streams.
        """
        last = self.samples[-1]
        found: dict[str, Any] = {
            "seconds": self.seconds,
            "frames_per_second": last.frames / max(self.seconds, 1e-9),
            "peak_bytes": self.peak_bytes,
            "samples": [asdict(sample) for sample in self.samples],
        }
        for name, low, high in (("early", 0.1, 0.2), ("late", 0.9, 1.0)):
            part = [s for s in self.samples if low * last.frames <= s.frames <= high * last.frames]
            frames = part[-1].frames - part[0].frames if len(part) > 1 else 0
            cpu = part[-1].cpu_seconds - part[0].cpu_seconds if frames else 0.0
            found[f"rss_bytes_{name}"] = int(median(s.rss_bytes for s in part)) if frames else None
            found[f"cpu_seconds_a_frame_{name}"] = cpu / frames if frames else None
        return found


def measure(stream: Stream, quality: float, device: str = "auto", watch: OnFrames | None = None) -> dict[str, Any]:
    """Figures of one stream: `{frames, width, height, rate, pan, quality, bytes, pixels_per_frame, encode: {...},
    decode: {...}, seek: {...}}`; pixels_per_frame: the camera's speed as the file has it.

    Raises `UsageError` where this system does not tell the memory of a process, `LatcompError` when a command fails.
    """
    if not Path("/proc/self/statm").exists():
        raise UsageError("bench length reads the memory of processes from /proc, which this system does not have")
    with tempfile.TemporaryDirectory(prefix="latcomp-length-") as folder:
        lat = Path(folder) / "stream.lat"
        encoding = _encode(stream, lat, ["-Q", f"{quality:g}", "--device", device], watch)
        decoding = _decode(stream, lat, ["--device", device], watch)
        seek = _seek(stream, lat, Path(folder) / "part.mkv", device)
        return {
            "frames": stream.frames,
            "width": stream.width,
            "height": stream.height,
            "rate": stream.rate,
            "pan": stream.pan,
            "pixels_per_frame": _speed(lat),
            "quality": quality,
            "bytes": lat.stat().st_size,
            "encode": encoding.figures(),
            "decode": decoding.figures(),
            "seek": seek,
        }


def _speed(lat: Path) -> float:
    """Pixels that the camera of a file travels from frame to frame."""
    with lat.open("rb") as file:
        camera = camera_dict(scan(file))
    return float(camera["pixels_per_frame"]) if camera else 0.0


def _seek(stream: Stream, lat: Path, out: Path, device: str) -> dict[str, float]:
    """What decoding a second near the end takes, start-up and all: median over `SEEKS` runs of time and of processor
    time.
    """
    start = max(0.0, stream.seconds - SEEK_BEFORE_END)
    took, worked = [], []
    for _ in range(SEEKS):
        began = time.perf_counter()
        arguments = ["--start", f"{start:g}", "--duration", "1", "--device", device, "-q", "-f"]
        usage = _finish(_command("decode", str(lat), str(out), *arguments))
        took.append(time.perf_counter() - began)
        worked.append(usage.ru_utime + usage.ru_stime)
    return {"start_seconds": start, "seconds": median(took), "cpu_seconds": median(worked)}


def _encode(stream: Stream, lat: Path, settings: list[str], watch: OnFrames | None) -> Passage:
    process = _command("encode", "-", str(lat), "-q", *settings, stdin=subprocess.PIPE)
    meter = _Meter(process, "encode", stream.frames, watch)
    if process.stdin is None:
        raise LatcompError("the encoder has no standard input")
    try:
        with process.stdin as pipe:
            pipe.write(stream.header())
            for picture in stream.pictures():
                pipe.write(picture)
                meter.count()
    except BrokenPipeError:
        pass  # it has failed: its exit code and its message, which come below, say more
    return meter.passage()


def _decode(stream: Stream, lat: Path, settings: list[str], watch: OnFrames | None) -> Passage:
    process = _command("decode", str(lat), "-", "--format", "yuv4mpegpipe", "-q", *settings, stdout=subprocess.PIPE)
    meter = _Meter(process, "decode", stream.frames, watch)
    if process.stdout is None:
        raise LatcompError("the decoder has no standard output")
    size = len(b"FRAME\n") + stream.width * stream.height * 3 // 2
    with process.stdout as pipe:
        pipe.readline()
        while len(pipe.read(size)) == size:
            meter.count()
    passage = meter.passage()
    if meter.frames != stream.frames:
        raise LatcompError(f"{stream.frames} frames were encoded and {meter.frames} decoded")
    return passage


class _Meter:
    """Counts frames on one side of a process's pipe and looks at the process every so many."""

    def __init__(self, process: subprocess.Popen[bytes], name: str, frames: int, watch: OnFrames | None) -> None:
        self.frames = 0
        self._process, self._name, self._total, self._watch = process, name, frames, watch
        self._every = max(1, frames // SAMPLES)
        self._began = time.perf_counter()
        self._samples: list[Sample] = []

    def count(self) -> None:
        """One more frame went through."""
        self.frames += 1
        if self.frames % self._every == 0 or self.frames == self._total:
            self._look()

    def passage(self) -> Passage:
        """What was seen, when the process has ended. Raises `LatcompError` when it failed."""
        peak = _finish(self._process).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        seconds = time.perf_counter() - self._began
        if not self._samples:
            raise LatcompError(f"latcomp {self._name} let no frame through")
        return Passage(tuple(self._samples), seconds, peak)

    def _look(self) -> None:
        if self._watch is not None:
            self._watch(self._name, self.frames, self._total)
        try:
            held = int(Path(f"/proc/{self._process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
            # the name in brackets may hold spaces; user and system time are the 12th and 13th field behind it
            fields = Path(f"/proc/{self._process.pid}/stat").read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError, IndexError):
            return  # it has ended meanwhile
        if held:
            worked = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
            self._samples.append(Sample(self.frames, time.perf_counter() - self._began, worked, held))


def _command(
    *arguments: str, stdin: int | None = subprocess.DEVNULL, stdout: int | None = None
) -> subprocess.Popen[bytes]:
    """A latcomp command as a process of its own, whose messages are kept for `_finish`."""
    return subprocess.Popen(
        [sys.executable, "-m", "latcomp", *arguments], stdin=stdin, stdout=stdout, stderr=subprocess.PIPE
    )


def _finish(process: subprocess.Popen[bytes]) -> resource.struct_rusage:
    """What a process used, when it has ended. Raises `LatcompError` with its message when it failed."""
    said: list[bytes] = []
    listener = threading.Thread(target=_listen, args=(process.stderr, said), daemon=True)
    listener.start()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    listener.join()
    if process.returncode:
        raise LatcompError(
            b"".join(said).decode(errors="replace").strip() or f"latcomp ended with {process.returncode}"
        )
    return usage


def _listen(pipe: IO[bytes] | None, said: list[bytes]) -> None:
    if pipe is not None:
        with pipe:
            said.append(pipe.read())
