"""A .lat file to video: container.reader -> fill -> tokenizer.decode -> video.writer, a group at a time."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from latcomp.codec.groups import frames_a_piece, to_frames
from latcomp.codec.settings import (
    TOLERANCE_SECONDS,
    Progress,
    ProgressCallback,
    TimeWindow,
    source_name,
)
from latcomp.codec.shift import moved_to_zero
from latcomp.container import AudioChunk, AudioPacketBytes, Group, Header, Limits, LostGroups, Reader
from latcomp.devices import decodes_in_bf16, memory_errors, pick_device
from latcomp.errors import DamagedFileError, OutputError, UsageError
from latcomp.files import is_stream, output_target
from latcomp.inpaint.fill import Filler, HoldState
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.selection import Quantiser, adjusted
from latcomp.selection.quantiser import Identity
from latcomp.stages import stage
from latcomp.tokenizer import registry
from latcomp.tokenizer.config import SPATIAL, TEMPORAL
from latcomp.tokenizer.model import StreamState
from latcomp.video import AudioPacket, Frame, VideoInfo, VideoWriter, check_output, open_writer
from latcomp.video.metadata import Metadata

FILLS = ("auto", "lit", "hold")
EXACT_SCALE = 0.2  # the finest step scale the tokenizer was trained with


@dataclass
class DecodeResult:
    """What a decoding made."""

    frames: int
    width: int
    height: int
    decode_seconds: float
    frames_per_second: float
    device: str
    notes: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    """What was damaged in the file, one line each; empty for an intact one."""


@dataclass(frozen=True)
class _Unseen:
    """The end of a group that was filled and not decoded: latents (1, C, T, h, w), octaves (1, T, h, w), step scale."""

    latents: Tensor
    octaves: Tensor
    scale: float
    last_frames: int
    """Frames that its last latent frame stands for."""


class Decoder:
    """Loaded models for one kind of file; turns groups into frames."""

    def __init__(self, header: Header, device: str = "auto", fill: str = "auto", tokenizer: Path | None = None) -> None:
        if fill not in FILLS:
            raise UsageError(f"--fill {fill!r} is unknown: choose {', '.join(FILLS)}")
        self.header, self.fill, self.device = header, fill, pick_device(device)
        folder = registry.find_model(header.tokenizer, "tokenizer", tokenizer)
        registry.check_header(header, folder)
        lit = None
        with memory_errors(self.device):
            self.tokenizer = registry.load_tokenizer(folder).to(self.device)
            if header.lit is not None and fill != "hold":
                found = registry.find_model(header.lit, "lit", folder / "lit")
                lit = registry.load_lit(found).to(self.device)
            self.half = decodes_in_bf16(self.device)
        if fill == "lit" and lit is None:
            raise UsageError("--fill lit: the file was written without a LIT; use --fill auto or hold")
        self.holding = HoldState()
        self.filler = Filler(lit, header.step_scale, self.device, self.half)
        step = np.array(self.tokenizer.config.channel_step, np.float32)
        self.step = step
        self._state: StreamState | None = None
        # each block looks one latent frame back; one more, and what comes out at the end is right too
        self._reach = self.tokenizer.config.decoder_blocks + 1
        self._unseen: list[_Unseen] = []

    def latents(self, group: Group) -> Tensor:
        """Filled latents (1, C, T, h, w) of the next group, on the device."""
        with memory_errors(self.device):
            return self._filled(group)[0]

    def _filled(self, group: Group) -> tuple[Tensor, Tensor]:
        """(filled latents (1, C, T, h, w), octaves of the steps behind them (1, T, h, w)) of the next group, on the device."""
        if group.key:
            self.holding.reset()
            self.filler.reset()
            self._state = None
            self._unseen.clear()
        scale = self.filler.step_scale = adjusted(self.header.step_scale, group.step_adjust)
        quantiser = Identity() if self.header.coding == "lossless" else Quantiser(self.step, scale, units=self.header.units)
        with stage("lit"):
            tokens = quantiser.dequantise(group.tokens.T).T
            held = self.holding.hold(np.ascontiguousarray(tokens, np.float32), group.mask, group.octaves)
            filled = self.filler.fill(held, group.fill if self.fill == "auto" else self.fill)
            return filled, torch.from_numpy(held.octaves).to(self.device).unsqueeze(0)

    @torch.inference_mode()
    def frames(self, group: Group) -> Iterator[np.ndarray]:
        """The group's frames, (H, W, 3) uint8 RGB, as many as it has times."""
        with memory_errors(self.device):
            latents, octaves = self._filled(group)
            self.last_skipped()
            left = len(group.pts)
            height, width = self.header.height, self.header.width
            for pixels in self._decoded(latents, octaves, self._scale()):
                with stage("tokenizer"):
                    made = to_frames(pixels, height, width)
                for frame in made:
                    if left > 0:
                        left -= 1
                        yield frame

    @torch.inference_mode()
    def skip(self, group: Group) -> None:
        """Take in a group whose frames are not wanted: filled, which is quick, and decoded later as far as what follows depends on it."""
        with memory_errors(self.device):
            latents, octaves = self._filled(group)
        last = len(group.pts) - TEMPORAL * (latents.shape[2] - 1)
        self._unseen.append(_Unseen(latents[:, :, -self._reach :].clone(), octaves[:, -self._reach :], self._scale(), last))
        while sum(part.latents.shape[2] for part in self._unseen[1:]) >= self._reach:
            del self._unseen[0]

    @torch.inference_mode()
    def last_skipped(self) -> np.ndarray | None:
        """The last frame (H, W, 3) of the groups that were skipped last, which are caught up with; None when there are none."""
        found = None
        with memory_errors(self.device):
            for part in self._unseen:
                for pixels in self._decoded(part.latents, part.octaves, part.scale):
                    found = pixels
            if found is not None:
                with stage("tokenizer"):
                    frames = to_frames(found[:, :, -TEMPORAL:], self.header.height, self.header.width)
                found = frames[self._unseen[-1].last_frames - 1]
        self._unseen.clear()
        return found

    def _scale(self) -> float:
        """The step scale that the tokenizer's decoder is told; exact latents need none of the smoothing that coarse steps ask for."""
        return EXACT_SCALE if self.header.coding == "lossless" else self.filler.step_scale

    def _decoded(self, latents: Tensor, octaves: Tensor, scale: float) -> Iterator[Tensor]:
        """Pixels (1, 3, t, H, W) of the stream's next latents (1, C, T, h, w), piece by piece."""
        steps = latents.shape[2]
        piece = frames_a_piece(latents.shape[3] * SPATIAL, latents.shape[4] * SPATIAL, steps * TEMPORAL) // TEMPORAL
        for start in range(0, steps, piece):
            with stage("tokenizer"), torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
                pixels, self._state = self.tokenizer.decode(
                    latents[:, :, start : start + piece], self._state, scale, octaves[:, start : start + piece]
                )
            yield pixels


