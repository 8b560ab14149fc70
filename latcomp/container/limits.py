"""Bounds on what a file may claim, checked before anything is allocated for it."""

from __future__ import annotations

from dataclasses import dataclass, fields

from latcomp.checks import check_whole
from latcomp.limits import DEFAULT_MAX_PIXELS


@dataclass(frozen=True)
class Limits:
    """What a reader accepts; a file that claims more is refused with `LimitError`. Every bound can be raised by the
    caller. Raises `UsageError` for bounds that are no whole numbers of 0 or more.

    The memory that a reader takes follows from these and from the length of the file: see section 10 of FORMAT.md.
    """

    max_pixels: int = DEFAULT_MAX_PIXELS
    """Pixels of one frame (8K fits)."""
    max_frames: int = 100_000_000
    """Frames of one file: 19 days at 60 frames per second."""
    max_lost_frames: int = 1 << 18
    """Frames that damage may take from a file and that are still reported one by one: three hours at 24 per second."""
    max_group_tokens: int = 1 << 23
    """Tokens of a group: its positions x its latent frames (twice 8K in groups of 8 latent frames)."""
    max_group_bytes: int = 1 << 31
    """Numbers of a group (tokens x channels), at four bytes each."""
    max_chunk_bytes: int = 1 << 28
    """Payload of one chunk; a longer one is damage."""
    max_header_bytes: int = 1 << 20
    """Length of the header, compressed and as JSON."""
    max_attachment_bytes: int = 1 << 30
    """Numbers of all attachments of one file, in bytes."""
    max_problems: int = 1000
    """Problems that are kept as text; more are only counted."""
    max_search_bytes: int = 1 << 30
    """Bytes of what proves to be no chunk that may go through CRC-32, besides 16 for each byte of the file that was
    passed: more would be a file made to keep a reader busy, and it ends there."""

    def __post_init__(self) -> None:
        for field in fields(self):
            check_whole(field.name, getattr(self, field.name), 0, "choose a whole number, 0 or more")
