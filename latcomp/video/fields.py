"""Frames of two woven fields, marked as such for an encoder."""

from __future__ import annotations

import av
from av.filter import Graph

# x264 codes fields of 4:2:0 in pairs of macroblock rows of each: other heights it refuses
_X264_HEIGHT = 4
_CODECS = ("libx264", "ffv1", "rawvideo")


def can_mark(codec: str, pixel_format: str, height: int) -> bool:
    """Tell whether an encoder writes down which field of a frame comes first."""
    return codec in _CODECS and not (codec == "libx264" and pixel_format == "yuv420p" and height % _X264_HEIGHT)


class FieldMarks:
    """Gives frames back, marked as interlaced with the top or the bottom field first: PyAV cannot set it, FFmpeg's
    filter can.
    """

    def __init__(self, order: str) -> None:
        """order: `top` or `bottom`."""
        self._mode = "tff" if order == "top" else "bff"
        self._graph: Graph | None = None

    def __call__(self, frame: av.VideoFrame) -> av.VideoFrame:
        """Return `frame` with its marks; times and colour tags stay."""
        if self._graph is None:
            self._graph = Graph()
            entry = self._graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            self._graph.link_nodes(
                entry, self._graph.add("setfield", f"mode={self._mode}"), self._graph.add("buffersink")
            ).configure()
        self._graph.vpush(frame)
        marked = self._graph.vpull()
        marked.pts, marked.time_base = frame.pts, frame.time_base
        return marked