@dataclass
class DecodeStream:
    """Frames and audio of an open file in presentation order, with what was lost on the way."""

    reader: Reader
    decoder: Decoder
    window: TimeWindow
    groups: int = 0
    tokens_total: int = 0
    tokens_kept: int = 0
    info: VideoInfo = field(init=False)
    lost_frames: int = 0
    _last: np.ndarray | None = field(default=None, repr=False)
    _origin: Fraction = field(default=Fraction(0), repr=False)  # seconds: the time of the file's first frame, from which windows count

    def __post_init__(self) -> None:
        self.info = VideoInfo.from_header_fields(self.reader.header.video_fields())

    def __iter__(self) -> Iterator[Frame | AudioPacket]:
        """Frames and audio packets; frames of lost groups are the last frame held, timed from their neighbours."""
        unit = Fraction(*self.reader.header.time_base)
        first = seek_to(self.reader, self.window)
        behind = 0  # groups past the end that were met: behind the first of them there may still be audio of the time before it
        for item in self.reader:
            if first is None and isinstance(item, Group | LostGroups):
                first = int(item.pts[0])
            self._origin = (first or 0) * unit
            if isinstance(item, LostGroups):
                yield from self._held(item, unit)
            elif isinstance(item, AudioChunk):
                for packet in self._inside(item):
                    yield AudioPacket(
                        item.stream, packet.pts, packet.dts, packet.duration, packet.is_keyframe, packet.data, packet.unheard_samples
                    )
            elif isinstance(item, Group):
                if not self._is_before_end(int(item.pts[0]) * unit):
                    behind += 1
                    if behind > 1 or not self.info.audio:
                        break
                    continue
                self.groups += 1
                self.tokens_total += item.mask.size
                self.tokens_kept += len(item.tokens)
                if int(item.pts[-1]) * unit - self._origin < self.window.start - TOLERANCE_SECONDS:
                    self._last = None
                    self.decoder.skip(item)
                    continue
                for pixels, pts in zip(self.decoder.frames(item), item.pts.tolist(), strict=True):
                    self._last = pixels
                    if self._holds(pts * unit):
                        yield Frame(pixels, pts)

    def _holds(self, seconds: Fraction) -> bool:
        return self.window.holds(seconds - self._origin)

    def _is_before_end(self, seconds: Fraction) -> bool:
        return self.window.is_before_end(seconds - self._origin)

    def _inside(self, chunk: AudioChunk) -> Iterator[AudioPacketBytes]:
        """The packets that begin in the chosen time; all of them when no time was chosen."""
        unit = self.info.audio[chunk.stream].time_base
        for packet in chunk.packets:
            if self.window.whole or packet.pts is None or self._holds(packet.pts * unit):
                yield packet

    def _held(self, lost: LostGroups, unit: Fraction) -> Iterator[Frame]:
        """The last good frame, once for every lost frame in the chosen time; grey where none came before."""
        last = self._last = self._last if self._last is not None else self.decoder.last_skipped()
        if last is None:
            header = self.reader.header
            last = np.full((header.height, header.width, 3), 128, np.uint8)
        for pts in lost.pts.tolist():
            if self._holds(pts * unit):
                self.lost_frames += 1
                yield Frame(last, pts)


