"""The frame rule: how many latent frames the frames of a stretch of video make, and which frames each stands for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FrameRule:
    """The first latent frame stands for `first` frames, every other one for `temporal`; the last may stand for fewer,
    as its frames were filled up by repetition before they were encoded."""

    temporal: int
    """Frames of a latent frame, at least 1."""
    first: int
    """Frames of the first one, 1 to `temporal`."""

    def latent_frames(self, frames: int) -> int:
        """Latent frames that so many frames make; frames: 0 or more."""
        return min(frames, 1) + -(-max(frames - self.first, 0) // self.temporal)

    def frames(self, latent_frames: int) -> int:
        """Frames that so many latent frames stand for when the last is full; latent_frames: 0 or more."""
        return self.first + (latent_frames - 1) * self.temporal if latent_frames else 0

    def missing(self, frames: int) -> int:
        """Frames that must be added at the end so that the last latent frame is full."""
        return self.frames(self.latent_frames(frames)) - frames

    def fits(self, frames: int, latent_frames: int) -> bool:
        """Whether so many frames make so many latent frames, at least one."""
        return latent_frames >= 1 and self.frames(latent_frames - 1) < frames <= self.frames(latent_frames)

    def place(self, latent_frame: int) -> slice:
        """The frames that a latent frame stands for, counted from 0 as it is; the last may be cut short."""
        return slice(self.frames(latent_frame), self.frames(latent_frame + 1))

    def latent_frame_of(self, frame: int) -> int:
        """The latent frame that stands for a frame; both counted from 0."""
        return self.latent_frames(frame + 1) - 1

    def counts(self, frames: int) -> list[int]:
        """How many of so many frames each latent frame stands for."""
        whole, rest = divmod(max(frames - self.first, 0), self.temporal)
        return [min(self.first, frames)] * (frames > 0) + [self.temporal] * whole + [rest] * (rest > 0)

    @property
    def inside(self) -> FrameRule:
        """The rule of latent frames that follow others: none of them is a first one."""
        return FrameRule(self.temporal, self.temporal)
