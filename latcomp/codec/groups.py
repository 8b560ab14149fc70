"""Frames to groups of latents, in bounded memory: pieces of frames go through the encoder as they arrive.

Where the camera moves, each latent frame is encoded over its own box of the world, and the encoder's state moves along.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from latcomp.codec.canvas import Canvas
from latcomp.codec.pieces import latent_frames_at_once
from latcomp.codec.settings import SEGMENT_GROUPS, STEPS_MOST_OFF
from latcomp.codec.world import Placed, World
from latcomp.container.offsets import world_most
from latcomp.devices import exact_fp32
from latcomp.errors import UsageError
from latcomp.latents import Box, FrameView, GroupView, Offset
from latcomp.latents.profile import CodingProfile
from latcomp.latents.steps import Steps, fit_steps
from latcomp.selection.scenes import SceneCuts
from latcomp.stages import stage
from latcomp.tokenizer.base import MovableTokenizer, VideoTokenizer
from latcomp.tokenizer.pixels import encode_frames, padded
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
    view: GroupView
    """What it shows of the world; latents stand over its window."""
    offsets: np.ndarray | None = None
    """int64 (frames, 2): camera offset of each frame; None where all are at the world's corner."""
    pixels: tuple[np.ndarray, ...] = ()
    """Its frames (H, W, 3) uint8 where they were asked for."""


@dataclass(frozen=True)
class _LatentFrame:
    """What some frames became: latents (C, h, w) over its box."""

    latents: np.ndarray
    placed: list[Placed]
    offsets: list[Offset]
    view: FrameView
    jump: bool
    """Whether it has too little in common with the one before."""
    first: bool
    """Whether the encoder started with it."""


class Grouping:
    """Latent frames to groups: of a fixed length, but a scene begins a group, and with it a segment."""

    def __init__(self, length: int, segment_groups: int, keep_pixels: bool = False, first: int | None = None) -> None:
        """length: latent frames of a group; segment_groups: most groups of a segment; keep_pixels: groups have their
        frames too; first: latent frames of a segment's first group where that is shorter.
        """
        self.length, self.segment_groups, self.keep_pixels = length, segment_groups, keep_pixels
        self.first_length = length if first is None else first
        self._current: list[_LatentFrame] = []
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
        self._current.append(frame)
        key = self._starts or self._in_segment == self.segment_groups
        if len(self._current) == (self.first_length if key else self.length):
            yield from self.end()

    def end(self) -> Iterator[EncodedGroup]:
        """What there is of a group."""
        if not self._current:
            return
        key = self._starts or self._in_segment == self.segment_groups
        self._in_segment = 1 if key else self._in_segment + 1
        parts, self._current, self._starts = self._current, [], False
        pictures = [each.frame for part in parts for each in part.placed]
        pts = np.array([picture.pts for picture in pictures], np.int64)
        pixels = tuple(picture.pixels for picture in pictures) if self.keep_pixels else ()
        offsets = np.array([offset for part in parts for offset in part.offsets], np.int64)
        latents, view = _over_window(parts)
        still = None if not offsets.any() else offsets
        group = EncodedGroup(self._index, key, self._first, pts, latents, view, still, pixels)
        self._index, self._first = self._index + 1, self._first + len(pts)
        yield group


