"""Which of a file's video tracks is the film: the one that was asked for, else the one that ffmpeg takes."""

import re
from fractions import Fraction

from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from latcomp.errors import NotAVideoError, UsageError
from latcomp.printable import counted

_NEVER = Disposition.attached_pic | Disposition.timed_thumbnails
# ffmpeg's weight of the flag "default": a track that has it wins against any that is less than so many pixels larger
_DEFAULT_PIXELS = 5_000_000
_FASTEST, _USUAL_RATE = 1000, 25  # frames per second: what is above is a unit of time, and tells nothing
_DURATION_TAG = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d{1,9})?)")


def choose_video(container: InputContainer, label: str, track: int | None = None) -> VideoStream:
    """Return the video stream that is read: number `track` among the video tracks, from 0; None chooses as ffmpeg does.

    That is never a cover picture or thumbnails, a track of one picture only where there is no other, and of the rest
    the one flagged as default, then the largest, then the first. Raises NotAVideoError where there is none, UsageError
    listing the tracks where the number is not among them."""
    streams = container.streams.video
    if not streams:
        raise NotAVideoError(f"{label}: has {'only audio' if container.streams.audio else 'no video stream'}")
    if track is not None:
        if not 0 <= track < len(streams):
            listed = "; ".join(f"{number}: {describe(stream)}" for number, stream in enumerate(streams))
            tracks = counted(len(streams), "video track")
            raise UsageError(
                f"video_track {track} is not in {label}, which has {tracks}: {listed}", settings=("video_track",)
            )
        return streams[track]
    films = [stream for stream in streams if not stream.disposition & _NEVER]
    if not films:
        raise NotAVideoError(f"{label}: has only audio (the picture in it is its cover)")
    return max(films, key=_rank)  # the first of equals


def describe(stream: VideoStream) -> str:
    """Return a few words on a video track, such as `h264 1920x1080, 25 frames/s, default`."""
    context = stream.codec_context
    words = ["an unknown codec" if context is None else f"{context.name} {context.width}x{context.height}"]
    if stream.average_rate:
        words.append(f"{float(stream.average_rate):.5g} frames/s")
    if stream.disposition & _NEVER:
        words.append("cover picture")
    elif _has_one_picture(stream):
        words.append("one picture")
    if stream.disposition & Disposition.default:
        words.append("default")
    return ", ".join(words)


def _rank(stream: VideoStream) -> tuple[bool, bool, int]:
    context = stream.codec_context
    pixels = 0 if context is None else context.width * context.height
    flagged = _DEFAULT_PIXELS if stream.disposition & Disposition.default else 0
    return context is not None, not _has_one_picture(stream), pixels + flagged


def _has_one_picture(stream: VideoStream) -> bool:
    """Tell whether the file says that a track has a single picture, by its count or by a duration of no more than
    that.
    """
    if stream.disposition & Disposition.still_image:
        return True
    if stream.frames:
        return bool(stream.frames == 1)
    tag = _DURATION_TAG.fullmatch(stream.metadata.get("DURATION", ""))  # Matroska: where the track ends
    if tag is None:
        return False
    hours, minutes, seconds = tag.groups()
    ends = int(hours) * 3600 + int(minutes) * 60 + Fraction(seconds)
    rate = Fraction(stream.average_rate or 0)
    return 0 < ends * (rate if 0 < rate <= _FASTEST else _USUAL_RATE) < 2
