"""What each group of a file holds and costs, as rows in order of time: the lines of `stats --csv`, the curves of plots
and pages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

from latcomp.container import FileSummary

KINDS = ("tokens", "mask", "other")
"""What the bytes of a group are: kept tokens, keep masks, and the rest: the group's head, frame times and framing."""


@dataclass(frozen=True)
class GroupRow:
    """Counts of one group; its fields in this order are the columns of `stats --csv` and the keys of `groups` in `stats
    --json`.
    """

    start_seconds: float
    """Presentation time of its first frame."""
    tokens_total: int
    """Positions of all its latent frames."""
    tokens_kept: int
    bytes: int
    """All bytes of the group: `bytes_tokens`, `bytes_mask` and `bytes_other`."""
    fill: str
    """'lit' or 'hold'."""
    group: int
    """Number of the group in the file, from 0."""
    key: bool
    """Whether it starts a segment."""
    end_seconds: float
    """Where its last frame ends."""
    frames: int
    latent_frames: int
    bytes_tokens: int
    bytes_mask: int
    bytes_other: int
    offset_y: int = 0
    """Camera offset of its first frame, in whole pixels: how far down of where its segment began the frame lies."""
    offset_x: int = 0
    """The same to the right."""
    pixels_travelled: float = 0.0
    """Lengths of the camera's steps from frame to frame, added up; from the frame before in the segment on."""

    @property
    def seconds(self) -> float:
        """How long it lasts, 0 or more."""
        return max(self.end_seconds - self.start_seconds, 0.0)

    @property
    def moves(self) -> bool:
        """Whether the camera was followed in it."""
        return self.pixels_travelled > 0 or (self.offset_y, self.offset_x) != (0, 0)


COLUMNS = tuple(field.name for field in fields(GroupRow))


def group_rows(summary: FileSummary) -> list[GroupRow]:
    """A row for each group of a file that could be read, in file order."""
    numerator, denominator = summary.header.time_base
    rate = summary.header.average_rate
    step = summary.last_step  # how long a frame stays that none follows
    if step is None:
        step = round(rate[1] * denominator / (rate[0] * numerator)) if rate is not None and rate[0] else 0
    rows = []
    for place, group in enumerate(summary.groups):
        follower = summary.groups[place + 1] if place + 1 < len(summary.groups) else None
        is_followed = follower is not None and follower.first_frame == group.first_frame + group.frames
        end = follower.first_pts if follower is not None and is_followed else group.last_pts + step
        rows.append(
            GroupRow(
                group.first_pts * numerator / denominator,
                group.tokens_total,
                group.tokens_kept,
                group.bytes,
                group.fill,
                group.index,
                group.key,
                end * numerator / denominator,
                group.frames,
                group.latent_frames,
                group.bytes_tokens,
                group.bytes_mask,
                group.bytes - group.bytes_tokens - group.bytes_mask,
                *group.offset,
                group.pixels_travelled,
            )
        )
    return rows


@dataclass(frozen=True)
class Column:
    """One step of the curves over time: a group, or several in a row."""

    start_seconds: float
    end_seconds: float
    keep_ratio: float
    """Kept tokens over positions, 0 to 1."""
    bits_per_second: tuple[float, ...]
    """One for each of KINDS; 0 where no time passes."""
    pixels_per_frame: float
    """Speed of the camera, where it was followed."""


def columns_of(rows: Sequence[GroupRow], most: int) -> list[Column]:
    """At most `most` columns (1 or more) that cover all rows, each over the same number of groups but the last."""
    each = max(-(-len(rows) // most), 1)
    return [_column(rows[start : start + each]) for start in range(0, len(rows), each)]


def _column(rows: Sequence[GroupRow]) -> Column:
    seconds = sum(row.seconds for row in rows)
    total = sum(row.tokens_total for row in rows)
    bits = [8 * sum(getattr(row, f"bytes_{kind}") for row in rows) for kind in KINDS]
    return Column(
        rows[0].start_seconds,
        rows[-1].end_seconds,
        sum(row.tokens_kept for row in rows) / total if total else 0.0,
        tuple(count / seconds if seconds > 0 else 0.0 for count in bits),
        sum(row.pixels_travelled for row in rows) / max(sum(row.frames - row.key for row in rows), 1),
    )
