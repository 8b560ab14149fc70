"""Video to .lat: reader -> tokenizer.encode -> selection -> LIT against hold -> container.writer, a group at a time."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from fractions import Fraction
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO

from latcomp import __version__, models
from latcomp.codec.ahead import ahead
from latcomp.codec.arguments import checks_arguments
from latcomp.codec.camera import follow_camera
from latcomp.codec.decoder import Decoder
from latcomp.codec.fitting import fitted
from latcomp.codec.groups import EncodedGroup, LatentStream
from latcomp.codec.pieces import frames_at_once
from latcomp.codec.progress import Progress, ProgressCallback
from latcomp.codec.result import EncodeResult
from latcomp.codec.segments import SegmentCoder
from latcomp.codec.settings import GROUP_LATENT_FRAMES, SEGMENT_GROUPS, EncodeSettings
from latcomp.codec.targets import PsnrTarget, RateTarget, segment_groups_for
from latcomp.container import AudioChunk, AudioPacketBytes, FileSummary, Group, Header, Writer, audio_flags
from latcomp.devices import memory_errors, pick_device
from latcomp.kernels import fastest
from latcomp.latents.steps import Steps
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.output import is_stream, output_stream, spool
from latcomp.report.stats import stats_dict
from latcomp.selection import SegmentSelector
from latcomp.selection.budget import positions_shown
from latcomp.video import AudioPacket, VideoReader, open_video

Target = str | Path | BinaryIO
GROUPS_AHEAD = 1
"""Groups of latents, or audio packets, that wait for selection."""


class Encoder:
    """Loaded models and settings; `run` encodes one video. Can be used again for any number of videos."""

    def __init__(self, settings: EncodeSettings, tokenizer: str | Path | None = None, device: str = "auto") -> None:
        self.settings = settings
        self.device = pick_device(device)
        folder = models.find_tokenizer(tokenizer)
        self.folder = folder
        lit_folder, prior_folder = models.find_lit(folder), models.find_prior(folder)
        with memory_errors(self.device):
            self.tokenizer = models.load_tokenizer(folder).to(self.device)
            self.lit = models.load_lit(lit_folder).to(self.device) if lit_folder else None
            self.prior = None
            if prior_folder and settings.takes_a_prior:
                self.prior = models.load_prior(prior_folder, fastest(str(self.device)))
            self.profile = models.profile_of(folder)
            self.steps: Steps | None = None
            """What a file says of the channels' steps; None where they are the tokenizer's own, or not fitted yet."""
            if not self.tokenizer.spec.steps_known and not settings.lossless:
                self.steps = self.profile.steps
            self.coder = self._coder(self.steps)
        records = models.model_record
        self._tokenizer_record = records(folder, self.tokenizer.spec.name)
        self._lit_record = records(lit_folder, self.lit.config.name) if lit_folder and self.lit else None
        self._prior_record = records(prior_folder, self.prior.name) if prior_folder and self.prior else None
        self.about = models.notes_of(folder)
        """What a person should know of the tokenizer, one line each."""
        self.notes: list[str] = []
        """What could not be done as asked in the last run, one line each."""

    def _coder(self, steps: Steps | None) -> SegmentCoder:
        """What codes segments with these steps; None: with those of the tokenizer's specification. Raises `UsageError`
        for steps of other channels."""
        spec, profile = self.tokenizer.spec, self.profile
        if steps is not None:
            spec = replace(spec, channel_step=steps.channel_step, channel_scale=steps.channel_scale)
        if not spec.steps_known and not profile.fitted:
            # what is usual for it is not known, so no segment is more complex than usual
            profile = replace(profile, complexity_strength=0.0)
        return SegmentCoder(self.settings, spec, profile, self.prior, self.lit, self.device)

    @property
    def fits_steps(self) -> bool:
        """Whether steps are fitted to the latents of each video."""
        return not (self.tokenizer.spec.steps_known or self.settings.lossless or self.profile.steps)

    @property
    def follows(self) -> bool:
        """Whether a moving camera is followed where that saves bits."""
        spec = self.tokenizer.spec
        return self.settings.camera == "auto" and not self.settings.lossless and spec.movable and spec.exact_streaming

    def segment_groups(self, reader: VideoReader) -> int:
        """Most groups of a segment."""
        if not self.tokenizer.spec.exact_streaming:
            return 1
        if not self.settings.searches:
            return SEGMENT_GROUPS
        info, with_pixels = reader.info, self.settings.min_psnr is not None
        return segment_groups_for(info.height, info.width, self.tokenizer.spec, GROUP_LATENT_FRAMES, with_pixels)

    def header(self, reader: VideoReader) -> Header:
        """The header of the file that `run` writes, as far as that is known without its latents."""
        settings, spec = self.settings, self.tokenizer.spec
        factors = {name: getattr(spec, name) for name in ("channels", "spatial", "temporal")}
        requires: tuple[str, ...] = ()
        if spec.first_frames != spec.temporal:
            factors, requires = {**factors, "first_frames": spec.first_frames}, ("first_frames",)
        if self.follows:
            requires = (*requires, "camera")
        if self.steps is not None:
            requires = (*requires, "steps")
        if settings.learns:
            requires = (*requires, "adaptive")
        by_threshold = not self.coder.weighs and settings.keep is None and not settings.searches
        return Header(
            **reader.info.to_header_fields(),
            tokenizer={**self._tokenizer_record, **factors},
            lit=self._lit_record,
            quality=None if settings.lossless or settings.searches else settings.quality_in_force,
            step_scale=self.coder.base.value,
            coding="lossless" if settings.lossless else "int",
            threshold=self.coder.threshold(self.coder.base) if by_threshold else None,
            keep=settings.keep,
            reference=settings.reference,
            optimise=settings.optimise if self.coder.weighs else None,
            group_latent_frames=GROUP_LATENT_FRAMES,
            segment_groups=self.segment_groups(reader),
            created_by=f"latcomp {__version__}",
            prior=self._prior_record,
            units=self.coder.recipe.units,
            target_bpp=settings.target_bpp,
            min_psnr=settings.min_psnr,
            requires=requires,
            steps=None if self.steps is None else self.steps.to_json(),
        )

    def run(self, reader: VideoReader, target: BinaryIO, progress: ProgressCallback | None = None) -> FileSummary:
        """Encode all of `reader` into `target`, which is only ever written forward; returns the summary of what was
        written.
        """
        try:
            with self._encoded(reader) as encoded:
                if self.fits_steps:
                    first, self.steps = fitted(encoded, self.tokenizer.spec)
                    self.coder, encoded = self._coder(self.steps), chain(first, encoded)
                return self._write(reader, self.header(reader), encoded, target, progress)
        finally:
            if self.fits_steps:
                self.steps, self.coder = None, self._coder(None)  # they were those of this video

    def _write(
        self,
        reader: VideoReader,
        header: Header,
        encoded: Iterator[EncodedGroup | AudioPacket],
        target: BinaryIO,
        progress: ProgressCallback | None,
    ) -> FileSummary:
        """Write the file of what was encoded."""
        items = self._groups(header, encoded)
        started = list(islice(items, 1))  # a target out of reach shows here, before anything is written
        writer = Writer(target, header, self.prior, self.settings.coding)
        frames = tokens = kept = 0
        with ThreadPoolExecutor(1) as coder:
            # the coding of tokens takes about as long as the encoder: let them overlap, one group in flight
            writing: Future[Any] | None = None
            for item in chain(started, items):
                if writing is not None:
                    writing.result()
                if isinstance(item, AudioChunk):
                    writing = coder.submit(writer.write_audio, item)
                    continue
                writing = coder.submit(writer.write_group, item)
                frames += len(item.pts)
                tokens += item.view.count
                kept += int(item.mask.sum())
                if progress is not None:
                    progress(Progress(frames, reader.info.frames_estimate, tokens, kept))
            if writing is not None:
                writing.result()
        return writer.close()

    @contextmanager
    def _encoded(self, reader: VideoReader) -> Iterator[Iterator[EncodedGroup | AudioPacket]]:
        """Groups of latents, and audio packets in their place. Reading and the camera are ahead of the tokenizer, the
        tokenizer of selection."""
        stream = LatentStream(
            self.tokenizer,
            self.device,
            GROUP_LATENT_FRAMES,
            self.segment_groups(reader),
            self.settings.min_psnr is not None,
            self.profile,
        )
        read = follow_camera(reader, self.tokenizer.spec, reader.woven) if self.follows else reader
        count = frames_at_once(reader.info.height, reader.info.width)
        with ahead(read, count) as frames, ahead(stream.run(frames), GROUPS_AHEAD) as groups:
            yield groups

    def _groups(self, header: Header, encoded: Iterator[EncodedGroup | AudioPacket]) -> Iterator[Group | AudioChunk]:
        """The file's groups and audio chunks in order."""
        whole = self._whole_segments(header)
        segment: list[EncodedGroup] = []
        selector: SegmentSelector | None = None
        scale = self.coder.base
        packets: dict[int, list[AudioPacketBytes]] = {}
        for item in encoded:
            if isinstance(item, AudioPacket):
                packets.setdefault(item.stream, []).append(
                    AudioPacketBytes(
                        item.pts,
                        item.dts,
                        item.duration,
                        audio_flags(item.is_keyframe, item.unheard_samples),
                        item.data,
                    )
                )
                continue
            if whole is not None:
                if item.key and segment:
                    yield from _with_audio(whole(segment), packets, header)
                    segment = []
                segment.append(item)
            else:
                if selector is None or item.key:
                    scale = self.coder.scale_for(item)
                    selector = self.coder.begin(scale)
                yield from _with_audio(
                    [self.coder.group(item, selector.next(item.latents, item.view), scale)], packets, header
                )
        if whole is not None and segment:
            yield from _with_audio(whole(segment), packets, header)
        yield from _audio_chunks(packets)

    def _whole_segments(self, header: Header) -> Callable[[list[EncodedGroup]], list[Group]] | None:
        """What makes the groups of a whole segment, where the settings need to see all of it; None where a group can go
        at once.
        """
        settings, coder = self.settings, self.coder
        self.notes = []
        if settings.target_bpp is not None:
            rate = RateTarget(coder, header, settings.target_bpp)
            self.notes = rate.notes
            return rate.choose
        if settings.min_psnr is not None:
            decoder = Decoder(header, str(self.device), tokenizer=self.folder)
            matrix = header.color["matrix"]
            return PsnrTarget(coder, lambda group: list(decoder.frames(group)), matrix, settings.min_psnr).choose
        keep = settings.keep
        if keep is not None:

            def kept(segment: list[EncodedGroup]) -> list[Group]:
                scale, views = coder.scale_for(segment[0]), [group.view for group in segment]
                first = positions_shown(views)
                if first > max(keep * sum(view.count for view in views), views[0].frames[0].count) and not self.notes:
                    self.notes.append(
                        f"the camera shows more for the first time than a share of {keep:g}, from frame "
                        f"{segment[0].first_frame} on: all of that is kept"
                    )
                return coder.groups(segment, coder.selected(segment, scale), scale)

            return kept
        return None


