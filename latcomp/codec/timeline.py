"""Where the segments of a file begin, in frames and in latent frames. No torch."""

from __future__ import annotations

import bisect
from dataclasses import dataclass
from itertools import accumulate

from latcomp.container import FileSummary, Reader


@dataclass(frozen=True)
class SegmentStart:
    """Where a segment begins."""

    first_frame: int
    """Number of its first frame in the file."""
    first_latent: int
    """Number of its first latent frame in the file."""


@dataclass(frozen=True)
class Timeline:
    """The segments of a file in order, and how long it is."""

    segments: tuple[SegmentStart, ...]
    """Empty for a file without frames."""
    frames: int
    latent_frames: int

    @classmethod
    def of(cls, reader: Reader) -> Timeline | None:
        """What the index of a file says; None where it is missing or damaged.

        An index counts frames. That all latent frames of a segment but its last are full is how every file of ours is
        written, and not asked for by the format: a file of others may have more latent frames than this says."""
        index, frames = reader.index, reader.frames_total
        if not index or frames is None:
            return None
        firsts = [entry.first_frame for entry in index]
        rule = reader.header.rule_of(key=True)
        counts = [rule.latent_frames(end - start) for start, end in zip(firsts, [*firsts[1:], frames], strict=True)]
        return cls._of(firsts, counts, frames)

    @classmethod
    def counted(cls, summary: FileSummary) -> Timeline:
        """What the groups of a file say, one by one; lost ones between them belong to the segment before."""
        firsts: list[int] = [0] if summary.groups else []
        counts: list[int] = [0] if summary.groups else []
        rule, at = summary.header.rule_of(key=False), 0
        for group in summary.groups:
            counts[-1] += rule.latent_frames(group.first_frame - at)
            if group.key and group.first_frame:
                firsts.append(group.first_frame)
                counts.append(0)
            counts[-1] += group.latent_frames
            at = group.first_frame + group.frames
        return cls._of(firsts, counts, at)

    @classmethod
    def _of(cls, firsts: list[int], counts: list[int], frames: int) -> Timeline:
        *starts, end = accumulate(counts, initial=0)
        return cls(tuple(map(SegmentStart, firsts, starts)), frames, end)

    def segment_of(self, latent_frame: int) -> SegmentStart:
        """The segment that holds a latent frame; the last one for those behind the end."""
        at = bisect.bisect_right(self.segments, latent_frame, key=lambda segment: segment.first_latent)
        return self.segments[max(at - 1, 0)]

    def latent_frame_of(self, first_frame: int) -> int:
        """The first latent frame of the segment that holds a frame."""
        at = bisect.bisect_right(self.segments, first_frame, key=lambda segment: segment.first_frame)
        return self.segments[max(at - 1, 0)].first_latent
