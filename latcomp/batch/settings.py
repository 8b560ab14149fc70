"""How all files of a batch are encoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from latcomp.codec.settings import EncodeSettings


@dataclass(frozen=True)
class BatchSettings:
    """One encoding for many files; plain values, so that it can go to another process."""

    encode: EncodeSettings = field(default_factory=EncodeSettings)
    tokenizer: str | None = None
    """Name or folder; None is the default one."""
    audio: bool = True
    max_pixels: int | None = None
    """Largest frame to accept; None is the codec's own limit."""
    device: str = "auto"
    force: bool = False
    """Replace intact .lat files that were encoded with other settings."""
    deinterlace: bool | None = None
    """Make progressive frames of interlaced ones (True) or keep them woven (False); None refuses interlaced videos."""
    video_track: int | None = None
    """Which video track of each file, from 0; None takes the one that ffmpeg takes."""
    keep_going: bool = False
    """Take what can be decoded of damaged videos, which are refused otherwise."""