def seek_to(reader: Reader, window: TimeWindow) -> int | None:
    """The presentation time of the file's first frame, None where it is not known yet; `reader` goes on at the window's start."""
    first = reader.first_pts
    if first is not None and window.start > 0:
        reader.seek_seconds(float(window.start + first * Fraction(*reader.header.time_base)))
    return first


def decode_frames(
    source: str | Path | BinaryIO, *, fill: str = "auto", device: str = "auto", start_seconds: float | None = None,
    duration_seconds: float | None = None, max_pixels: int = DEFAULT_MAX_PIXELS, limits: Limits | None = None,
    tokenizer: Path | None = None,
) -> Iterator[Frame]:  # fmt: skip
    """Decoded frames of a .lat file in order. Raises `DamagedFileError` at the first damage, once the frames before it were given."""
    window = TimeWindow.of(start_seconds, duration_seconds)
    with ExitStack() as stack:
        file = stack.enter_context(open_source(source))
        reader = Reader(file, limits or Limits(max_pixels=max_pixels), registry.prior_finder(tokenizer))
        stream = DecodeStream(reader, Decoder(reader.header, device, fill, tokenizer), window)
        for item in stream:
            if reader.damage:
                break  # what comes now may be held for what was lost
            if isinstance(item, Frame):
                yield item
        if reader.damage:
            raise DamagedFileError(f"{source_name(source)} is damaged: {reader.damage[0]}")


@contextmanager
def open_source(source: str | Path | BinaryIO) -> Iterator[BinaryIO]:
    """The bytes of a source; closes only what it opened. Raises `DamagedFileError` when it cannot be read."""
    if not isinstance(source, str | Path):
        yield source
        return
    try:
        file = Path(source).open("rb")
    except OSError as error:
        raise DamagedFileError(f"{source} cannot be read: {error.strerror or error}") from None
    with file:
        yield file


