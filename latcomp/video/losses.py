"""What a damaged source does not give: frames that never come out of the decoder, and those that are not what they
were.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import islice
from typing import Any

import av

from latcomp.printable import counted

_LONGEST_FILL_SECONDS = 60  # a longer gap is left one: a damaged time may lie hours ahead
_JOINT_PACKETS = 2
_SHORTEST_PAUSE_SECONDS = 0.5  # a longer gap where recordings may be joined is the pause between them
_WATCHED_FRAMES = 16  # decoders hold no more, to put them in order
IN_PART = "a frame could be decoded only in part"
MARKED = "a packet is incomplete"
CUT_OFF = "its end is missing"
SKIPPED = "bytes could not be read"


@dataclass(frozen=True)
class Lost:
    """A frame that does not come, at its time."""

    pts: int
    """In units of the stream's time base."""


@dataclass(frozen=True)
class Damage:
    """Successive frames that are not what the source was."""

    first_frame: int
    """Number of the first one, from 0."""
    frames: int
    """How many are concerned; 0 where nothing is known to be missing before that frame, or where the source ends."""
    held: int
    """How many of them are the frame before, held; the others are shown as far as they could be decoded."""
    start_seconds: float
    """Time of the first one, counted from the first frame."""
    reason: str

    def __str__(self) -> str:
        if self.frames == 0:
            return f"after {counted(self.first_frame, 'frame')} ({self.start_seconds:.2f} s): {self.reason}"
        place = (
            f"frame {self.first_frame}"
            if self.frames == 1
            else f"frames {self.first_frame} to {self.first_frame + self.frames - 1}"
        )
        what = f", {self.held} of them held" if self.held and self.frames > 1 else ", held" if self.held else ""
        return f"{place} ({self.start_seconds:.2f} s{what}): {self.reason}"

    def to_json(self) -> dict[str, object]:
        """Return the members by name."""
        return dict(vars(self))


class DamageLog:
    """The damage of one reading, neighbouring frames as one."""

    def __init__(self) -> None:
        self.entries: list[Damage] = []

    def add(self, frame: int, seconds: Fraction, reason: str, *, frames: int = 1, held: bool = False) -> None:
        """Take down a frame by its number and time; frames=0: only the place."""
        last = self.entries[-1] if self.entries else None
        if last is not None and last.first_frame + last.frames == frame:
            told = last.reason if frames or reason in last.reason else f"{last.reason}; {reason}"
            self.entries[-1] = replace(last, frames=last.frames + frames, held=last.held + held, reason=told)
        else:
            self.entries.append(Damage(frame, frames, int(held), float(seconds), reason))


