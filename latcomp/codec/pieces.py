"""How much goes through a tokenizer's networks at once, and its decoder over a stream in such pieces."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from latcomp.errors import UnsupportedFileError
from latcomp.latents import Box, GroupView
from latcomp.stages import stage
from latcomp.tokenizer.base import DecoderCondition, MovableTokenizer, TokenizerSpec, VideoTokenizer
from latcomp.tokenizer.pixels import decode_frames

PIECE_PIXELS = 4 * 1280 * 720  # pixels that go through the network at once: bounds memory, fills the cores


def frames_at_once(height: int, width: int) -> int:
    """Frames of this size that go through a network at once, whatever the tokenizer makes of them: at least one."""
    return max(PIECE_PIXELS // (height * width), 1)


def latent_frames_at_once(spec: TokenizerSpec, height: int, width: int, most: int, start: bool) -> int:
    """Latent frames of pictures of this size to run through a network at once: whole chunks, at least one, at most
    `most`, which it is for a tokenizer that must see a whole group at once. start: whether they begin a stream.
    """
    if not spec.exact_streaming:
        return most
    return spec.whole_chunks(int(min(max(frames_at_once(height, width) // spec.temporal, 1), most)), start)


@dataclass(frozen=True)
class Piece:
    """What some latent frames of a group decode to."""

    frames: Tensor
    """(frames, H, W, 3) uint8 RGB, padded to whole positions."""
    box: Box
    """The part of the world that they cover."""


class DecodingStream:
    """One stream of a tokenizer's decoder, latents in and frames out."""

    def __init__(self, tokenizer: VideoTokenizer, half: bool, state: Any = None) -> None:
        """half: whether the network computes in bf16; state: of the stream so far, None at its start."""
        self.tokenizer, self.half, self.state = tokenizer, half, state
        self._box: Box | None = None  # of the last latent frame

    def restart(self) -> None:
        """Begin a new stream."""
        self.state = self._box = None

    def decode(
        self, latents: Tensor, condition: DecoderCondition | None, view: GroupView | None = None
    ) -> Iterator[Piece]:
        """Frames of the stream's next latents (1, C, T, h, w), piece by piece; each covers the box of its latent
        frames. view: what the latents show, None where they stand over a grid at the world's corner."""
        spec, steps = self.tokenizer.spec, latents.shape[2]
        if view is None:
            view = GroupView.whole(steps, latents.shape[3:])
        start = 0
        while start < steps:
            box = view.frames[start].box
            height, width = box.rows * spec.spatial, box.columns * spec.spatial
            most = latent_frames_at_once(spec, height, width, steps, self.state is None)
            end = start + 1
            while end < min(start + most, steps) and view.frames[end].box == box:
                end += 1
            rows, columns = box.inside(view.window)
            here = latents[:, :, start:end, rows, columns]
            self._move(box)
            with stage("tokenizer"), torch.autocast(latents.device.type, torch.bfloat16, enabled=self.half):
                told = cut(condition, start, end, rows, columns)
                frames, self.state = decode_frames(self.tokenizer, here, self.state, told)
            yield Piece(frames, box)
            start = end

    def _move(self, box: Box) -> None:
        """Carry the stream to another box. Raises `UnsupportedFileError` for a tokenizer that cannot."""
        before, self._box = self._box, box
        if before is None or before == box or self.state is None:
            return
        if not isinstance(self.tokenizer, MovableTokenizer):
            raise UnsupportedFileError(f"the tokenizer {self.tokenizer.spec.name!r} cannot follow a moving camera")
        down, right = box.top - before.top, box.left - before.left
        self.state = self.tokenizer.move(self.state, down, right, box.shape)


def cut(
    condition: DecoderCondition | None, start: int, end: int, rows: slice = slice(None), columns: slice = slice(None)
) -> DecoderCondition | None:
    """The condition of the latent frames from `start` to `end`, or of some positions of them."""
    if condition is None or condition.step_halvings is None:
        return condition
    return replace(condition, step_halvings=condition.step_halvings[:, start:end, rows, columns])
