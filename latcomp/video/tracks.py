"""The audio of a video being read: which streams can be carried on, and which of their packets a part of the video
takes along.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

from latcomp.latents.time_window import TimeWindow
from latcomp.printable import counted
from latcomp.video import audio as audio_copy
from latcomp.video import trims
from latcomp.video.info import AudioInfo, AudioPacket
from latcomp.video.streams import time_base_of


class AudioTracks:
    """The audio streams that are read from one file, counted in the order in which it has them."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}  # index of a stream in the file -> its number here
        self._time_bases: list[Fraction] = []
        self._begun: dict[int, bytes] = {}  # index of a stream in the file -> its first packet
        self._delays: dict[
            int, int
        ] = {}  # index of a stream in the file -> samples that a player throws away before the first it plays
        self._done: set[int] = set()  # streams that have come to the end of the part

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, index: int) -> bool:
        """Tell whether the stream of this index in the file is one of them."""
        return index in self._numbers

    @property
    def done(self) -> bool:
        """True when every stream has come to the end of the part."""
        return len(self._done) == len(self._numbers)

    def open(self, container: InputContainer, programme: set[int] | None = None) -> Iterator[str]:
        """Take up the audio streams of a file; yield a line for each that few formats or none could hold again.

        programme: identifiers of the streams that belong to the video's; None where all of the file does. Those of
        others are left out, and a line says so."""
        others = 0
        for stream in container.streams.audio:
            if programme is not None and stream.id not in programme:
                others += 1
                continue
            try:
                info = audio_copy.describe(stream)
            except audio_copy.AudioNotPortableError as error:
                yield f"{error} is dropped: no container can carry it on"
                continue
            if audio_copy.is_rare(info):
                names = audio_copy.formats_for([info])
                formats = " and ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))
                yield f"the {info.codec} audio is kept; only {formats} can hold it when it is decoded"
            self._numbers[stream.index] = len(self._numbers)
            self._time_bases.append(info.time_base)
        if others:
            yield f"{counted(others, 'audio stream')} of other programmes of the transport stream: left out"

    def describe(self, container: InputContainer, part: TimeWindow) -> tuple[AudioInfo, ...]:
        """Return what is known of each stream by now: for some, the first packet tells more than the file's head."""
        return tuple(
            audio_copy.describe(
                stream, self._begun.get(stream.index, b""), 0 if part.start else self._delays.get(stream.index, 0)
            )
            for stream in container.streams.audio
            if stream.index in self._numbers
        )

    def met(self, packet: av.Packet[Any]) -> None:
        """Take note of a packet that was read, wanted or not."""
        if packet.stream.index not in self._begun:
            self._begun[packet.stream.index] = bytes(packet)
            self._delays[packet.stream.index] = trims.unheard_at_start(packet)

    def first_heard(self, container: InputContainer) -> Fraction | None:
        """Return when the first sound is heard, in seconds, as FFmpeg has found it on opening; None where it has
        not.
        """
        starts = [
            stream.start_time * time_base_of(stream)
            for stream in container.streams.audio
            if stream.index in self._numbers and stream.start_time is not None
        ]
        return min(starts, default=None)

    def is_wanted(self, packet: av.Packet[Any], part: TimeWindow, origin_seconds: Fraction) -> bool:
        """Tell whether a packet begins within the part, counted from the time of the video's first frame."""
        if part.whole:
            return True
        if packet.pts is None:
            return False
        seconds = packet.pts * Fraction(packet.time_base or 0) - origin_seconds
        if part.is_past(seconds):
            self._done.add(packet.stream.index)
            return False
        return not part.is_before(seconds)

    def copy(self, packet: av.Packet[Any], earlier_seconds: Fraction) -> AudioPacket:
        """Return a packet of the file, its times less `earlier_seconds`."""
        number = self._numbers[packet.stream.index]
        units = round(earlier_seconds / self._time_bases[number])
        return AudioPacket(
            stream=number,
            pts=None if packet.pts is None else packet.pts - units,
            dts=None if packet.dts is None else packet.dts - units,
            duration=packet.duration or 0,
            is_keyframe=packet.is_keyframe,
            data=bytes(packet),
            unheard_samples=trims.unheard_at_end(packet),
        )
