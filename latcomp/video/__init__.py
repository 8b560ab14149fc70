"""Pixels: videos read as RGB frames with their timestamps and audio packets, and written again. No torch."""

from latcomp.video.info import AudioInfo, AudioPacket, ColorTags, Frame, VideoInfo
from latcomp.video.losses import Damage
from latcomp.video.reader import DEFAULT_MAX_PIXELS, VideoReader, open_video
from latcomp.video.writer import VideoWriter, check_output, format_of_path, open_writer

__all__ = [
    "DEFAULT_MAX_PIXELS",
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
