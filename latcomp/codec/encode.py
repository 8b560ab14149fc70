"""Video to .lat: reader -> tokenizer.encode -> selection -> LIT against hold -> container.writer, a group at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from latcomp import __version__
from latcomp.codec.groups import EncodedGroup, LatentStream
from latcomp.codec.settings import (
    DEFAULT_MAX_PIXELS,
    DROPPED_CHANGES,
    ERROR_WORTH,
    GROUP_LATENT_FRAMES,
    HYSTERESIS,
    PRIOR_UNITS,
    ROUNDING,
    ROUNDING_WORTH,
    SEGMENT_GROUPS,
    EncodeSettings,
    Progress,
    ProgressCallback,
    decodes_in_bf16,
    memory_errors,
    pick_device,
)
from latcomp.container import AudioChunk, AudioPacketBytes, FileSummary, Group, Header, Writer
from latcomp.container.rounding import PriorRounding
from latcomp.container.steps import log_step_of
from latcomp.files import output_file
from latcomp.inpaint.fill import Filler, HeldGroup, ages_of
from latcomp.report.stats import stats_dict
from latcomp.selection import (
    Quantiser,
    Selection,
    SelectionCache,
    SelectionRule,
    Wishes,
    adjusted,
    look_ahead,
    select_budget,
    select_group,
    step_adjust,
)
from latcomp.selection.quantiser import Identity
from latcomp.tokenizer import registry
from latcomp.tokenizer.config import SPATIAL, TEMPORAL
from latcomp.video import AudioPacket, VideoReader, open_video

Target = str | Path | BinaryIO


@dataclass(frozen=True)
class EncodeResult:
    """What an encoding made."""

    stats: dict[str, Any]
    """The object of `latcomp stats --json`."""
    encode_seconds: float
    frames_per_second: float
    device: str
    notes: tuple[str, ...]
    """What was converted or left out, one line each."""


class Encoder:
    """Loaded models and settings; `run` encodes one video. Can be used again for any number of videos."""

    def __init__(self, settings: EncodeSettings, tokenizer: str | Path | None = None, device: str = "auto") -> None:
        self.settings = settings
        self.device = pick_device(device)
        folder = registry.find_tokenizer(tokenizer)
        self.tokenizer_sha256 = registry.sha256_of(folder / registry.WEIGHTS)
        self.tokenizer = registry.load_tokenizer(folder).to(self.device)
        lit_folder = registry.find_lit(folder)
        self.lit = registry.load_lit(lit_folder).to(self.device) if lit_folder else None
        self.lit_sha256 = registry.sha256_of(lit_folder / registry.WEIGHTS) if lit_folder else ""
        prior_folder = registry.find_prior(folder)
        self.prior = registry.load_prior(prior_folder) if prior_folder and not settings.lossless else None
        self.units = PRIOR_UNITS if self.prior else 1
        config = self.tokenizer.config
        self.rule = SelectionRule(np.array(config.channel_scale, np.float32), settings.reference)
        self.step = np.array(config.channel_step, np.float32)
        self._age: np.ndarray | None = None  # of the last latent frame that was selected

    def quantiser(self, adjust: int = 0) -> Quantiser | Identity:
        """The quantiser of a segment whose steps are adjusted by so many eighths of an octave."""
        if self.settings.lossless:
            return Identity()
        return Quantiser(self.step, adjusted(self.settings.step_scale, adjust), ROUNDING, HYSTERESIS, self.units)

    def _adjust(self, first: EncodedGroup) -> int:
        """The adjustment of the segment that begins with this group."""
        return 0 if self.settings.lossless else step_adjust(first.latents, self.step, self.settings.quality)

    def _wishes(self, latents: np.ndarray, adjust: int, refine: bool) -> Wishes | None:
        """What a lookahead over a group asks for: better values and finer steps of what will be held.

        refine: whether values that are held through the whole group become finer in it.
        """
        quantiser = self.quantiser(adjust)
        if not isinstance(quantiser, Quantiser) or self.units == 1:
            return None
        ahead = look_ahead(latents, quantiser, DROPPED_CHANGES)
        return Wishes(ahead.target, ahead.octaves(quantiser, ERROR_WORTH), ahead.whole[0] if refine else None, ahead.run)

    def _rounding(self, grid: tuple[int, ...], adjust: int) -> PriorRounding | None:
        """The rounding of a segment's tokens by what they cost; None without a prior."""
        if self.prior is None or ROUNDING_WORTH <= 0:
            return None
        log_step = log_step_of(self.settings.step_scale) + 2 * adjust
        return PriorRounding(self.prior, grid[0], grid[1], self.units, ROUNDING_WORTH, log_step)

    def header(self, reader: VideoReader) -> Header:
        """The header of the file that `run` writes."""
        settings, config = self.settings, self.tokenizer.config
        return Header(
            **reader.info.to_header_fields(),
            tokenizer={
                "name": config.name, "sha256": self.tokenizer_sha256, "channels": config.channels,
                "spatial": SPATIAL, "temporal": TEMPORAL,
            },
            lit={"name": self.lit.config.name, "sha256": self.lit_sha256} if self.lit else None,
            quality=None if settings.lossless else settings.quality,
            step_scale=1.0 if settings.lossless else settings.step_scale,
            coding="lossless" if settings.lossless else "int",
            threshold=None if settings.keep is not None else settings.threshold_at(0, config.channels),
            keep=settings.keep,
            reference=settings.reference,
            group_latent_frames=GROUP_LATENT_FRAMES,
            segment_groups=SEGMENT_GROUPS,
            created_by=f"latcomp {__version__}",
            prior={"name": self.prior.name, "sha256": self.prior.sha256} if self.prior else None,
            units=self.units,
        )  # fmt: skip

    def run(self, reader: VideoReader, target: BinaryIO, progress: ProgressCallback | None = None) -> FileSummary:
        """Encode all of `reader` into `target`, which is only ever written forward; returns the summary of what was written."""
        writer = Writer(target, self.header(reader), self.prior, self.settings.coding)
        frames = tokens = kept = 0
        with ThreadPoolExecutor(1) as coder:
            # zstd at its highest level takes as long as the encoder: let them overlap, one group in flight
            writing: Future[Any] | None = None
            for item in self._groups(reader):
                if writing is not None:
                    writing.result()
                if isinstance(item, AudioChunk):
                    writing = coder.submit(writer.write_audio, item)
                    continue
                writing = coder.submit(writer.write_group, item)
                frames += len(item.pts)
                tokens += item.mask.size
                kept += int(item.mask.sum())
                if progress is not None:
                    progress(Progress(frames, reader.info.frames_estimate, tokens, kept))
            if writing is not None:
                writing.result()
        return writer.close()

    def _groups(self, reader: VideoReader) -> Iterator[Group | AudioChunk]:
        """The file's groups and audio chunks in order."""
        filler = Filler(self.lit, self.settings.step_scale, self.device, decodes_in_bf16(self.device))
        stream = LatentStream(self.tokenizer, self.device, GROUP_LATENT_FRAMES * TEMPORAL)
        segment: list[EncodedGroup] = []
        cache: SelectionCache | None = None
        rounding: PriorRounding | None = None
        adjust = 0
        packets: dict[int, list[AudioPacketBytes]] = {}
        for item in stream.run(reader):
            if isinstance(item, AudioPacket):
                packets.setdefault(item.stream, []).append(
                    AudioPacketBytes(item.pts, item.dts, item.duration, int(item.is_keyframe), item.data)
                )
                continue
            key = item.index % SEGMENT_GROUPS == 0
            if self.settings.keep is None:
                if key:
                    cache, adjust = None, self._adjust(item)
                threshold = self.settings.threshold_at(adjust, len(self.step))
                wishes = self._wishes(item.latents, adjust, refine=not key)
                if key:
                    rounding = self._rounding(item.latents.shape[2:], adjust)
                selection, cache = select_group(
                    item.latents, cache, threshold, self.rule, self.quantiser(adjust), wishes, rounding=rounding
                )
                yield self._finish(item, selection, key, adjust, filler)
            else:
                if key and segment:
                    yield from self._finish_segment(segment, filler)
                    segment = []
                segment.append(item)
            yield from _audio_chunks(packets)
        if segment:
            yield from self._finish_segment(segment, filler)
        yield from _audio_chunks(packets)

    def _finish_segment(self, segment: list[EncodedGroup], filler: Filler) -> Iterator[Group]:
        """The groups of one segment under the token budget."""
        if self.settings.keep is None:
            return
        adjust = self._adjust(segment[0])
        latents = [group.latents for group in segment]
        found = [self._wishes(group, adjust, refine=False) for group in latents]
        wishes = [wish for wish in found if wish is not None]
        chosen, threshold = select_budget(latents, self.settings.keep, self.rule, self.quantiser(adjust), wishes or None)
        rounding = self._rounding(latents[0].shape[2:], adjust)
        if rounding is not None:  # the masks stand; only values move
            cache, plain, chosen = None, chosen, []
            for values, wish, selection in zip(latents, wishes, plain, strict=True):
                again, cache = select_group(
                    values, cache, threshold, self.rule, self.quantiser(adjust), wish, selection.mask, rounding
                )
                chosen.append(again)
        for group, selection in zip(segment, chosen, strict=True):
            yield self._finish(group, selection, group is segment[0], adjust, filler)

    def _finish(self, group: EncodedGroup, selection: Selection, key: bool, adjust: int, filler: Filler) -> Group:
        """The group as it is written: kept tokens in order t, y, x, and the fill that comes closest to the latents."""
        if key:
            filler.reset()
        filler.step_scale = adjusted(self.settings.step_scale, adjust)
        ages = ages_of(selection.mask, None if key else self._age)
        self._age = ages[-1]
        held = HeldGroup(selection.held, selection.mask, ages, selection.octaves)
        with memory_errors(self.device):
            fill, _ = filler.fill_best(held, group.latents)
        tokens = np.ascontiguousarray(selection.symbols.transpose(1, 2, 3, 0)[selection.mask])
        octaves = selection.octaves[selection.mask] if self.prior else None
        return Group(group.index, key, group.first_frame, group.pts, selection.mask, tokens, fill, adjust, octaves)


