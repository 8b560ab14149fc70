"""Frames to groups of latents, in bounded memory: pieces of frames go through the encoder as they arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from latcomp.codec.settings import SEGMENT_GROUPS
from latcomp.devices import exact_fp32
from latcomp.selection.scenes import SceneCuts
from latcomp.stages import stage
from latcomp.tokenizer.config import SPATIAL, TEMPORAL
from latcomp.tokenizer.model import StreamState, Tokenizer
from latcomp.video import AudioPacket, Frame

PIECE_PIXELS = 4 * 1280 * 720  # pixels that go through the network at once: bounds memory, fills the cores


@dataclass(frozen=True)
class EncodedGroup:
    """One group before selection: latents (C, T, h, w) float32, and the times of its frames."""

    index: int
    key: bool
    """Whether it starts a segment."""
    first_frame: int
    pts: np.ndarray
    latents: np.ndarray
    pixels: tuple[np.ndarray, ...] = ()
    """Its frames (H, W, 3) uint8 where they were asked for."""


@dataclass(frozen=True)
class _LatentFrame:
    """What four frames became: latents (C, h, w)."""

    latents: np.ndarray
    pts: list[int]
    pixels: list[np.ndarray]
    jump: bool


def frames_a_piece(height: int, width: int, most: int) -> int:
    """Frames to run through a network at once: a multiple of 4, at least 4, at most `most`."""
    fitting = PIECE_PIXELS // (height * width) // TEMPORAL * TEMPORAL
    return int(min(max(fitting, TEMPORAL), most))


def to_pixels(frames: list[np.ndarray], device: torch.device) -> Tensor:
    """(1, 3, T, H, W) in [-1, 1] of RGB frames (h, w, 3) uint8: sides padded to multiples of 8 and T to one of 4, by
    repetition.
    """
    count = len(frames)
    stacked = np.stack(frames + [frames[-1]] * (-count % TEMPORAL))
    height, width = stacked.shape[1:3]
    bottom, right = -height % SPATIAL, -width % SPATIAL
    if bottom or right:
        stacked = np.pad(stacked, ((0, 0), (0, bottom), (0, right), (0, 0)), mode="edge")
    pixels = torch.from_numpy(stacked).to(device).permute(3, 0, 1, 2).unsqueeze(0)
    return pixels.float().div_(127.5).sub_(1)


def to_frames(pixels: Tensor, height: int, width: int) -> np.ndarray:
    """(T, height, width, 3) uint8 RGB of pixels (1, 3, T, H, W) in [-1, 1]; the padding is cut off."""
    cut = pixels[0, :, :, :height, :width].float()
    return cut.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8).permute(1, 2, 3, 0).contiguous().cpu().numpy()


class Grouping:
    """Latent frames to groups: of a fixed length, but a scene begins a group, and with it a segment."""

    def __init__(self, length: int, segment_groups: int) -> None:
        """length: latent frames a group; segment_groups: most groups a segment."""
        self.length, self.segment_groups = length, segment_groups
        self._waiting: _LatentFrame | None = None
        self._current: list[_LatentFrame] = []
        self._starts = True
        self._index = self._first = 0
        self._in_segment = 0

    def put(self, frame: _LatentFrame) -> Iterator[EncodedGroup]:
        """The groups that are complete with this latent frame. One is held back: of two jumps in a row, as four frames
        with a cut among them make, the scene begins with the second."""
        waiting, self._waiting = self._waiting, frame
        if waiting is not None:
            yield from self._add(waiting, waiting.jump and not frame.jump)

    def end(self) -> Iterator[EncodedGroup]:
        """What is left."""
        if self._waiting is not None:
            yield from self._add(self._waiting, self._waiting.jump)
        self._waiting = None
        if self._current:
            yield self._group()

    def _add(self, frame: _LatentFrame, starts: bool) -> Iterator[EncodedGroup]:
        if starts and self._current:
            yield self._group()
        self._starts |= starts
        self._current.append(frame)
        if len(self._current) == self.length:
            yield self._group()

    def _group(self) -> EncodedGroup:
        key = self._starts or self._in_segment == self.segment_groups
        self._in_segment = 1 if key else self._in_segment + 1
        parts, self._current, self._starts = self._current, [], False
        pts = np.array([time for part in parts for time in part.pts], np.int64)
        group = EncodedGroup(
            self._index,
            key,
            self._first,
            pts,
            np.stack([part.latents for part in parts], axis=1),
            tuple(picture for part in parts for picture in part.pixels),
        )
        self._index, self._first = self._index + 1, self._first + len(pts)
        return group


class LatentStream:
    """Runs the encoder over a stream of frames and hands out whole groups; audio packets pass through in their
    place.
    """

    def __init__(
        self,
        tokenizer: Tokenizer,
        device: torch.device,
        group_frames: int,
        segment_groups: int = SEGMENT_GROUPS,
        keep_pixels: bool = False,
    ) -> None:
        """group_frames: frames of a whole group; segment_groups: most groups a segment; keep_pixels: hand out the
        frames too.
        """
        self.tokenizer, self.device, self.keep_pixels = tokenizer, device, keep_pixels
        self._most = group_frames
        self._grouping = Grouping(group_frames // TEMPORAL, segment_groups)
        self._cuts = SceneCuts(np.array(tokenizer.config.channel_step, np.float32))
        self._state: StreamState | None = None

    def run(self, items: Iterable[Frame | AudioPacket]) -> Iterator[EncodedGroup | AudioPacket]:
        """Groups in order; the last one, and one before a scene cut, may be short. The true number of frames is the
        length of `pts`.
        """
        waiting: list[Frame] = []
        for item in items:
            if isinstance(item, AudioPacket):
                yield item
                continue
            waiting.append(item)
            height, width = item.pixels.shape[:2]
            if len(waiting) == frames_a_piece(height, width, self._most):
                yield from self._encode(waiting)
                waiting = []
        if waiting:
            yield from self._encode(waiting)
        yield from self._grouping.end()

    def _encode(self, frames: list[Frame]) -> Iterator[EncodedGroup]:
        """The groups that are complete with some more frames."""
        with stage("tokenizer"):
            latents = self._latents([frame.pixels for frame in frames])
        for t in range(latents.shape[1]):
            part = frames[t * TEMPORAL : (t + 1) * TEMPORAL]
            pixels = [frame.pixels for frame in part] if self.keep_pixels else []
            here = latents[:, t]
            with stage("selection"):
                jump = self._cuts.jumps(here)
            yield from self._grouping.put(_LatentFrame(here, [frame.pts for frame in part], pixels, jump))

    @torch.inference_mode()
    def _latents(self, frames: list[np.ndarray]) -> np.ndarray:
        """Latents (C, T, h, w) of some frames, in fp32: a rounding of the latents would flip tokens near the
        threshold.
        """
        with exact_fp32():
            found, self._state = self.tokenizer.encode(to_pixels(frames, self.device), self._state)
        return found[0].cpu().numpy()
