"""What the measurements of masks and fills share: the encoder, the quantiser, the fill, the file and the decoder.

Only the keep masks differ between the methods of `latcomp.bench.allocators`. Whatever mask they ask for becomes a file
as `latcomp encode --keep` makes one: the same steps, the same lookahead and rounding, the fill that the encoder's own
rule picks."""

from __future__ import annotations

import io
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from latcomp.bench.rd.source import read_clip
from latcomp.codec.encode import Encoder
from latcomp.codec.groups import EncodedGroup, LatentStream
from latcomp.codec.pieces import DecodingStream
from latcomp.codec.settings import GROUP_LATENT_FRAMES, EncodeSettings
from latcomp.container import Header, Writer
from latcomp.devices import decodes_in_bf16
from latcomp.errors import NotAVideoError
from latcomp.inpaint.fill import Filler
from latcomp.latents import GroupView, HeldGroup, StepScale
from latcomp.selection import LookaheadHints, SelectionRecipe
from latcomp.tokenizer.base import DecoderCondition
from latcomp.tokenizer.pixels import encode_frames, padded, to_pixels
from latcomp.video import Frame, open_video

REPEAT_SECONDS = 2.0  # what took less is done again,
REPEATS_MOST = 3  # up to so many times, and the median counts

Made = TypeVar("Made")


@dataclass(frozen=True)
class BenchClip:
    """One clip in memory."""

    name: str
    frames: list[Frame]
    header: Header
    matrix: int | None
    """Of its luma, FFmpeg's number."""

    @property
    def pixels(self) -> int:
        """Pixels of all frames."""
        return len(self.frames) * self.header.width * self.header.height


@dataclass(frozen=True)
class Segment:
    """What an allocator is given: a segment's groups, their latents and the frames behind them."""

    groups: tuple[EncodedGroup, ...]

    @property
    def frames(self) -> list[list[np.ndarray]]:
        """(H, W, 3) uint8 RGB, those of each group."""
        return [list(group.pixels) for group in self.groups]

    @property
    def latents(self) -> list[np.ndarray]:
        """(C, T, h, w) float32 of each group."""
        return [group.latents for group in self.groups]

    @property
    def views(self) -> list[GroupView]:
        """What each group shows."""
        return [group.view for group in self.groups]

    @property
    def shapes(self) -> list[tuple[int, int, int]]:
        """(T, h, w) of each group."""
        return [(group.latents.shape[1], group.latents.shape[2], group.latents.shape[3]) for group in self.groups]

    @property
    def positions(self) -> int:
        """Tokens there are."""
        return sum(t * h * w for t, h, w in self.shapes)


@dataclass(frozen=True)
class Seconds:
    """How long something took: by the clock on the wall, and on all processors together."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Written:
    """A clip coded under some keep masks, and decoded again."""

    data: bytes
    """The .lat file."""
    tokens: int
    frames: list[np.ndarray]
    """Decoded, (H, W, 3) uint8 RGB."""
    code_seconds: float
    """Quantising, rounding, entropy coding and writing."""
    fill_seconds: float
    """Hold and LIT, and the choice between them."""
    decode_seconds: float
    """The tokenizer's decoder, to RGB frames."""


def timed(make: Callable[[], Made]) -> tuple[Made, Seconds]:
    """What `make` gives, and how long it takes: the median of up to 3 runs, as long as all of them took less than 2
    seconds.
    """
    walls, cpus = [], []
    while True:
        cpu, wall = time.process_time(), time.perf_counter()
        made = make()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
        if len(walls) == REPEATS_MOST or sum(walls) > REPEAT_SECONDS:
            return made, Seconds(statistics.median(walls), statistics.median(cpus))


