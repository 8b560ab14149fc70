"""How fast clips are encoded and decoded, where the time goes, and what memory it takes.

Two kinds of runs: in one process whose models are loaded and whose caches are warm, and as whole commands with their
start-up. Shares of the stages come from a run of their own, since a clock that waits for a GPU at every boundary slows
it down."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

import torch

from latcomp import __version__
from latcomp.bench.speed.once import decode_once, decoder_for, encode_once, seconds_of
from latcomp.bench.speed.start_up import measure_start_up
from latcomp.bench.speed.whole_process import WholeRun, program, run_whole
from latcomp.codec.encode import Encoder
from latcomp.codec.settings import DEFAULT_QUALITY, EncodeSettings
from latcomp.container.coding.prior.network import macs
from latcomp.errors import UsageError
from latcomp.inpaint.config import lit_macs_per_token
from latcomp.models import macs_per_pixel
from latcomp.report.stats import stats_dict
from latcomp.stages import StageClock
from latcomp.video import Frame, open_video

REPEATS = 3
DIRECTIONS = ("encode", "decode")
Watcher = Callable[[str], None]
"""Called with what is being measured now, in a few words."""


@dataclass(frozen=True)
class SpeedSettings:
    """What to measure. Raises `UsageError` for values out of range."""

    quality: float = DEFAULT_QUALITY
    repeats: int = REPEATS
    """Runs of each kind."""
    frames: int | None = None
    """At most so many of each clip; None for all."""
    tokenizer: str | Path | None = None
    device: str = "auto"
    camera: str = "auto"
    against: str | None = None
    """A command that runs another release of latcomp, which whole processes are compared with, one after the other in
    turn; both at their defaults, but for quality and device."""

    def __post_init__(self) -> None:
        EncodeSettings(quality=self.quality, camera=self.camera)
        if self.against is not None:
            program(self.against)
        if self.repeats < 1 or (self.frames is not None and self.frames < 1):
            raise UsageError(f"{self.repeats} runs over {self.frames} frames: choose 1 or more of both")


@dataclass(frozen=True)
class _Runs:
    """One direction of one clip: seconds of the warm runs, whole commands, and one warm run under a clock."""

    warm: list[float]
    whole: list[WholeRun]
    staged_seconds: float
    clock: StageClock
    device_peak_bytes: int | None
    against: list[WholeRun]
    """Whole commands of the other release, each after one of this; none where there is no other."""

    def figures(self, frames: int) -> dict[str, Any]:
        """See `SpeedBench.figures`."""
        total = sum(self.clock.seconds.values())
        whole = [run.seconds for run in self.whole]
        return {
            "in_process": {"frames_per_second": _spread([frames / taken for taken in self.warm]), "seconds": self.warm},
            "whole_process": {
                "frames_per_second": _spread([frames / taken for taken in whole]),
                "seconds": whole,
                "cpu_seconds": [run.cpu_seconds for run in self.whole],
                "peak_bytes": max(run.peak_bytes for run in self.whole),
            },
            "against": self._against(frames) if self.against else None,
            "device_peak_bytes": self.device_peak_bytes,
            "stages": {
                "wall_seconds": self.staged_seconds,
                "seconds": dict(self.clock.seconds),
                "shares": {name: taken / max(total, 1e-9) for name, taken in self.clock.seconds.items()},
            },
        }

    def _against(self, frames: int) -> dict[str, Any]:
        pairs = list(zip(self.whole, self.against, strict=True))
        return {
            "frames_per_second": _spread([frames / run.seconds for run in self.against]),
            "seconds": [run.seconds for run in self.against],
            "cpu_seconds": [run.cpu_seconds for run in self.against],
            "peak_bytes": max(run.peak_bytes for run in self.against),
            "times_as_fast": _spread([other.seconds / own.seconds for own, other in pairs]),
        }


def _spread(values: Sequence[float]) -> dict[str, float]:
    return {"minimum": min(values), "median": median(values), "maximum": max(values)}


class SpeedBench:
    """Measures clips one after the other. Raises what `Encoder` raises: `UsageError`, `DeviceError`."""

    def __init__(self, settings: SpeedSettings) -> None:
        self.settings = settings
        chosen = EncodeSettings(quality=settings.quality, camera=settings.camera)
        self.encoder = Encoder(chosen, settings.tokenizer, settings.device)
        self.other = None if settings.against is None else program(settings.against)
        self.device = self.encoder.device
        self.clips: list[dict[str, Any]] = []
        self.start_up: dict[str, Any] | None = None
        """See `measure_start_up`; measured on the first clip."""

    def run(self, clip: Path, watch: Watcher | None = None) -> int:
        """Measure one clip; gives the number of timed runs. Raises what encoding and decoding raise."""
        say = watch or (lambda text: None)
        duration = None if self.settings.frames is None else _seconds_of(clip, self.settings.frames)
        with tempfile.TemporaryDirectory(prefix="latcomp-speed-") as folder:
            lat, out = Path(folder) / "clip.lat", Path(folder) / "clip.mkv"
            say(f"{clip.stem}: warm-up")
            stats = stats_dict(encode_once(self.encoder, clip, duration, lat))
            frames = int(stats["frames"])
            other = Path(folder) / "other.lat"
            encoding = self._runs(
                lambda: encode_once(self.encoder, clip, duration, lat),
                self._encode_command(clip, duration, lat, ["--camera", self.settings.camera]),
                self._encode_command(clip, duration, other),
                "encode",
                clip,
                say,
            )
            decoder = decoder_for(self.encoder, lat)
            decode_once(self.encoder, lat, decoder, out)
            decoding = self._runs(
                lambda: decode_once(self.encoder, lat, decoder, out),
                self._decode_command(lat, out),
                self._decode_command(other, out),
                "decode",
                clip,
                say,
            )
            started = 0
            if self.start_up is None:
                say(f"{clip.stem}: start-up")
                one_frame = self._encode_command(clip, _seconds_of(clip, 1), lat)
                self.start_up = measure_start_up(one_frame, self._decode_command(lat, out), self.settings.repeats)
                started = 3 * self.settings.repeats
        self.clips.append(
            {
                "clip": clip.stem,
                "frames": frames,
                "width": stats["width"],
                "height": stats["height"],
                "keep_ratio": stats["keep_ratio"],
                "bpp": stats["bpp"],
                "prior_macs_per_pixel": self._prior_macs(stats["keep_ratio"]),
                "encode": encoding.figures(frames),
                "decode": decoding.figures(frames),
            }
        )
        return started + sum(len(part.warm) + len(part.whole) + len(part.against) for part in (encoding, decoding))

    def figures(self) -> dict[str, Any]:
        """The figures so far.

        - `version`, `device`, `device_name` (of a GPU, else None), `threads` (PyTorch's, on the CPU), `quality`,
          `tokenizer`, `repeats`, `camera`, `against` (the command of the other release)
        - `macs_per_pixel`: multiply-adds per pixel, `{tokenizer_encoder, tokenizer_decoder, lit, prior}`, None for a
          model that is not there. The LIT runs in the groups it fills, and for the encoder's choice. The prior runs
          once to read a file and once to write one, and less where tokens are dropped: the figure is that of a clip
          that keeps them all
        - `start_up`: whole commands over one frame, and a process that imports PyTorch alone: see `measure_start_up`
        - `clips`: of each `clip, frames, width, height, keep_ratio, bpp, prior_macs_per_pixel` (at its own keep ratio),
          and for `encode` and `decode` (to H.264 in Matroska):
            - `in_process`: `frames_per_second {minimum, median, maximum}` and `seconds` of each run, models loaded,
              after one warm-up run
            - `whole_process`: the same of whole commands, start-up and all, `cpu_seconds` of each and `peak_bytes` of
              the host's memory
            - `against`: the same of the other release's whole commands, each run after one of this, and
              `times_as_fast` {minimum, median, maximum}: how many times as fast as it this release was, pair by pair;
              None where nothing was compared
            - `device_peak_bytes`: most memory that tensors took on the GPU in the runs in one process; None on a CPU
            - `stages`: of one more run in one process: `wall_seconds`, `seconds` by stage, those that took no time left
              out, and `shares` of their sum. Stages overlap in threads, so the sum may be more than the wall time, and
              less where work is between the stages. With a GPU the clock waits for it at every boundary: that run is
              slower than the others
        """
        encoder, decoder = macs_per_pixel(self.encoder.folder)
        spec, lit = self.encoder.tokenizer.spec, self.encoder.lit
        gpu = self.device.type == "cuda"
        return {
            "version": __version__,
            "device": str(self.device),
            "device_name": torch.cuda.get_device_name(self.device) if gpu else None,
            "threads": torch.get_num_threads(),
            "quality": self.settings.quality,
            "tokenizer": spec.name,
            "repeats": self.settings.repeats,
            "camera": self.settings.camera,
            "against": self.settings.against,
            "macs_per_pixel": {
                "tokenizer_encoder": encoder,
                "tokenizer_decoder": decoder,
                "lit": lit and lit_macs_per_token(lit.config) / spec.pixels_per_token,
                "prior": self._prior_macs(1.0),
            },
            "start_up": self.start_up,
            "clips": self.clips,
        }

    def _prior_macs(self, keep_ratio: float) -> float | None:
        if self.encoder.prior is None:
            return None
        position, token = macs(self.encoder.prior.arrays)
        return (position + keep_ratio * token) / self.encoder.tokenizer.spec.pixels_per_token

    def _runs(
        self, once: Callable[[], Any], command: list[str], other: list[str], name: str, clip: Path, say: Watcher
    ) -> _Runs:
        """All runs of one direction; `once` was called before. other: the command for the other release."""
        gpu = self.device.type == "cuda"
        if gpu:
            torch.cuda.reset_peak_memory_stats(self.device)
        say(f"{clip.stem}: {name} in one process")
        warm = [seconds_of(once) for _ in range(self.settings.repeats)]
        peak = torch.cuda.max_memory_allocated(self.device) if gpu else None
        say(f"{clip.stem}: stages of {name}")
        with StageClock(self.device) as clock:
            staged = seconds_of(once)
        say(f"{clip.stem}: {name} as a whole process")
        whole, against = [], []
        for _ in range(self.settings.repeats):
            whole.append(run_whole(*command))
            if self.other is not None:
                against.append(run_whole(*other, command=self.other))
        return _Runs(warm, whole, staged, clock, peak, against)

    def _encode_command(self, clip: Path, duration: float | None, lat: Path, own: Sequence[str] = ()) -> list[str]:
        found = [
            "encode",
            str(clip),
            str(lat),
            "-f",
            "-q",
            "-Q",
            f"{self.settings.quality!r}",
            "--device",
            self.settings.device,
            *own,
        ]
        if self.settings.tokenizer is not None:
            found += ["--tokenizer", str(self.settings.tokenizer)]
        return found if duration is None else [*found, "--duration", f"{duration!r}"]

    def _decode_command(self, lat: Path, out: Path) -> list[str]:
        found = ["decode", str(lat), str(out), "-f", "-q", "--device", self.settings.device]
        return found if self.settings.tokenizer is None else [*found, "--tokenizer", str(self.encoder.folder)]


def _seconds_of(clip: Path, frames: int) -> float | None:
    """The time from a clip's first frame to the one behind so many frames; None when it has no more. Raises
    `NotAVideoError`.
    """
    with open_video(clip, audio=False, deinterlace=False) as reader:
        times = [item.pts for item in islice((item for item in reader if isinstance(item, Frame)), frames + 1)]
        return float((times[-1] - times[0]) * reader.info.time_base) if len(times) > frames else None