def _with_audio(
    groups: list[Group], packets: dict[int, list[AudioPacketBytes]], header: Header
) -> Iterator[Group | AudioChunk]:
    """The groups, each followed by the waiting audio up to its last frame.

    Audio that the source has further ahead of its frames waits: who seeks to a later group reads nothing of what stands
    before it."""
    for group in groups:
        yield group
        yield from _audio_chunks(packets, header, int(group.pts[-1]) * Fraction(*header.time_base))


def _audio_chunks(
    packets: dict[int, list[AudioPacketBytes]], header: Header | None = None, until_seconds: Fraction | None = None
) -> Iterator[AudioChunk]:
    """The waiting packets up to a time, or all, as one chunk a stream; takes them out of `packets`."""
    for stream in sorted(packets):
        waiting = packets[stream]
        count = len(waiting)
        if header is not None and until_seconds is not None:
            until = until_seconds / Fraction(*header.audio[stream]["time_base"])
            count = next(
                (i for i, packet in enumerate(waiting) if packet.pts is not None and packet.pts > until), count
            )
        if count:
            yield AudioChunk(stream, tuple(waiting[:count]))
            del waiting[:count]


@checks_arguments
def encode(
    source: str | Path | BinaryIO,
    target: Target,
    *,
    tokenizer: str | Path | None = None,
    start_seconds: float | None = None,
    duration_seconds: float | None = None,
    audio: bool = True,
    device: str = "auto",
    force: bool = False,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    deinterlace: bool | None = None,
    video_track: int | None = None,
    keep_going: bool = False,
    progress: ProgressCallback | None = None,
    **settings: Any,
) -> EncodeResult:
    """Encode a video into a .lat file.

    source, target: paths or binary file objects; the target is written forward only. settings: fields of
    `EncodeSettings` (quality, threshold, keep, target_bpp, min_psnr, optimise, reference, camera, coding, lossless). A
    target path appears only when it is complete; an existing one is refused unless `force`. deinterlace: whether each
    interlaced frame becomes a progressive one (True) or keeps the lines of its fields woven (False); None refuses
    interlaced video. video_track: which of the source's video tracks, from 0; None takes the one that ffmpeg takes.
    keep_going: encode what can be decoded of a damaged source; frames that cannot be are the one before, held, and
    `damage` of the result tells which. Raises the named errors of `latcomp.errors`."""
    chosen = EncodeSettings(**settings)
    began = time.monotonic()
    with ExitStack() as stack:
        reader = stack.enter_context(
            open_video(
                source,
                start_seconds=start_seconds,
                duration_seconds=duration_seconds,
                audio=audio,
                max_pixels=max_pixels,
                deinterlace=deinterlace,
                video_track=video_track,
                keep_going=keep_going,
            )
        )
        encoder = Encoder(chosen, tokenizer, device)
        is_file = isinstance(target, str | Path) and not is_stream(target)
        place = stack.enter_context(output_stream(target, force)) if isinstance(target, str | Path) else target
        # a quality that turns out to be out of reach leaves nothing behind
        file = place if is_file or chosen.min_psnr is None else stack.enter_context(spool())
        with memory_errors(encoder.device):
            summary = encoder.run(reader, file, progress)
        if file is not place:
            file.seek(0)
            shutil.copyfileobj(file, place)
        notes = (*reader.notes, *encoder.about, *encoder.notes)
    seconds = time.monotonic() - began
    stats = stats_dict(summary)
    return EncodeResult(stats, seconds, stats["frames"] / max(seconds, 1e-9), str(encoder.device), notes, reader.damage)