class BenchCodec:
    """Loaded models at one quality. Raises `UsageError` for a quality out of range and models that are not found."""

    def __init__(self, quality: float, tokenizer: str | Path | None = None, device: str = "auto") -> None:
        # a share as budget: the header names a share and no threshold
        self.encoder = Encoder(EncodeSettings(quality=quality, keep=1.0), tokenizer, device)
        self.device = self.encoder.device
        self.half = decodes_in_bf16(self.device)

    def read(self, path: Path, square: int | None = None, duration_seconds: float | None = None) -> BenchClip:
        """The clip's frames; square: scaled and cut as by `read_clip`; duration_seconds: no more than its
        beginning.

        Raises `NotAVideoError`.
        """
        with tempfile.TemporaryDirectory(prefix="latcomp-") as folder:
            seen = path if square is None else read_clip(path, Path(folder), square).path
            with open_video(seen, audio=False, duration_seconds=duration_seconds) as reader:
                frames = [item for item in reader if isinstance(item, Frame)]
                if not frames:
                    raise NotAVideoError(f"{path}: has no frames")
                return BenchClip(path.stem, frames, self.encoder.header(reader), reader.info.color.matrix)

    def encode(self, clip: BenchClip) -> list[Segment]:
        """The clip's segments."""
        profile = self.encoder.coder.profile
        stream = LatentStream(
            self.encoder.tokenizer, self.device, GROUP_LATENT_FRAMES, keep_pixels=True, profile=profile
        )
        found: list[list[EncodedGroup]] = []
        for item in stream.run(clip.frames):
            if isinstance(item, EncodedGroup):
                if item.key:
                    found.append([])
                found[-1].append(item)
        return [Segment(tuple(groups)) for groups in found]

    @property
    def recipe(self) -> SelectionRecipe:
        """How the encoder selects."""
        return self.encoder.coder.recipe

    def scale(self, segment: Segment) -> StepScale:
        """The step scale of a segment, adjusted by its content."""
        return self.encoder.coder.scale_for(segment.groups[0])

    def hints(self, segment: Segment, scale: StepScale) -> list[LookaheadHints] | None:
        """The encoder's lookahead over each group; None where it has none."""
        found = [self.recipe.hints(latents, scale, refine=False) for latents in segment.latents]
        hints = [hint for hint in found if hint is not None]
        return hints or None

    def plain(self, latents: np.ndarray, scale: StepScale) -> np.ndarray:
        """Latents (C, T, h, w) as they come out of the quantiser: every token on the plain grid of steps."""
        quantiser = self.recipe.quantiser(scale)
        return quantiser.dequantise(quantiser.quantise(latents))

    def filler(self) -> Filler:
        """A fill at the beginning of a segment."""
        return Filler(self.encoder.lit, self.device, self.half, self.encoder.coder.profile)

    def tensor(self, latents: np.ndarray) -> Tensor:
        """Latents (C, T, h, w) as (1, C, T, h, w) on the device."""
        return torch.from_numpy(latents).to(self.device).unsqueeze(0)

    def source(self, frames: list[np.ndarray]) -> Tensor:
        """(T, H, W, 3) uint8 of a group's frames, padded as the encoder sees them."""
        return padded(frames, self.encoder.tokenizer.spec, self.device)

    def pixels(self, frames: Tensor) -> Tensor:
        """(1, 3, T, H, W) in [-1, 1] of frames (T, H, W, 3) uint8."""
        return to_pixels(frames, self.encoder.tokenizer.spec)

    @torch.inference_mode()
    def decode(
        self, filled: Tensor, state: Any, scale: StepScale, halvings: np.ndarray | None = None
    ) -> tuple[Tensor, Any]:
        """Frames (frames, H, W, 3) uint8, padded to whole positions, of filled latents (1, C, T, h, w), piece by
        piece as `latcomp decode` does.
        """
        steps = None if halvings is None else torch.from_numpy(halvings).to(self.device).unsqueeze(0)
        stream = DecodingStream(self.encoder.tokenizer, self.half, state)
        pieces = [piece.frames for piece in stream.decode(filled, DecoderCondition(scale.value, steps))]
        return torch.cat(pieces), stream.state

    def warm_up(self, segments: Sequence[Segment]) -> None:
        """Run every network once on every shape of group: libraries choose their kernels at the first call of a
        shape.
        """
        seen: set[tuple[int, int, int]] = set()
        for segment in segments:
            for group, frames, shape in zip(segment.groups, segment.frames, segment.shapes, strict=True):
                if shape in seen:
                    continue
                seen.add(shape)
                mask = np.arange(np.prod(shape)).reshape(shape) % 2 == 0
                held = HeldGroup(group.latents, mask, np.zeros(shape, np.int32), np.zeros(shape, np.uint8), group.view)
                filler, scale = self.filler(), self.encoder.coder.base
                for _ in range(2):  # the second time with C_fill
                    filled = filler.fill(held, "lit", scale)
                self.decode(filled, None, scale)
                with torch.inference_mode():
                    encode_frames(self.encoder.tokenizer, self.source(frames[:1]))

    def written(
        self, clip: BenchClip, segments: Sequence[Segment], masks: Sequence[Sequence[np.ndarray]], keep: float
    ) -> Written:
        """The clip as a .lat file under keep masks (T, h, w) of each segment's groups, decoded.

        keep: the share that the file says was asked for. The file holds what the frames were decoded from. Raises
        `UsageError` for masks that do not keep all of a segment's first latent frame."""
        file = io.BytesIO()
        writer = Writer(file, replace(clip.header, keep=keep), self.encoder.prior, self.encoder.settings.coding)
        height, width = clip.header.height, clip.header.width
        frames: list[np.ndarray] = []
        code = fill = decode = 0.0
        tokens = 0
        for segment, chosen in zip(segments, masks, strict=True):
            began = time.perf_counter()
            scale = self.scale(segment)
            hints = self.hints(segment, scale)
            selector = self.encoder.coder.begin(scale)
            filler = self.filler()
            code += time.perf_counter() - began
            state = None
            for place, (group, mask) in enumerate(zip(segment.groups, chosen, strict=True)):
                began = time.perf_counter()
                selection = selector.under(group.latents, mask, hints[place] if hints else None)
                held = selection.held_group
                filling = time.perf_counter()
                by, filled = filler.fill_best(held, group.latents, scale)
                decoding = time.perf_counter()
                shown, state = self.decode(filled, state, scale, selection.halvings)
                made = shown[: len(group.pts), :height, :width].cpu().numpy()
                writing = time.perf_counter()
                made_group = replace(self.encoder.coder.group(group, selection, scale, fill=False), fill=by)
                writer.write_group(made_group)
                code += filling - began + time.perf_counter() - writing
                fill += decoding - filling
                decode += writing - decoding
                tokens += len(made_group.tokens)
                frames += list(made)
        writer.close()
        return Written(file.getvalue(), tokens, frames, code, fill, decode)