def decode(
    source: str | Path | BinaryIO, target: str | Path | BinaryIO, *, fill: str = "auto", start_seconds: float | None = None,
    duration_seconds: float | None = None, codec: str | None = None, crf: int | None = None, format: str | None = None,
    audio: bool = True, device: str = "auto", force: bool = False, max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
    tokenizer: Path | None = None, progress: ProgressCallback | None = None,
) -> DecodeResult:  # fmt: skip
    """Decode a .lat file into a video file or stream.

    limits: what the file may claim; those of `Limits` and `max_pixels` unless given.

    Damaged segments are skipped: their frames are the last good frame held, and `damage` of the result says what happened. Raises
    `DamagedFileError` when nothing could be decoded, `UsageError` when the chosen time holds no frame, `UnsupportedFileError` when a model
    is not at hand, `OutputError` when the format cannot hold the streams (before anything is decoded).
    """
    began = time.monotonic()
    window = TimeWindow.of(start_seconds, duration_seconds)
    with ExitStack() as stack:
        file = stack.enter_context(open_source(source))
        reader = Reader(file, limits or Limits(max_pixels=max_pixels), registry.prior_finder(tokenizer))
        info = VideoInfo.from_header_fields(reader.header.video_fields())
        if not window.whole:
            info = replace(info, metadata=_metadata_of_part(info, reader, window))
        container = format or _format_of(target)
        notes = check_output(container, codec, info, crf=crf, audio=audio)
        decoder = Decoder(reader.header, device, fill, tokenizer)
        place: str | Path | BinaryIO = target
        if isinstance(target, str | Path):
            place = stack.enter_context(output_target(target, force))
        label = str(target) if isinstance(target, str | Path) else None
        writer = stack.enter_context(open_writer(place, info, format=container, codec=codec, crf=crf, audio=audio, label=label))
        stream = DecodeStream(reader, decoder, window)
        frames = write_stream(stream, writer, audio, progress)
        if frames == 0 or stream.groups == 0:
            if not reader.damage:
                raise UsageError(f"{source_name(source)}: no frame lies in the time that --start and --duration choose")
            raise DamagedFileError(f"nothing of {source_name(source)} could be decoded: {reader.damage[0]}")
        with stage("writing"):
            writer.close()
        notes = tuple(writer.notes)
    seconds = time.monotonic() - began
    header = reader.header
    damage = tuple(str(problem) for problem in reader.damage)
    return DecodeResult(
        frames, header.width, header.height, seconds, frames / max(seconds, 1e-9), str(decoder.device), notes, damage
    )


def write_stream(stream: DecodeStream, writer: VideoWriter, audio: bool = True, progress: ProgressCallback | None = None) -> int:
    """Write all that a stream gives; gives the number of its frames. The writer stays open."""
    frames = 0
    for item in moved_to_zero(stream, stream.info) if stream.window.start else stream:
        if isinstance(item, AudioPacket):
            if audio:
                with stage("writing"):
                    writer.write_audio(item)
            continue
        with stage("writing"):
            writer.write_frame(item.pixels, item.pts)
        frames += 1
        if progress is not None and frames % TEMPORAL == 0:
            progress(Progress(frames, stream.reader.frames_total, stream.tokens_total, stream.tokens_kept))
    return frames


def _metadata_of_part(info: VideoInfo, reader: Reader, window: TimeWindow) -> Metadata:
    """What the source said, for a part that begins at time 0 where it does not begin with the file."""
    origin = reader.index[0].first_pts * info.time_base if reader.index else Fraction(0)
    start = origin + window.start if window.start else Fraction(0)
    return info.metadata.part(start, None if window.end is None else origin + window.end)


def _format_of(target: str | Path | BinaryIO) -> str | None:
    """The container format a path's suffix asks for; None for streams, where the codec decides; pipes may have any name."""
    from latcomp.video import format_of_path

    if not isinstance(target, str | Path):
        return None
    try:
        return format_of_path(Path(target))
    except OutputError:
        if is_stream(target):
            return None
        raise