def _audio_chunks(packets: dict[int, list[AudioPacketBytes]]) -> Iterator[AudioChunk]:
    """The waiting packets as one chunk a stream; empties `packets`."""
    for stream in sorted(packets):
        yield AudioChunk(stream, tuple(packets[stream]))
    packets.clear()


def encode(
    source: str | Path | BinaryIO, target: Target, *, tokenizer: str | Path | None = None, start_seconds: float | None = None,
    duration_seconds: float | None = None, audio: bool = True, device: str = "auto", force: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS, progress: ProgressCallback | None = None, **settings: Any,
) -> EncodeResult:  # fmt: skip
    """Encode a video into a .lat file.

    source, target: paths or binary file objects; the target is written forward only. settings: the fields of `EncodeSettings`
    (quality, threshold, keep, reference, lossless). A target path appears only when it is complete; an existing one is refused
    unless `force`. Raises the named errors of `latcomp.errors`.
    """
    chosen = EncodeSettings(**settings)
    began = time.monotonic()
    with ExitStack() as stack:
        reader = stack.enter_context(
            open_video(
                source, start_seconds=start_seconds, duration_seconds=duration_seconds, audio=audio, max_pixels=max_pixels
            )
        )
        encoder = Encoder(chosen, tokenizer, device)
        if isinstance(target, str | Path):
            path = stack.enter_context(output_file(Path(target), force))
            file: BinaryIO = stack.enter_context(path.open("wb"))
        else:
            file = target
        with memory_errors(encoder.device):
            summary = encoder.run(reader, file, progress)
        notes = tuple(reader.notes)
    seconds = time.monotonic() - began
    stats = stats_dict(summary)
    return EncodeResult(stats, seconds, stats["frames"] / max(seconds, 1e-9), str(encoder.device), notes)
