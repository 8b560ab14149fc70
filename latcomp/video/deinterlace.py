"""Progressive frames out of interlaced ones: one for each, at the same time, by FFmpeg's bwdif filter."""

from collections import deque
from collections.abc import Iterator
from fractions import Fraction

import av
from av.filter import Graph

from latcomp.errors import NotAVideoError
from latcomp.video.streams import reason_of

# bwdif weaves nothing that stands still and interpolates what moves; it looks at the frames before and after, so it
# gives a frame only once the next one is there. Frames that are not marked as interlaced pass unchanged.
_FILTER = "bwdif"
_SETTINGS = "mode=send_frame:parity=auto:deint=interlaced"
_SMALLEST_SIDE = 4  # bwdif refuses fewer lines, and cannot interpolate between so few


class Deinterlacer:
    """Takes decoded frames in order of presentation and gives as many back, none of them interlaced."""

    def __init__(self) -> None:
        self._graph: Graph | None = None
        self._shape: tuple[int, int, str] | None = None
        self._count = 0
        self._times: deque[tuple[int | None, Fraction | None]] = (
            deque()
        )  # (pts, time base) of the frames inside the filter

    def push(self, frame: av.VideoFrame) -> list[av.VideoFrame]:
        """Return the frames that are ready once `frame` is known: usually the one before it.

        Frames too small to have fields pass unchanged. Raises NotAVideoError for pixels that the filter does not take.
        """
        shape = (frame.width, frame.height, frame.format.name)
        ready: list[av.VideoFrame] = []
        if shape != self._shape:
            ready = self.flush()
            if min(frame.width, frame.height) < _SMALLEST_SIDE:
                return [*ready, frame]
            self._graph, self._shape = self._new_graph(frame), shape
        self._times.append((frame.pts, frame.time_base))
        self._count += 1
        frame.pts = self._count  # missing or falling times must not stop the filter; the true one is put back behind it
        return ready + self._drain(frame)

    def flush(self) -> list[av.VideoFrame]:
        """Return the frames still inside; what is pushed after this has no neighbours before it."""
        if self._graph is None:
            return []
        ready = self._drain(None)
        self._graph = self._shape = None
        self._times.clear()
        return ready

    def _new_graph(self, frame: av.VideoFrame) -> Graph:
        graph = Graph()
        try:
            entry = graph.add_buffer(
                width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base
            )
            graph.link_nodes(entry, graph.add(_FILTER, _SETTINGS), graph.add("buffersink")).configure()
        except (av.FFmpegError, ValueError) as error:
            raise NotAVideoError(f"{frame.format.name} frames cannot be deinterlaced: {reason_of(error)}") from error
        return graph

    def _drain(self, frame: av.VideoFrame | None) -> list[av.VideoFrame]:
        return list(self._through(frame))

    def _through(self, frame: av.VideoFrame | None) -> Iterator[av.VideoFrame]:
        if self._graph is None:
            return
        self._graph.vpush(frame)
        while self._times:
            try:
                done = self._graph.vpull()
            except (av.BlockingIOError, av.EOFError):
                return
            done.pts, done.time_base = self._times.popleft()
            yield done