def _over_window(parts: list[_LatentFrame]) -> tuple[np.ndarray, GroupView]:
    """(latents (C, T, h, w) over the window of a group, what it shows)."""
    view = GroupView.over(tuple(part.view for part in parts))
    if all(part.view.box == view.window for part in parts):
        return np.stack([part.latents for part in parts], axis=1), view
    latents = np.zeros((len(parts[0].latents), *view.shape), np.float32)
    for t, part in enumerate(parts):
        view.part(latents, t)[...] = part.latents
    return latents, view


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
        known = Steps(self.spec.channel_step, self.spec.channel_scale) if self.spec.steps_known else self._profile.steps
        self._steps = known  # None: fitted to the first latents, which is good enough to tell a cut by
        self._most = group_latent_frames
        # no chunk may lie in two groups, as each goes through the decoder by itself
        lengths = [self.spec.whole_chunks(group_latent_frames, start) for start in (False, True)]
        self._grouping = Grouping(lengths[0], segment_groups, keep_pixels, lengths[1])
        self._world = World()
        self._canvas = Canvas(self.spec.spatial)
        # one latent frame is held back: of two jumps in a row, as frames of one with a cut among them make, the scene
        # begins with the second
        self._waiting: _LatentFrame | None = None
        self._restart()

    def _restart(self) -> None:
        """Begin a stream of the encoder."""
        self._state: Any = None
        self._box: Box | None = None  # of the last latent frame
        self._still: np.ndarray | None = None  # the last frame, where none of the stream moved
        self._made = 0  # latent frames since then
        self._cuts = None if self._steps is None else SceneCuts(self._steps.step, self._profile)
        self._canvas.restart()

    def run(self, items: Iterable[Frame | Placed | AudioPacket]) -> Iterator[EncodedGroup | AudioPacket]:
        """Groups in order; the last one, and one before a scene cut, may be short. The true number of frames is the
        length of `pts`. Frames that were not placed are where the first one is.
        """
        queue: list[Placed] = []
        for item in items:
            if isinstance(item, AudioPacket):
                yield item
                continue
            queue.append(Placed(item) if isinstance(item, Frame) else item)
            while queue and len(queue) >= self._frames_at_once(queue[-1]):
                queue = yield from self._encode(queue)
        while queue or self._waiting is not None:
            queue = yield from self._encode(queue) if queue else self._settle(None)
        yield from self._grouping.end()

    def _frames_at_once(self, placed: Placed) -> int:
        """Frames like this one that the encoder takes next."""
        starts = self._made == 0 or not self.spec.exact_streaming
        rule = self.spec.rule if starts else self.spec.rule.inside
        height, width = placed.frame.pixels.shape[:2]
        most = self.spec.whole_chunks(self._most, starts)
        return rule.frames(latent_frames_at_once(self.spec, height, width, most, starts))

    def _encode(self, queue: list[Placed]) -> Generator[EncodedGroup, None, list[Placed]]:
        """The groups that are complete with the first frames of the queue; returns the frames to go on with."""
        if not self.spec.exact_streaming:
            self._restart()
        count = self._frames_at_once(queue[0])
        rule = self.spec.rule if self._made == 0 else self.spec.rule.inside
        piece = queue[:count]
        still = 0
        for t in range(rule.latent_frames(len(piece))):
            if not self._world.rests(piece[rule.place(t)]):
                break
            still = min(rule.frames(t + 1), len(piece))
        if not still:
            count = min(rule.frames(1), len(piece))
            yield from self._encode_moving(piece[:count])
            return queue[count:]
        return (yield from self._encode_still(piece[:still], queue[still:]))

    def _encode_still(self, placed: list[Placed], rest: list[Placed]) -> Generator[EncodedGroup, None, list[Placed]]:
        """The same of frames that all lie at the world's corner; rest: those behind them."""
        start = self._made == 0
        frames = [each.frame for each in placed]
        self._still = frames[-1].pixels
        with stage("tokenizer"):
            latents = self._latents([frame.pixels for frame in frames])
        view = FrameView.whole(latents.shape[2:])
        self._box = view.box
        rule = self.spec.rule if start else self.spec.rule.inside
        for t in range(latents.shape[1]):
            here = latents[:, t]
            with stage("selection"):
                # where nothing moves, a start-up transient changes latents all the same
                jump = self._made >= self.spec.transient and self._jumps(here, view.box)
            self._made += 1
            place = rule.place(t)
            offsets = [(0, 0)] * len(placed[place])
            again = yield from self._settle(_LatentFrame(here, placed[place], offsets, view, jump, start and t == 0))
            if again:
                return [*again, *placed[place.stop :], *rest]
        return rest

    def _encode_moving(self, placed: list[Placed]) -> Iterator[EncodedGroup]:
        """The groups that are complete with one latent frame of a moving camera."""
        yield from self._settle(None)
        frames = [each.frame.pixels for each in placed]
        height, width = frames[0].shape[:2]
        size = (height, width, self.spec.spatial)
        most = world_most(self.spec.grid(height, width))
        offsets, starts = self._world.place(placed)
        view = FrameView.shown(offsets, *size)
        if starts or self._grouping.segment_is_full or not self._world.holds(view.box, most):
            starts = True
            self._restart()
            offsets = self._world.begin(placed)
            view = FrameView.shown(offsets, *size)
        elif self._still is not None:
            self._canvas.place([self._still], [(0, 0)], FrameView.whole(self.spec.grid(height, width)).box)
            self._still = None
        latents, jump = self._encoded(frames, offsets, view)
        if not starts and jump and not self._world.ends_elsewhere:
            # a cut that pixels did not tell
            starts = True
            self._restart()
            offsets = self._world.begin(placed)
            view = FrameView.shown(offsets, *size)
            latents, _ = self._encoded(frames, offsets, view)
        self._world.take(offsets, view.box)
        yield from self._grouping.add(_LatentFrame(latents, placed, offsets, view, False, starts), starts)

    def _encoded(self, frames: list[np.ndarray], offsets: list[Offset], view: FrameView) -> tuple[np.ndarray, bool]:
        """(latents (C, h, w) of a latent frame over its box, whether it has too little in common with the one
        before).
        """
        with stage("camera"):
            pixels = self._canvas.place(frames, offsets, view.box)
        with stage("tokenizer"):
            self._move(view.box)
            latents = self._latents(list(pixels))[:, 0]
        self._made += 1
        with stage("selection"):
            return latents, self._jumps(latents, view.box)

    def _jumps(self, latents: np.ndarray, box: Box) -> bool:
        """Whether a latent frame (C, h, w) has too little in common with the one before."""
        if self._cuts is None:
            self._steps = fit_steps(latents, self.spec.channel_step, STEPS_MOST_OFF)
            self._cuts = SceneCuts(self._steps.step, self._profile)
        return self._cuts.jumps(latents, box)

    def _move(self, box: Box) -> None:
        """Carry the encoder's stream to another box."""
        before, self._box = self._box, box
        if before is not None and before != box:
            if not isinstance(self.tokenizer, MovableTokenizer):
                raise UsageError(
                    f"the tokenizer {self.spec.name!r} cannot follow a moving camera: use camera='off'",
                    settings=("camera",),
                )
            down, right = box.top - before.top, box.left - before.left
            self._state = self.tokenizer.move(self._state, down, right, box.shape)

    def _settle(self, following: _LatentFrame | None) -> Generator[EncodedGroup, None, list[Placed]]:
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
            return [*waiting.placed, *(following.placed if following is not None else [])]
        yield from self._grouping.add(waiting, starts or waiting.first)
        return []

    @torch.inference_mode()
    def _latents(self, frames: list[np.ndarray]) -> np.ndarray:
        """Latents (C, T, h, w) of some frames, in the encoder's full precision: a rounding of the latents would flip
        tokens near the threshold.
        """
        with exact_fp32():
            pixels = padded(frames, self.spec, self.device, start=self._made == 0)
            latents, self._state = encode_frames(self.tokenizer, pixels, self._state)
        return latents[0].float().cpu().numpy()
