"""Pixels: videos read as RGB frames with their timestamps and audio packets, and written again. No torch."""

from latcomp.video.info import AudioInfo, AudioPacket, ColorTags, Frame, VideoInfo
from latcomp.video.reader import DEFAULT_MAX_PIXELS, VideoReader, open_video

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "AudioInfo",
    "AudioPacket",
    "ColorTags",
    "Frame",
    "VideoInfo",
    "VideoReader",
    "open_video",
]
