"""What a .lat file costs: bytes by kind and counts by group, gathered while writing or scanning."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from latcomp.container.chunks import CHUNK_OVERHEAD
from latcomp.container.group import GroupHead
from latcomp.container.header import Header
from latcomp.container.walk import Problem
from latcomp.latents import Offset


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """Counts of one group."""

    index: int
    key: bool
    first_frame: int
    first_pts: int
    last_pts: int
    frames: int
    latent_frames: int
    tokens_total: int
    """Visible positions of all its latent frames."""
    tokens_kept: int
    bytes_mask: int
    bytes_tokens: int
    bytes: int
    """All bytes of its chunk."""
    fill: str
    offset: Offset = (0, 0)
    """Camera offset (dy, dx) of its first frame."""
    pixels_travelled: float = 0.0
    """Lengths of the camera's steps from frame to frame, added up; from the frame before in the segment on."""
    camera_steps: int = 0
    """How many steps those are: one a frame, but none to a segment's first frame, or to one behind lost frames."""


@dataclass(frozen=True, slots=True)
class AttachmentSummary:
    """What one attachment is."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    bytes: int
    """All bytes of its chunk."""


@dataclass
class FileSummary:
    """Counts of one file."""

    header: Header
    bytes_header: int
    """Everything before the first chunk."""
    bytes_total: int = 0
    bytes_mask: int = 0
    bytes_tokens: int = 0
    bytes_audio: int = 0
    """Whole audio chunks."""
    audio_packets: int = 0
    attachments: list[AttachmentSummary] = field(default_factory=list)
    groups: list[GroupSummary] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """What was damaged; empty for an intact file."""
    last_step: int | None = None
    """Time between the last two frames of a group, as last seen: the guess for how long the last frame stays."""
    last_offset: Offset = (0, 0)
    """Camera offset of the last frame of the last group."""

    @property
    def format_version(self) -> int:
        """Of the file."""
        return self.header.version

    @property
    def bytes_other(self) -> int:
        """Group heads, frame times, chunk framing, index and end marker."""
        known = self.bytes_header + self.bytes_mask + self.bytes_tokens + self.bytes_audio + self.bytes_attachments
        return self.bytes_total - known

    @property
    def bytes_attachments(self) -> int:
        """Whole chunks of attachments."""
        return sum(attachment.bytes for attachment in self.attachments)

    @property
    def frames(self) -> int:
        """Frames of all groups."""
        return sum(group.frames for group in self.groups)

    @property
    def latent_frames(self) -> int:
        """Latent frames of all groups."""
        return sum(group.latent_frames for group in self.groups)

    @property
    def tokens_total(self) -> int:
        """Visible positions of all latent frames."""
        return sum(group.tokens_total for group in self.groups)

    @property
    def tokens_kept(self) -> int:
        """Kept tokens of all groups."""
        return sum(group.tokens_kept for group in self.groups)

    @property
    def segments(self) -> int:
        """Segments: key groups."""
        return sum(group.key for group in self.groups)

    @property
    def duration_seconds(self) -> float:
        """From the first frame's time to the end of the last frame, which stays as long as the one before it did."""
        if not self.groups:
            return 0.0
        numerator, denominator = self.header.time_base
        span = max(group.last_pts for group in self.groups) - min(group.first_pts for group in self.groups)
        rate = self.header.average_rate
        if self.last_step is not None:
            return (span + self.last_step) * numerator / denominator
        return span * numerator / denominator + (rate[1] / rate[0] if rate is not None and rate[0] else 0.0)

    def add_attachment(self, name: str, dtype: str, shape: tuple[int, ...], chunk_bytes: int) -> None:
        """Count an attachment's chunk (but not into `bytes_total`)."""
        self.attachments.append(AttachmentSummary(name, dtype, shape, chunk_bytes))

    def add_group(self, head: GroupHead, payload_bytes: int) -> None:
        """Count a group's chunk (but not into `bytes_total`)."""
        if head.frames > 1:
            self.last_step = max(int(head.pts[-1]) - int(head.pts[-2]), 0)
        self.bytes_mask += head.bytes_mask
        self.bytes_tokens += head.bytes_tokens
        offset, travelled, steps = self._follow_camera(head)
        self.groups.append(
            GroupSummary(
                head.index,
                head.key,
                head.first_frame,
                int(head.pts[0]),
                int(head.pts[-1]),
                head.frames,
                head.latent_frames,
                head.view.count,
                head.tokens_kept,
                head.bytes_mask,
                head.bytes_tokens,
                payload_bytes + CHUNK_OVERHEAD,
                head.fill,
                offset,
                travelled,
                steps,
            )
        )

    def _follow_camera(self, head: GroupHead) -> tuple[Offset, float, int]:
        """(camera offset of a group's first frame, pixels travelled, in how many steps); the next group goes on from
        here.
        """
        before = self.groups[-1] if self.groups and not head.key else None
        joined = before is not None and before.first_frame + before.frames == head.first_frame
        steps = head.frames - (0 if joined else 1)
        if head.offsets is None:
            first = last = (0, 0)
            travelled = float(np.hypot(*self.last_offset)) if joined else 0.0
        else:
            first, last = ((int(dy), int(dx)) for dy, dx in head.offsets[[0, -1]])
            path = np.concatenate([[self.last_offset if joined else first], head.offsets])
            travelled = float(np.hypot(*np.diff(path, axis=0).T).sum())
        self.last_offset = last
        return first, travelled, steps
