"""Groups to frames under the models that a file names: tokens -> fill -> tokenizer.decode, with what one group leaves
to the next.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latcomp import models
from latcomp.codec.filled import FillModels, GroupFiller
from latcomp.codec.pieces import DecodingStream, Piece, cut
from latcomp.container import Group, Header
from latcomp.devices import memory_errors
from latcomp.latents import GroupView, Offset
from latcomp.stages import stage
from latcomp.tokenizer.base import DecoderCondition


@dataclass(frozen=True)
class _Unseen:
    """The end of a group that was filled and not decoded: latents (1, C, T, h, w), and the quantiser behind them."""

    latents: Tensor
    condition: DecoderCondition | None
    view: GroupView
    """What they show."""
    offset: Offset
    """Of the group's last frame."""
    behind: int
    """Frames that its last latent frame decodes to behind the group's last one."""


class Decoder:
    """Loaded models for one kind of file; turns groups into frames."""

    def __init__(
        self, header: Header, device: str = "auto", fill: str = "auto", tokenizer: str | Path | None = None
    ) -> None:
        needed = FillModels(header, device, fill, tokenizer)
        self.header, self.device = header, needed.device
        with memory_errors(self.device):
            self.tokenizer = models.load_tokenizer(needed.folder).to(self.device)
        self._groups = GroupFiller(header, needed)
        self.spec = self.tokenizer.spec
        _ = needed.lit  # loaded now: a file that cannot be decoded fails before its output is begun
        self._stream = DecodingStream(self.tokenizer, needed.half)
        self._unseen: list[_Unseen] = []

    def _filled(self, group: Group) -> tuple[Tensor, DecoderCondition | None]:
        """(filled latents (1, C, T, h, w), the quantiser behind them, None for exact ones) of the next group, on the
        device.
        """
        if self._groups.starts_with(group):
            self._stream.restart()
            self._unseen.clear()
        return self._groups.fill(group)

    @torch.inference_mode()
    def frames(self, group: Group) -> Iterator[np.ndarray]:
        """The group's frames, (H, W, 3) uint8 RGB, as many as it has times."""
        with memory_errors(self.device):
            latents, condition = self._filled(group)
            self._catch_up()
            given, frames = 0, len(group.pts)
            for piece in self._stream.decode(latents, condition, group.view):
                count = min(len(piece.frames), frames - given)
                with stage("tokenizer"):
                    made = self._frames(piece, None if group.offsets is None else group.offsets[given : given + count])
                yield from made[:count]
                given += count

    def _frames(self, piece: Piece, offsets: np.ndarray | None) -> np.ndarray:
        """(frames, H, W, 3) uint8 of a piece; offsets: (frames, 2) where they lie in the world, None for its corner."""
        height, width = self.header.height, self.header.width
        if offsets is None:
            return np.ascontiguousarray(piece.frames[:, :height, :width].cpu().numpy())
        corner = np.array((piece.box.top, piece.box.left)) * self.spec.spatial
        cuts = [
            piece.frames[at, top : top + height, left : left + width].cpu().numpy()
            for at, (top, left) in enumerate((offsets - corner).tolist())
        ]
        return np.stack(cuts)

    @torch.inference_mode()
    def skip(self, group: Group) -> None:
        """Take in a group whose frames are not wanted: filled, which is quick, and decoded later as far as what follows
        depends on it.
        """
        with memory_errors(self.device):
            latents, condition = self._filled(group)
        steps, reach = latents.shape[2], self.spec.decoder_reach
        start = 0 if reach is None else max(steps - reach, 0)
        behind = self.header.rule_of(group.key).frames(steps) - len(group.pts)
        view = GroupView(group.view.frames[start:], group.view.window)
        offset = (0, 0) if group.offsets is None else (int(group.offsets[-1, 0]), int(group.offsets[-1, 1]))
        part = _Unseen(latents[:, :, start:].clone(), cut(condition, start, steps), view, offset, behind)
        self._unseen.append(part)
        while reach is not None and sum(part.latents.shape[2] for part in self._unseen[1:]) >= reach:
            del self._unseen[0]

    @torch.inference_mode()
    def decode_last_skipped(self) -> np.ndarray | None:
        """Catch up with the groups that were skipped last: their last frame (H, W, 3); None when there are none."""
        if not self._unseen:
            return None
        behind, offset = self._unseen[-1].behind, self._unseen[-1].offset
        with memory_errors(self.device):
            piece = self._catch_up()
            if piece is None:
                return None
            with stage("tokenizer"):
                at = len(piece.frames) - 1 - behind
                last = self._frames(Piece(piece.frames[at : at + 1], piece.box), np.array([offset]))
        frame: np.ndarray = last[0]
        return frame

    def _catch_up(self) -> Piece | None:
        """Decode what was skipped, so that the stream's state is right; gives the last piece of it."""
        last = None
        for part in self._unseen:
            for piece in self._stream.decode(part.latents, part.condition, part.view):
                last = piece
        self._unseen.clear()
        return last
