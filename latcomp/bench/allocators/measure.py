"""Allocators under one clock: the same latents, quantiser, fill, file and decoder; only the keep masks differ.

Each clip is encoded once. Each method then decides at every keep ratio; its masks are written as a .lat file, filled
and decoded, and measured. Networks are warmed up on the clip's own shapes first. Short decisions are timed three times
(the median counts), those of more than two seconds once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from latcomp import __version__
from latcomp.bench.allocators.elastic import ElasticSearch, target_for
from latcomp.bench.allocators.figures import (
    ALL,
    ELASTIC,
    FIRST,
    INFOTOK,
    LATCOMP,
    METHODS,
    RANDOM,
    THRESHOLD,
    UNIFORM,
    AllocatorRow,
    figures_of,
)
from latcomp.bench.allocators.methods import (
    Allocation,
    all_tokens,
    by_budget,
    by_chance,
    by_infotok,
    by_threshold,
    by_uniform,
    first_only,
)
from latcomp.bench.codec import BenchClip, BenchCodec, Seconds, Segment, timed
from latcomp.codec.settings import DEFAULT_QUALITY, EncodeSettings
from latcomp.errors import OutputError, UsageError
from latcomp.metrics.comparison import VideoComparison
from latcomp.selection.budget import tokens_for

KEEPS = (0.2, 0.3, 0.5)
TRIES = 3  # targets that are tried to bring ElasticTok to a number of tokens
CLOSE = 0.02  # share of that number that counts as met

Watcher = Callable[[str], None]
"""Called with what is being measured now, in a few words."""


@dataclass(frozen=True)
class AllocatorSettings:
    """What to measure. Raises `UsageError` for values out of range and unknown methods."""

    keeps: tuple[float, ...] = KEEPS
    quality: float = DEFAULT_QUALITY
    """The quantiser's, for every method."""
    methods: tuple[str, ...] = METHODS
    square: int | None = None
    """Scale clips to this shorter side and cut the square out of their middle."""
    duration_seconds: float | None = None
    """Measure no more than the beginning of each clip."""
    seed: int = 0
    """Of the random masks."""
    tokenizer: str | Path | None = None
    device: str = "auto"

    def __post_init__(self) -> None:
        for keep in self.keeps:
            EncodeSettings(quality=self.quality, keep=keep)
        unknown = [name for name in self.methods if name not in METHODS]
        if unknown or not self.keeps:
            raise UsageError(f"method {', '.join(unknown) or 'list'} is not known: choose from {', '.join(METHODS)}")
        if LATCOMP not in self.methods:
            raise UsageError(f"{LATCOMP} is what the others are set against: add it to the methods")


class AllocatorBench:
    """Loaded models; `run` measures one clip, `figures` holds all that were measured so far.

    Raises `UsageError` for clips of one name.
    """

    def __init__(self, clips: Sequence[Path], settings: AllocatorSettings) -> None:
        names = [clip.stem for clip in clips]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise UsageError(f"clips are told apart by name, and {', '.join(twice)} is there twice: rename a clip")
        self.settings = settings
        self.codec = BenchCodec(settings.quality, settings.tokenizer, settings.device)
        self.rows: list[AllocatorRow] = []
        self.sources: dict[str, dict[str, Any]] = {}

    def run(self, path: Path, watch: Watcher | None = None) -> list[AllocatorRow]:
        """Measure one clip with every method; returns its rows."""
        watch = watch or _ignore
        settings = self.settings
        clip = self.codec.read(path, settings.square, settings.duration_seconds)
        watch(f"{clip.name}: encoding")
        segments = self.codec.encode(clip)
        self.codec.warm_up(segments)
        segments, encoding = timed(partial(self.codec.encode, clip))
        one = _ClipBench(self.codec, clip, segments, encoding)
        for name, make in ((FIRST, first_only), (ALL, all_tokens)):
            watch(f"{clip.name}: {name}")
            one.add(name, None, *timed(partial(_each, make, segments)))
        searches: list[ElasticSearch] = []
        for keep in settings.keeps:
            thresholds: list[float] = []
            for method in METHODS:  # the budget before the threshold, which is the budget's
                if method not in settings.methods:
                    continue
                watch(f"{clip.name}: {method} at {100 * keep:g} %")
                if method == ELASTIC:
                    if not searches:
                        searches = [ElasticSearch(segment, self.codec) for segment in segments]
                        for search in searches:
                            search.climb()
                    one.elastic(keep, searches)
                    continue
                found, seconds = timed(partial(self._decide, method, segments, keep, thresholds))
                if method == LATCOMP:
                    thresholds = [allocation.threshold or 0.0 for allocation in found]
                one.add(method, keep, found, seconds)
        self.rows += one.rows
        self.sources[clip.name] = {
            "frames": len(clip.frames),
            "width": clip.header.width,
            "height": clip.header.height,
            "tokens": sum(segment.positions for segment in segments),
            "groups": sum(len(segment.groups) for segment in segments),
        }
        return one.rows

    def figures(self) -> dict[str, Any]:
        """What `bench allocators --json` prints, of the clips measured so far."""
        settings = self.settings
        return {
            "version": __version__,
            "quality": settings.quality,
            "keeps": list(settings.keeps),
            "square": settings.square,
            "duration_seconds": settings.duration_seconds,
            "seed": settings.seed,
            "device": str(self.codec.device),
            "threads": torch.get_num_threads(),
            "sources": self.sources,
            **figures_of(self.rows),
        }

    def _decide(
        self, method: str, segments: Sequence[Segment], keep: float, thresholds: Sequence[float]
    ) -> list[Allocation]:
        """The allocation of each segment; thresholds: of each segment, for the fixed threshold."""
        if method == LATCOMP:
            return [by_budget(segment, self.codec, keep) for segment in segments]
        if method == THRESHOLD:
            return [
                by_threshold(segment, self.codec, value) for segment, value in zip(segments, thresholds, strict=True)
            ]
        if method == INFOTOK:
            return [by_infotok(segment, self.codec, keep) for segment in segments]
        if method == UNIFORM:
            return [by_uniform(segment, keep) for segment in segments]
        if method == RANDOM:
            return [by_chance(segment, keep, self.settings.seed + index) for index, segment in enumerate(segments)]
        raise UsageError(f"method {method} is not known: choose from {', '.join(METHODS)}")


