"""Which container and which codec an output gets: tables of formats and codecs, and the choice between them.

Formats are chosen by `--format`, else by the suffix; codecs by `--codec`, else by the format.
"""

from dataclasses import dataclass, field
from pathlib import Path

import av

from latcomp.errors import OutputError, UsageError


@dataclass(frozen=True)
class Format:
    """One container format that videos can be written to."""

    name: str
    """What the user calls it, and its usual suffix."""
    muxer: str
    """FFmpeg's name."""
    codec: str
    """The encoder used when none is asked for."""
    holds_audio: bool = True
    exact_times: bool = True
    """False: frames follow each other at a constant rate and have no timestamps of their own."""
    holds_gaps: bool = True
    """Whether a place in that constant rate may stay empty, so that the frames behind it come at their time."""
    longest_step: int | None = None
    """Units of time that may lie between two frames; None: any number."""
    strict_times: bool = False
    """Whether packets of a stream must come at different times, in the format's own unit."""
    holds_delay: bool = True
    """Whether it can say that audio begins with samples which are not to be heard: they come before time 0, or are
    counted.
    """
    counts_unheard: bool = False
    """Whether the samples at the end of an audio packet that are not to be heard are counted; else the packet is
    shorter.
    """
    holds_color: bool = True
    """False: the matrix is not written, so pixels must be converted with the one a reader assumes, unless the codec
    says it.
    """
    holds_pixel_shape: bool = False
    """Whether the aspect ratio of the pixels is written beside the coded video (what PyAV lets us say: not in
    Matroska).
    """
    holds_rotation: bool = True
    holds_chapters: bool = True
    holds_track_names: bool = True
    """Titles and roles of audio tracks."""
    tags: frozenset[str] | None = None
    """Names of the tags that it holds; None: any."""


_MP4_STEP = 2**30  # FFmpeg reads a step of nearly 2**31 units as one of a single unit
_MP4_TAGS = frozenset(
    {
        "album",
        "album_artist",
        "artist",
        "author",
        "comment",
        "compilation",
        "composer",
        "copyright",
        "creation_time",
        "date",
        "description",
        "disc",
        "episode_id",
        "episode_sort",
        "gapless_playback",
        "genre",
        "grouping",
        "hd_video",
        "keywords",
        "location",
        "location-eng",
        "lyrics",
        "make",
        "media_type",
        "model",
        "network",
        "performer",
        "rating",
        "season_number",
        "show",
        "synopsis",
        "title",
        "track",
    }
)
_AVI_TAGS = frozenset({"artist", "comment", "copyright", "date", "genre", "language", "title", "track"})

FORMATS = {
    f.name: f
    for f in (
        Format(
            "mp4", "mp4", "libx264", holds_pixel_shape=True, longest_step=_MP4_STEP, strict_times=True, tags=_MP4_TAGS
        ),
        Format(
            "mov", "mov", "libx264", holds_pixel_shape=True, longest_step=_MP4_STEP, strict_times=True, tags=_MP4_TAGS
        ),
        Format("mkv", "matroska", "libx264", counts_unheard=True),
        Format("webm", "webm", "libvpx-vp9", counts_unheard=True),
        Format(
            "avi",
            "avi",
            "libx264",
            exact_times=False,
            longest_step=60_000,
            strict_times=True,
            holds_delay=False,
            holds_color=False,
            holds_rotation=False,
            holds_chapters=False,
            holds_track_names=False,
            tags=_AVI_TAGS,
        ),
        Format(
            "y4m",
            "yuv4mpegpipe",
            "rawvideo",
            holds_audio=False,
            exact_times=False,
            holds_gaps=False,
            holds_color=False,
            holds_rotation=False,
            holds_chapters=False,
            holds_track_names=False,
            tags=frozenset(),
        ),
    )
}
ALIASES = {"matroska": "mkv", "m4v": "mp4", "yuv4mpegpipe": "y4m", "quicktime": "mov", "qt": "mov"}


@dataclass(frozen=True)
class Codec:
    """One video encoder and the settings it is run with."""

    name: str
    """FFmpeg's name of the encoder."""
    pixel_format: str
    """For frames of even width and height."""
    pixel_format_odd: str
    """For the others: 4:2:0 cannot hold an odd size in most codecs, and the size must not change."""
    crf: int | None = None
    """The default of `crf`; None: the encoder has no such knob."""
    crf_max: int = 51
    options: dict[str, str] = field(default_factory=dict)
    min_side: int = 1
    """The least width and height in pixels."""
    holds_color: bool = False
    """Whether the coded video itself names its matrix."""
    holds_pixel_shape: bool = False
    """Whether the coded video itself names the aspect ratio of its pixels."""


