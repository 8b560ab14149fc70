"""Pixels: videos read as RGB frames with their timestamps and audio packets, and written again. No torch.

Names are looked up when they are used: `info` alone needs no PyAV.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latcomp.video.info import AudioInfo, AudioPacket, ColorTags, Frame, VideoInfo
    from latcomp.video.losses import Damage
    from latcomp.video.reader import VideoReader, open_video
    from latcomp.video.writer import VideoWriter, check_output, format_of_path, open_writer

__all__ = [
    "AudioInfo",
    "AudioPacket",
    "ColorTags",
    "Damage",
    "Frame",
    "VideoInfo",
    "VideoReader",
    "VideoWriter",
    "check_output",
    "format_of_path",
    "open_video",
    "open_writer",
]

_PLACES = {
    "info": ("AudioInfo", "AudioPacket", "ColorTags", "Frame", "VideoInfo"),
    "losses": ("Damage",),
    "reader": ("VideoReader", "open_video"),
    "writer": ("VideoWriter", "check_output", "format_of_path", "open_writer"),
}


def __getattr__(name: str) -> Any:
    for module, names in _PLACES.items():
        if name in names:
            value = globals()[name] = getattr(import_module(f"latcomp.video.{module}"), name)
            return value
    raise AttributeError(f"module 'latcomp.video' has no attribute {name!r}")