class Losses:
    """Follows packets into a decoder and frames out of it, in order of presentation.

    A decoder gives a frame for each packet, so once something went wrong, packets that are passed over are lost frames.
    Where it does not (fields in packets of their own), only what comes is told. Where packets are missing too, and
    frames had come at regular times, the times between are those of lost frames."""

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self._time_base = time_base
        self._step = None if rate is None else 1 / (rate * time_base)
        self._waiting: list[int] = []  # a heap: times of packets whose frames have not come
        self._pending: tuple[str, int] | None = None  # what went wrong with a packet up to that time
        self._skipped: int | None = None  # bytes were passed over behind that time
        self._joint = False  # that may be a joint of two recordings
        self._watched = 0  # frames behind it at which a gap is still one of what was passed over
        self._reason: str | None = None  # of the frames that come now, up to the next key frame
        self._concerned: dict[
            int, tuple[str, int]
        ] = {}  # by the time of a frame: what happened, and whether to it (1) or before it (0)
        self._last: int | None = None
        self._one_to_one = True
        self._steps: tuple[int, int] | None = None  # least and most between two whole frames

    def entering(self, pts: int | None) -> None:
        """Take note of the time of a packet that goes into the decoder."""
        if pts is not None:
            heapq.heappush(self._waiting, pts)

    def failed(self, reason: str) -> None:
        """Take note that a packet that went in, or was to come, is damaged."""
        if self._pending is None and self._reason is None:
            self._pending = reason, max(self._waiting, default=self._last or 0)

    def skipped(self, *, joint: bool = False) -> None:
        """Take note that bytes were passed over before the next packet: damage if times show that frames are missing.

        joint: it may be where recordings were joined instead, which also shows by a longer gap.
        """
        self._skipped, self._watched, self._joint = max(self._waiting, default=self._last or 0), _WATCHED_FRAMES, joint

    def leaving(self, pts: int | None, *, key: bool, whole: bool) -> list[Lost]:
        """Return the frames that are lost before this one, which comes out; `whole`: as far as the decoder knows."""
        if pts is None:
            return []
        if not whole:
            self.failed(IN_PART)
        if self._skipped is not None:
            if self._last is not None and self._is_gap(pts - self._last) and not self._is_pause(pts - self._last):
                self.failed(SKIPPED)
            if pts > self._skipped:
                self._watched -= 1
                if not self._watched:
                    self._skipped = None
        passed = self._passed(pts)
        lost: list[Lost] = []
        if self._last is not None and pts > self._last:
            if self._pending is None and self._reason is None:
                self._one_to_one = self._one_to_one and not passed
                least, most = self._steps or (pts - self._last, pts - self._last)
                self._steps = min(least, pts - self._last), max(most, pts - self._last)
            else:
                lost = [Lost(time) for time in self._between(self._last, passed if self._one_to_one else [], pts)]
        opened = self._pending is not None and (bool(lost) or not whole or pts > self._pending[1])
        if self._pending is not None and opened:
            self._reason, self._pending = self._pending[0], None
        if self._reason is not None:
            self._concerned.update((each.pts, (self._reason, 1)) for each in lost)
            if not (key and whole):
                self._concerned[pts] = self._reason, 1
            elif not lost and opened:
                self._concerned[pts] = self._reason, 0
            if key and whole:
                self._reason = None
        self._last = pts if self._last is None else max(self._last, pts)
        return lost

    def is_late(self, pts: int | None) -> bool:
        """Tell whether a frame comes, amid damage, when its place has passed: decoders lose the order of frames
        there.
        """
        amid = self._pending is not None or self._reason is not None
        return amid and pts is not None and self._last is not None and pts <= self._last

    def rest(self) -> list[Lost]:
        """Return the frames that will not come any more, at the end."""
        reason = self._pending[0] if self._pending is not None else self._reason
        left = sorted({time for time in self._waiting if self._last is not None and time > self._last})
        self._waiting.clear()
        if reason is None or not self._one_to_one or not left:
            return []
        self._pending = None
        times = left if self._last is None else [*self._between(self._last, left[:-1], left[-1]), left[-1]]
        self._concerned.update(dict.fromkeys(times, (reason, 1)))
        return [Lost(time) for time in times]

    @property
    def untold(self) -> str | None:
        """What went wrong that no frame has shown; at the end, it is what is missing there."""
        if self._pending is None and self._skipped is not None and self._watched == _WATCHED_FRAMES:
            return SKIPPED  # and no frame came behind it
        return None if self._pending is None else self._pending[0]

    def at(self, pts: int | None) -> tuple[str, int] | None:
        """Return what happened to the frame of this time (1) or before it (0), None when all is as it was."""
        return None if pts is None else self._concerned.pop(pts, None)

    def _passed(self, pts: int) -> list[int]:
        """Take out and return the times before `pts` whose frames have not come."""
        found: list[int] = []
        while self._waiting and self._waiting[0] <= pts:
            time = heapq.heappop(self._waiting)
            if time < pts and (self._last is None or time > self._last) and time not in found[-1:]:
                found.append(time)
        return found

    def _between(self, start: int, known: Iterable[int], end: int) -> Iterator[int]:
        """Yield the times of lost frames between two: those known, and those that a regular rate has between them."""
        before = start
        for time in (*known, end):
            count = self._count(time - before)
            for place in range(1, count):
                yield before + round(Fraction((time - before) * place, count))
            if time != end:
                yield time
            before = time

    def _is_pause(self, gap: int) -> bool:
        """Tell whether a gap is that between two recordings."""
        return self._joint and gap * self._time_base > _SHORTEST_PAUSE_SECONDS

    def _is_gap(self, gap: int) -> bool:
        """Tell whether two frames lie further apart than any before."""
        most = self._steps[1] if self._steps is not None else self._step
        return most is not None and gap > 1.5 * most

    def _count(self, gap: int) -> int:
        """Return how many regular steps a gap holds; 1 where times are not regular."""
        if gap * self._time_base > _LONGEST_FILL_SECONDS:
            return 1
        if self._steps is None:  # nothing whole was seen: what the file says of its rate
            return 1 if self._step is None else max(1, round(gap / self._step))
        least, most = self._steps
        if most - least > max(2, least // 4):
            return 1
        step = self._step if self._step is not None and least - 1 < self._step < most + 1 else Fraction(least + most, 2)
        return max(1, round(gap / step))


def judged(packets: Iterable[av.Packet[Any]], video: int) -> Iterator[tuple[av.Packet[Any], bool]]:
    """Yield each packet, and whether it is incomplete.

    A packet that the demuxer calls incomplete may just stand before a joint, where a recording goes on with a key frame
    (the last one or, behind FFmpeg's parser, the last but one): such a one is whole until its frame shows otherwise.
    `video`: index of the stream that is judged."""
    ahead: deque[av.Packet[Any]] = deque()

    def in_question(packet: av.Packet[Any]) -> bool:
        return bool(packet.is_corrupt and packet.size > 0 and packet.stream.index == video)

    def keys(behind: Iterable[av.Packet[Any]]) -> list[bool]:
        return [packet.is_keyframe for packet in behind if packet.size > 0 and packet.stream.index == video][
            :_JOINT_PACKETS
        ]

    for packet in packets:
        ahead.append(packet)
        while ahead:
            behind = keys(islice(ahead, 1, None))
            if in_question(ahead[0]) and not any(behind) and len(behind) < _JOINT_PACKETS:
                break
            first = ahead.popleft()
            yield first, in_question(first) and not any(behind)
    while ahead:
        first = ahead.popleft()
        yield first, in_question(first) and not any(keys(ahead))
