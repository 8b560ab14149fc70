"""A filter of FFmpeg that compares two videos, run inside this process by PyAV."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.filter import Graph

LUMA_TO_PLANES = "mergeplanes=0x000000:yuv444p"
"""For filters that take no grey frames: luma stands in all three planes. A conversion to YUV could stretch its range;
this copies."""


def has_filter(name: str) -> bool:
    """Whether the FFmpeg of this PyAV has a filter."""
    return name in av.filter.filters_available


class PairFilter:
    """Frames of two videos into a filter; gives the metadata that it puts on the first.

    name: of the filter; options: its options. rate: frames per second. grey: whether the filter takes luma alone."""

    def __init__(self, name: str, options: dict[str, str], rate: Fraction, grey: bool = True) -> None:
        self._name, self._options, self._grey = name, options, grey
        self._time_base, self._rate = 1 / rate, rate
        self._graph: Graph | None = None
        self._nodes: list[Any] = []
        self._count = 0

    def push(self, first: np.ndarray, second: np.ndarray) -> Iterator[dict[str, str]]:
        """Take a frame of both, uint8 luma (H, W) of the size of the first; gives metadata of frames that are ready."""
        if self._graph is None:
            self._build(*first.shape)
        for node, plane in zip(self._nodes, (first, second), strict=False):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(plane), format="gray")
            frame.pts, frame.time_base = self._count, self._time_base
            node.push(frame)
        self._count += 1
        yield from self._ready()

    def end(self) -> Iterator[dict[str, str]]:
        """No frame follows; gives metadata of those still inside."""
        for node in self._nodes[:2]:
            node.push(None)
        if self._nodes:
            yield from self._ready()

    def close(self) -> None:
        """Free the filter: only then are files complete that it writes."""
        self._nodes.clear()
        self._graph = None
        gc.collect()  # graph and nodes of PyAV hold each other

    def _build(self, height: int, width: int) -> None:
        graph = Graph()
        size = f"video_size={width}x{height}:pix_fmt=gray:time_base={self._time_base}:frame_rate={self._rate}"
        measuring = graph.add(self._name, **self._options)
        for pad in range(2):
            node = graph.add("buffer", size)
            self._nodes.append(node)
            if not self._grey:
                planes, _, arguments = LUMA_TO_PLANES.partition("=")
                merged = graph.add(planes, arguments)
                node.link_to(merged)
                node = merged
            node.link_to(measuring, 0, pad)
        sink = graph.add("buffersink")
        measuring.link_to(sink)
        graph.configure()
        self._nodes.append(sink)
        self._graph = graph

    def _ready(self) -> Iterator[dict[str, str]]:
        while True:
            try:
                yield dict(self._nodes[-1].pull().metadata)
            except (av.BlockingIOError, av.EOFError):
                return
