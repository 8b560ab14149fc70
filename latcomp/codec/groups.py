"""Frames to groups of latents, in bounded memory: pieces of frames go through the encoder as they arrive."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latcomp.codec.pieces import latent_frames_at_once
from latcomp.codec.settings import SEGMENT_GROUPS
from latcomp.devices import exact_fp32
from latcomp.latents.profile import CodingProfile
from latcomp.selection.scenes import SceneCuts
from latcomp.stages import stage
from latcomp.tokenizer.base import VideoTokenizer
from latcomp.tokenizer.pixels import to_pixels
from latcomp.video import AudioPacket, Frame


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
    """What some frames became: latents (C, h, w)."""

    latents: np.ndarray
    frames: list[Frame]
    jump: bool
    """Whether it has too little in common with the one before."""
    first: bool
    """Whether the encoder started with it."""


class Grouping:
    """Latent frames to groups: of a fixed length, but a scene begins a group, and with it a segment."""

    def __init__(self, length: int, segment_groups: int, keep_pixels: bool = False) -> None:
        """length: latent frames of a group; segment_groups: most groups of a segment; keep_pixels: groups have their
        frames too.
        """
        self.length, self.segment_groups, self.keep_pixels = length, segment_groups, keep_pixels
        self._current: list[tuple[np.ndarray, list[int], list[np.ndarray]]] = []
        self._starts = True
        self._index = self._first = 0
        self._in_segment = 0

    @property
    def segment_is_full(self) -> bool:
        """Whether the next latent frame begins a segment because the one before has as many groups as it may have."""
        return not self._current and self._in_segment == self.segment_groups

    def add(self, frame: _LatentFrame, starts: bool) -> Iterator[EncodedGroup]:
        """The groups that are complete with this latent frame; starts: whether it begins a segment."""
        if starts:
            yield from self.end()
        self._starts |= starts
        pixels = [picture.pixels for picture in frame.frames] if self.keep_pixels else []
        self._current.append((frame.latents, [picture.pts for picture in frame.frames], pixels))
        if len(self._current) == self.length:
            yield from self.end()

    def end(self) -> Iterator[EncodedGroup]:
        """What there is of a group."""
        if not self._current:
            return
        key = self._starts or self._in_segment == self.segment_groups
        self._in_segment = 1 if key else self._in_segment + 1
        parts, self._current, self._starts = self._current, [], False
        pts = np.array([time for _, times, _ in parts for time in times], np.int64)
        latents = np.stack([here for here, _, _ in parts], axis=1)
        pixels = tuple(picture for _, _, pictures in parts for picture in pictures)
        group = EncodedGroup(self._index, key, self._first, pts, latents, pixels)
        self._index, self._first = self._index + 1, self._first + len(pts)
        yield group


class LatentStream:
    """Runs the encoder over a stream of frames and hands out whole groups; audio packets pass through in their
    place.

    Where a tokenizer must start anew at each segment (`TokenizerSpec.restarts`), frames of a segment that was found to
    begin among latent frames already made are encoded a second time."""

    def __init__(
        self,
        tokenizer: VideoTokenizer,
        device: torch.device,
        group_latent_frames: int,
        segment_groups: int = SEGMENT_GROUPS,
        keep_pixels: bool = False,
        profile: CodingProfile | None = None,
    ) -> None:
        """group_latent_frames: latent frames of a whole group; segment_groups: most groups of a segment; keep_pixels:
        hand out the frames too; profile: the tokenizer's, for the bounds of scene cuts.
        """
        self.tokenizer, self.spec, self.device = tokenizer, tokenizer.spec, device
        self._profile = CodingProfile() if profile is None else profile
        self._most = group_latent_frames
        self._grouping = Grouping(group_latent_frames, segment_groups, keep_pixels)
        # one latent frame is held back: of two jumps in a row, as frames of one with a cut among them make, the scene
        # begins with the second
        self._waiting: _LatentFrame | None = None
        self._restart()

    def _restart(self) -> None:
        """Begin a stream of the encoder."""
        self._state: Any = None
        self._made = 0  # latent frames since then
        self._cuts = SceneCuts(np.array(self.spec.channel_step, np.float32), self._profile)

    def run(self, items: Iterable[Frame | AudioPacket]) -> Iterator[EncodedGroup | AudioPacket]:
        """Groups in order; the last one, and one before a scene cut, may be short. The true number of frames is the
        length of `pts`.
        """
        queue: list[Frame] = []
        for item in items:
            if isinstance(item, AudioPacket):
                yield item
                continue
            queue.append(item)
            while len(queue) >= self._frames_at_once(item):
                queue = yield from self._encode(queue)
        while queue or self._waiting is not None:
            queue = yield from self._encode(queue) if queue else self._settle(None)
        yield from self._grouping.end()

    def _frames_at_once(self, frame: Frame) -> int:
        """Frames like this one that the encoder takes next."""
        starts = self._made == 0 or not self.spec.exact_streaming
        rule = self.spec.rule if starts else self.spec.rule.inside
        height, width = frame.pixels.shape[:2]
        return rule.frames(latent_frames_at_once(self.spec, height, width, self._most))

    def _encode(self, queue: list[Frame]) -> Generator[EncodedGroup, None, list[Frame]]:
        """The groups that are complete with the first frames of the queue; returns the frames to go on with."""
        if not self.spec.exact_streaming:
            self._restart()
        count, start = self._frames_at_once(queue[0]), self._made == 0
        frames, rest = queue[:count], queue[count:]
        with stage("tokenizer"):
            latents = self._latents([frame.pixels for frame in frames])
        rule = self.spec.rule if start else self.spec.rule.inside
        for t in range(latents.shape[1]):
            here = latents[:, t]
            with stage("selection"):
                # where nothing moves, a start-up transient changes latents all the same
                jump = self._made >= self.spec.transient and self._cuts.jumps(here)
            self._made += 1
            place = rule.place(t)
            again = yield from self._settle(_LatentFrame(here, frames[place], jump, start and t == 0))
            if again:
                return [*again, *frames[place.stop :], *rest]
        return rest

    def _settle(self, following: _LatentFrame | None) -> Generator[EncodedGroup, None, list[Frame]]:
        """The groups that are complete now that it is known what follows the latent frame that waits; returns frames to
        encode again, with which a segment begins.
        """
        waiting, self._waiting = self._waiting, following
        if waiting is None:
            return []
        starts = self._grouping.segment_is_full or (waiting.jump and not (following is not None and following.jump))
        if starts and self.spec.restarts and not waiting.first:
            yield from self._grouping.end()
            self._waiting = None
            self._restart()
            return [*waiting.frames, *(following.frames if following is not None else [])]
        yield from self._grouping.add(waiting, starts or waiting.first)
        return []

    @torch.inference_mode()
    def _latents(self, frames: list[np.ndarray]) -> np.ndarray:
        """Latents (C, T, h, w) of some frames, in the encoder's full precision: a rounding of the latents would flip
        tokens near the threshold.
        """
        with exact_fp32():
            pixels = to_pixels(frames, self.spec, self.device, start=self._made == 0)
            latents, self._state = self.tokenizer.encode(pixels, self._state)
        return latents[0].float().cpu().numpy()
