"""Frames and audio of an open .lat file in order of presentation: the chosen time of it, and the last frame held where
groups are lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from latcomp.codec.ahead import ahead
from latcomp.codec.decoder import Decoder
from latcomp.container import AudioChunk, AudioPacketBytes, Group, LostGroups, PackedAttachment, Reader
from latcomp.latents.time_window import TimeWindow
from latcomp.video import AudioPacket, Frame, VideoInfo

ITEMS_AHEAD = 2
"""Groups, or chunks of audio, that were read and wait for the networks."""


@dataclass
class DecodeStream:
    """Frames and audio of an open file in presentation order, with what was lost on the way."""

    reader: Reader
    decoder: Decoder
    window: TimeWindow
    reads_ahead: bool = False
    """Whether tokens are read while the groups before go through the networks; `reader` may then know of damage before
    the frames in front of it have come."""
    groups: int = 0
    tokens_total: int = 0
    tokens_kept: int = 0
    info: VideoInfo = field(init=False)

    _last: np.ndarray | None = field(default=None, repr=False)
    _origin: Fraction = field(
        default=Fraction(0), repr=False
    )  # seconds: the time of the file's first frame, from which windows count

    def __post_init__(self) -> None:
        self.info = VideoInfo.from_header_fields(self.reader.header.video_fields())

    def __iter__(self) -> Iterator[Frame | AudioPacket]:
        """Frames and audio packets; frames of lost groups are the last frame held, timed from their neighbours."""
        first = seek_to(self.reader, self.window)
        if not self.reads_ahead:
            yield from self._shown(self.reader, first)
            return
        with ahead(self.reader, ITEMS_AHEAD) as items:
            yield from self._shown(items, first)

    def _shown(
        self, items: Iterable[Group | LostGroups | AudioChunk | PackedAttachment], first: int | None
    ) -> Iterator[Frame | AudioPacket]:
        """What the items of the file show; first: the presentation time of the file's first frame, None where it is
        that of the first item."""
        unit = Fraction(*self.reader.header.time_base)
        # groups past the end that were met: behind the first of them there may still be audio of the time before it
        behind = 0
        for item in items:
            if first is None and isinstance(item, Group | LostGroups):
                first = int(item.pts[0])
            self._origin = (first or 0) * unit
            if isinstance(item, LostGroups):
                yield from self._held(item, unit)
            elif isinstance(item, AudioChunk):
                for packet in self._inside(item):
                    yield AudioPacket(
                        item.stream,
                        packet.pts,
                        packet.dts,
                        packet.duration,
                        packet.is_keyframe,
                        packet.data,
                        packet.unheard_samples,
                    )
            elif isinstance(item, Group):
                if self.window.is_past(int(item.pts[0]) * unit - self._origin):
                    behind += 1
                    if behind > 1 or not self.info.audio:
                        break
                    continue
                self.groups += 1
                self.tokens_total += item.view.count
                self.tokens_kept += len(item.tokens)
                if self.window.is_before(int(item.pts[-1]) * unit - self._origin):
                    self._last = None
                    self.decoder.skip(item)
                    continue
                for pixels, pts in zip(self.decoder.frames(item), item.pts.tolist(), strict=True):
                    self._last = pixels
                    if self._holds(pts * unit):
                        yield Frame(pixels, pts)

    def _holds(self, seconds: Fraction) -> bool:
        return self.window.holds(seconds - self._origin)

    def _inside(self, chunk: AudioChunk) -> Iterator[AudioPacketBytes]:
        """The packets that begin in the chosen time; all of them when no time was chosen."""
        unit = self.info.audio[chunk.stream].time_base
        for packet in chunk.packets:
            if self.window.whole or packet.pts is None or self._holds(packet.pts * unit):
                yield packet

    def _held(self, lost: LostGroups, unit: Fraction) -> Iterator[Frame]:
        """The last good frame, once for every lost frame in the chosen time; grey where none came before."""
        last = self._last = self._last if self._last is not None else self.decoder.decode_last_skipped()
        if last is None:
            header = self.reader.header
            last = np.full((header.height, header.width, 3), 128, np.uint8)
        for pts in lost.pts.tolist():
            if self._holds(pts * unit):
                yield Frame(last, pts)


def seek_to(reader: Reader, window: TimeWindow) -> int | None:
    """The presentation time of the file's first frame, None where it is not known yet; `reader` goes on at the window's
    start.
    """
    first = reader.first_pts
    if first is not None and window.start > 0:
        reader.seek_seconds(float(window.start + first * Fraction(*reader.header.time_base)))
    return first