class _ClipBench:
    """The rows of one clip."""

    def __init__(self, codec: BenchCodec, clip: BenchClip, segments: Sequence[Segment], encoding: Seconds) -> None:
        self.codec, self.clip, self.segments, self.encoding = codec, clip, segments, encoding
        self.positions = sum(segment.positions for segment in segments)
        self.rows: list[AllocatorRow] = []

    def add(
        self,
        method: str,
        keep: float | None,
        found: Sequence[Allocation],
        seconds: Seconds,
        target: float | None = None,
    ) -> None:
        """Write, decode and measure what a method decided."""
        share = sum(allocation.tokens for allocation in found) / self.positions if keep is None else keep
        written = self.codec.written(self.clip, self.segments, [allocation.masks for allocation in found], share)
        if len(written.frames) != len(self.clip.frames):
            raise OutputError(
                f"{self.clip.name}: {method} made {len(written.frames)} frames of {len(self.clip.frames)}"
            )
        comparison = VideoComparison(self.clip.matrix)
        for frame, decoded in zip(self.clip.frames, written.frames, strict=True):
            comparison.add(frame.pixels, decoded)
        result = comparison.result()
        network = written.fill_seconds + written.decode_seconds
        self.rows.append(
            AllocatorRow(
                clip=self.clip.name,
                method=method,
                keep=keep,
                tokens=written.tokens,
                keep_ratio=written.tokens / self.positions,
                bytes=len(written.data),
                bpp=len(written.data) * 8 / self.clip.pixels,
                psnr_y=result["psnr_y"],
                psnr_rgb=result["psnr_rgb"],
                ms_ssim_y=result["ms_ssim_y"],
                decodes=sum(allocation.decodes for allocation in found),
                target_mse=target,
                encode_seconds=self.encoding.wall,
                allocate_seconds=seconds.wall,
                allocate_cpu_seconds=seconds.cpu,
                code_seconds=written.code_seconds,
                fill_seconds=written.fill_seconds,
                decode_seconds=written.decode_seconds,
                total_seconds=self.encoding.wall + seconds.wall + network,
            )
        )

    def elastic(self, keep: float, searches: Sequence[ElasticSearch]) -> None:
        """ElasticTok with the target that brings it nearest to the budget; only the search at that target is timed."""
        wanted = sum(tokens_for(keep, segment.views) for segment in self.segments)
        best: tuple[int, list[Allocation], Seconds, float] | None = None
        for _ in range(TRIES):
            # what earlier searches saw makes the ladders finer where it matters
            target = target_for([ladder for search in searches for ladder in search.seen], wanted)
            found, seconds = timed(partial(_search, searches, target))
            off = abs(sum(allocation.tokens for allocation in found) - wanted)
            if best is None or off < best[0]:
                best = (off, found, seconds, target)
            if off <= CLOSE * wanted:
                break
        if best is not None:
            self.add(ELASTIC, keep, *best[1:])


def _search(searches: Sequence[ElasticSearch], target: float) -> list[Allocation]:
    return [search.allocate(target) for search in searches]


def _each(make: Callable[[Segment], Allocation], segments: Sequence[Segment]) -> list[Allocation]:
    return [make(segment) for segment in segments]


def _ignore(text: str) -> None:
    """Nobody watches."""