# libx264: superfast takes 5 to 7 ms a frame at 854x480 on one core (medium: 22 to 32), and at crf 14 leaves 42 dB on
# the hardest clips and 49 dB on easy ones, far above what a decoded .lat holds. Files are larger than medium's; a
# smaller one is a `--codec`/`--crf` away. No encoder gets B-frames (see writer.py).
CODECS = {
    c.name: c
    for c in (
        Codec(
            "libx264",
            "yuv420p",
            "yuv444p",
            14,
            options={"preset": "superfast"},
            holds_color=True,
            holds_pixel_shape=True,
        ),
        Codec(
            "libx265",
            "yuv420p",
            "yuv444p",
            16,
            options={"preset": "ultrafast", "x265-params": "log-level=none"},
            min_side=64,  # x265 4.x writes past its buffers when both sides are under a coding unit of 64
            holds_color=True,
            holds_pixel_shape=True,
        ),
        Codec("libsvtav1", "yuv420p", "yuv420p", 20, 63, options={"preset": "10"}, min_side=4, holds_color=True),
        Codec(
            "libvpx-vp9",
            "yuv420p",
            "yuv444p",
            16,
            63,
            options={"deadline": "realtime", "cpu-used": "6", "row-mt": "1", "b": "0"},
            holds_color=True,
        ),
        # RGB: the pixels come back unchanged
        Codec("ffv1", "bgr0", "bgr0", options={"level": "3", "slicecrc": "1"}),
        Codec("rawvideo", "yuv420p", "yuv444p"),
    )
}
CODEC_ALIASES = {
    "h264": "libx264",
    "x264": "libx264",
    "avc": "libx264",
    "h265": "libx265",
    "x265": "libx265",
    "hevc": "libx265",
    "av1": "libsvtav1",
    "svtav1": "libsvtav1",
    "vp9": "libvpx-vp9",
    "libvpx": "libvpx-vp9",
    "raw": "rawvideo",
}

_PIXEL_SHAPE_INSIDE = ("mpeg1video", "mpeg2video", "mpeg4")  # of those not in the table


def choose_format(name: str | None, target: str | Path | None) -> Format:
    """Return the format for a name, else for the suffix of `target`, else Matroska (`target` None: a stream).

    Raises OutputError when neither says which: the message lists what there is.
    """
    if name is None and target is None:
        return FORMATS["mkv"]
    wanted = (name if name is not None else Path(str(target)).suffix).lower().lstrip(".")
    found = FORMATS.get(ALIASES.get(wanted, wanted))
    if found is None:
        known = ", ".join(FORMATS)
        if not wanted:
            raise OutputError(f"{target} has no suffix that says which format to write; known are: {known}")
        raise OutputError(f"no video can be written as {wanted!r}; known are: {known}")
    return found


def choose_codec(name: str | None, format: Format) -> Codec:
    """Return the codec for a name, else the format's own. Raises OutputError for a name FFmpeg cannot encode."""
    wanted = format.codec if name is None else CODEC_ALIASES.get(name.lower(), name)
    return CODECS.get(wanted) or _other_codec(wanted)


def check_crf(codec: Codec, crf: int | None) -> None:
    """Raise UsageError when `crf` is not one this codec takes."""
    if crf is None:
        return
    if codec.crf is None:
        raise UsageError(
            f"crf means nothing to {codec.name}; leave it out, or choose another codec", settings=("crf", "codec")
        )
    if not 0 <= crf <= codec.crf_max:
        raise UsageError(f"crf must lie between 0 and {codec.crf_max} for {codec.name}, not {crf}", settings=("crf",))


def _other_codec(name: str) -> Codec:
    """Return a codec that is not in the table, with the best pixel format it shares with us and its own defaults."""
    try:
        encoder = av.codec.Codec(name, "w")
    except (av.FFmpegError, ValueError) as error:
        raise OutputError(f"no encoder {name!r} is at hand; known are: {', '.join(CODECS)}") from error
    if encoder.type != "video":
        raise OutputError(f"{name!r} is no video encoder; known are: {', '.join(CODECS)}")
    offered = [f.name for f in encoder.video_formats or ()]
    even = next((f for f in ("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "bgr0", "rgb24") if f in offered), None)
    odd = next((f for f in ("yuv444p", "yuvj444p", "bgr0", "rgb24") if f in offered), even)
    if even is None or odd is None:
        raise OutputError(f"{name!r} takes none of the pixel formats latcomp can make")
    return Codec(name, even, odd, holds_pixel_shape=name in _PIXEL_SHAPE_INSIDE)
