"""Which file names are taken for videos: one list for every command."""

LAT = ".lat"

VIDEO_SUFFIXES = frozenset(
    {
        ".264",
        ".265",
        ".360",
        ".3g2",
        ".3gp",
        ".apng",
        ".asf",
        ".avi",
        ".dav",
        ".divx",
        ".dv",
        ".f4v",
        ".flv",
        ".gif",
        ".h264",
        ".h265",
        ".hevc",
        ".insv",
        ".ivf",
        ".m1v",
        ".m2t",
        ".m2ts",
        ".m2v",
        ".m4v",
        ".mjpeg",
        ".mjpg",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".nut",
        ".obu",
        ".ogm",
        ".ogv",
        ".qt",
        ".rm",
        ".rmvb",
        ".ts",
        ".vob",
        ".webm",
        ".wmv",
        ".y4m",
    }
)
"""Names that end in one of these, in any case, are taken for videos."""

PREVIEW_SUFFIXES = frozenset({".lrv"})
"""Low-resolution copies that cameras keep beside their videos: videos too, but not what a folder of videos is encoded
for.
"""

PICTURE_SUFFIXES = frozenset({".avif", ".bmp", ".heic", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Still pictures; `latcomp encode` makes a video of one frame of those that FFmpeg reads."""

INPUT_SUFFIXES = VIDEO_SUFFIXES | PREVIEW_SUFFIXES | PICTURE_SUFFIXES
"""All that somebody may have meant as the input of `latcomp encode`, and never as its output."""
