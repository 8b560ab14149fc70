"""Bounds on what a file may claim, checked before anything is allocated for it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What a reader accepts; a file that claims more is refused with `LimitError`. Every bound can be raised by the caller."""

    max_pixels: int = 8192 * 4320
    """Pixels of one frame (8K fits)."""
    max_frames: int = 100_000_000
    """Frames of one file: 19 days at 60 frames a second."""
    max_lost_frames: int = 1 << 18
    """Frames that damage may take at one place and that are still reported one by one: three hours at 24 frames a second."""
    max_group_symbols: int = 1 << 29
    """Positions of a group x channels: what decoding a group may allocate four bytes each for."""
    max_header_bytes: int = 1 << 20
    """Length of the header, compressed and as JSON."""
    max_chunk_bytes: int = 1 << 28
    """Payload of one chunk."""
    max_channels: int = 1024
    """Latent channels."""
    max_audio_streams: int = 64
    """Audio streams."""
    max_segments: int = 1 << 20
    """Entries of the index."""
    max_search_bytes: int = 1 << 30
    """Bytes that the search for the next good chunk after damage may put through CRC-32 at one place."""
