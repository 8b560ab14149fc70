"""Rate and distortion of latcomp beside other codecs, clip by clip: the same frames in, the same metrics out."""

from __future__ import annotations

import io
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from latcomp import __version__, models
from latcomp.bench.rd import rivals
from latcomp.bench.rd.figures import MEAN, RdRow, figures_of
from latcomp.bench.rd.source import SourceClip, read_clip
from latcomp.codec.settings import EncodeSettings
from latcomp.errors import OutputError, UsageError
from latcomp.metrics.choice import DEFAULT_ST_LPIPS_FRAMES, FURTHER_METRICS, MEMBERS, metrics_of
from latcomp.metrics.comparison import VideoComparison
from latcomp.metrics.meter import check_at_hand

if TYPE_CHECKING:
    from latcomp.bench.rd.latents import LatentBench

LATCOMP = "latcomp"
CODECS = (LATCOMP, *rivals.RIVALS, "raw-fp16", "int8-zstd")
QUALITIES = (1.0, 3.0, 5.0, 7.0, 9.0)

Watcher = Callable[[str], None]
"""Called with what is being measured now, in a few words."""


@dataclass(frozen=True)
class RdSettings:
    """What to measure. Raises `UsageError` for unknown codecs and metrics, values out of range, and metrics that need
    what is not there.
    """

    codecs: tuple[str, ...] = CODECS
    qualities: tuple[float, ...] = QUALITIES
    """Of latcomp."""
    square: int | None = None
    """Scale clips to this shorter side and cut the square out of their middle."""
    at: tuple[float, ...] = ()
    """Bits per pixel at which qualities are read off the curves."""
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Names of clips over which there are means of their own."""
    tokenizer: str | Path | None = None
    device: str = "auto"
    metrics: tuple[str, ...] = ()
    """What to measure beside PSNR and MS-SSIM: names of `FURTHER_METRICS`."""
    st_lpips_frames: int = DEFAULT_ST_LPIPS_FRAMES
    """Frames of a clip that ST-LPIPS is measured on, 0 for all."""

    def __post_init__(self) -> None:
        unknown = [name for name in self.codecs if name not in CODECS]
        if unknown or not self.codecs:
            raise UsageError(f"codec {', '.join(unknown) or 'list'} is not known: choose from {', '.join(CODECS)}")
        for quality in self.qualities:
            EncodeSettings(quality=quality)
        if not all(0 < rate < np.inf for rate in self.at):
            raise UsageError("at takes bits per pixel above 0, such as 0.03,0.05,0.07", settings=("at",))
        if self.metrics:
            metrics_of(self.metrics, FURTHER_METRICS)
        check_at_hand(self.metrics)


class RdBench:
    """Measures clips one after the other; `figures` holds all that were measured so far.

    Raises `UsageError` for clips of one name, and for groups of clips that are not among them. Codecs that this PyAV
    lacks are left out; `missing` names them."""

    def __init__(self, clips: Sequence[Path], settings: RdSettings) -> None:
        names = [clip.stem for clip in clips]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice or MEAN in names:
            raise UsageError(f"clips are told apart by name, and {', '.join(twice) or MEAN} is taken: rename a clip")
        for group, members in settings.groups.items():
            strange = [name for name in members if name not in names]
            if strange or not members:
                raise UsageError(f"group {group} names {', '.join(strange) or 'no clip'}, which is not among the clips")
        self.settings = settings
        self.missing = [name for name in settings.codecs if name in rivals.RIVALS and not rivals.RIVALS[name].at_hand]
        self.codecs = [name for name in settings.codecs if name not in self.missing]
        self.rows: list[RdRow] = []
        self.sources: dict[str, dict[str, Any]] = {}
        self._latents: LatentBench | None = None

    def run(self, path: Path, watch: Watcher | None = None) -> dict[str, float]:
        """Measure one clip with every codec; returns the seconds each took, measuring included."""
        seconds: dict[str, float] = {}
        with tempfile.TemporaryDirectory(prefix="latcomp-") as folder:
            clip = read_clip(path, Path(folder), self.settings.square)
            self.sources[clip.name] = {
                "frames": len(clip.rgb),
                "width": clip.width,
                "height": clip.height,
                "fps": float(clip.rate),
            }
            found = []
            for codec in self.codecs:
                began = time.perf_counter()
                for row in self._rows(codec, clip, watch or _ignore):
                    found.append(row)
                seconds[codec] = time.perf_counter() - began
        self.rows += found
        return seconds

    def figures(self) -> dict[str, Any]:
        """What `bench rd --json` prints, of the clips measured so far."""
        settings = self.settings
        return {
            "version": __version__,
            "square": settings.square,
            "sources": self.sources,
            **figures_of(self.rows, LATCOMP, settings.groups, settings.at),
        }

    def _rows(self, codec: str, clip: SourceClip, watch: Watcher) -> Iterator[RdRow]:
        if codec == LATCOMP:
            for quality in self.settings.qualities:
                watch(f"{clip.name}: {codec} -Q {quality:g}")
                yield self._latcomp(clip, quality)
        elif codec in rivals.RIVALS:
            for crf in rivals.RIVALS[codec].crfs:
                watch(f"{clip.name}: {codec} crf {crf}")
                yield self._rival(clip, rivals.RIVALS[codec], crf)
        else:
            watch(f"{clip.name}: {codec}")
            yield self._latent(clip, codec)

    def _latcomp(self, clip: SourceClip, quality: float) -> RdRow:
        from latcomp.codec.decode import decode_frames
        from latcomp.codec.encode import encode

        settings = self.settings
        file = io.BytesIO()
        result = encode(
            clip.path, file, quality=quality, audio=False, device=settings.device, tokenizer=settings.tokenizer
        )
        file.seek(0)
        folder = models.find_tokenizer(settings.tokenizer)
        clock = Clock(frame.pixels for frame in decode_frames(file, device=settings.device, tokenizer=folder))
        preset = str(result.stats["tokenizer"]["name"])
        bpp, seconds = result.stats["bpp"], result.encode_seconds
        return measured(clip, LATCOMP, preset, quality, bpp, clock, seconds, clock, settings)

    def _rival(self, clip: SourceClip, rival: rivals.Rival, crf: int) -> RdRow:
        coded = rivals.encode(rival, clip, crf)
        frames, seconds = rivals.decode(rival, coded)
        bpp = coded.size_bytes * 8 / clip.pixels
        shown = rivals.to_rgb(frames, clip)
        return measured(clip, rival.name, rival.preset, crf, bpp, shown, coded.encode_seconds, seconds, self.settings)

    def _latent(self, clip: SourceClip, codec: str) -> RdRow:
        from latcomp.bench.rd.latents import LatentBench, pack

        if self._latents is None:
            self._latents = LatentBench(self.settings.tokenizer, self.settings.device)
        bench = self._latents
        latents, seconds = bench.encode(clip)
        began = time.perf_counter()
        packed = pack(latents, codec)
        seconds += time.perf_counter() - began
        clock = Clock(bench.decode(packed, clip))
        bpp = packed.size_bytes * 8 / clip.pixels
        return measured(clip, codec, bench.tokenizer.spec.name, None, bpp, clock, seconds, clock, self.settings)


class Clock:
    """Passes frames on and counts the seconds that making them took, without those of whoever takes them."""

    def __init__(self, frames: Iterable[np.ndarray]) -> None:
        self._frames = iter(frames)
        self.seconds = 0.0

    def __iter__(self) -> Iterator[np.ndarray]:
        while True:
            began = time.perf_counter()
            frame = next(self._frames, None)
            self.seconds += time.perf_counter() - began
            if frame is None:
                return
            yield frame


def measured(
    clip: SourceClip,
    codec: str,
    preset: str,
    setting: float | None,
    bpp: float,
    frames: Iterable[np.ndarray],
    encode_seconds: float,
    decode: Clock | float,
    settings: RdSettings,
) -> RdRow:
    """The row of a clip as decoded: frames (H, W, 3) uint8 RGB; settings: what else to measure.

    Raises `OutputError` when they are more or fewer than the clip's.
    """
    count = 0
    with VideoComparison(
        clip.color.matrix,
        metrics=("psnr", "ms-ssim", *settings.metrics),
        rate=clip.rate,
        st_lpips_frames=settings.st_lpips_frames,
        device=settings.device,
    ) as comparison:
        for frame in frames:
            if count < len(clip.rgb):
                comparison.add(clip.rgb[count], frame)
            count += 1
        if count != len(clip.rgb):
            raise OutputError(f"{clip.name}: {codec} made {count} frames of {len(clip.rgb)}")
        result = comparison.result()
    seconds = decode.seconds if isinstance(decode, Clock) else decode
    return RdRow(
        clip.name,
        codec,
        preset,
        setting,
        bpp,
        result["psnr_rgb"],
        result["psnr_y"],
        result["ms_ssim_y"],
        encode_seconds,
        seconds,
        **{name: result[name] for name in MEMBERS.values()},
    )


def _ignore(text: str) -> None:
    """Nobody watches."""
