"""A damaged .lat file to a new valid one: what is intact is copied byte for byte, and numbered anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import BinaryIO

import numpy as np

from latcomp.container.attachments import PackedAttachment
from latcomp.container.audio import AudioChunk
from latcomp.container.check import FaultsOf
from latcomp.container.chunks import Chunk
from latcomp.container.format import GROUP_HEAD
from latcomp.container.group import Group, split_front
from latcomp.container.limits import Limits
from latcomp.container.reader import FindPrior, LostGroups, Reader
from latcomp.container.times import decode_times, encode_times
from latcomp.container.walk import Problem
from latcomp.container.writer import ChunkWriter
from latcomp.errors import DamagedFileError


@dataclass(frozen=True)
class LostFrames:
    """Successive frames that could not be saved."""

    first_frame: int
    """Number of the first one, in the damaged file."""
    frames: int
    start_seconds: float
    """Presentation time of the first one, as far as it is known."""
    end_seconds: float
    """Presentation time of the last one."""


@dataclass
class Repair:
    """What a repair saved and what it could not."""

    problems: list[Problem] = field(default_factory=list)
    """What is wrong with the damaged file; empty when it is intact."""
    lost: list[LostFrames] = field(default_factory=list)
    """In file order; only what the file still says was there."""
    segments: int = 0
    """Of the new file, as are all below."""
    groups: int = 0
    frames: int = 0
    audio_packets: int = 0
    attachments: int = 0
    bytes_total: int = 0

    @property
    def frames_lost(self) -> int:
        """Frames that could not be saved."""
        return sum(lost.frames for lost in self.lost)


def repair(
    fo: BinaryIO,
    out: BinaryIO,
    limits: Limits | None = None,
    find_prior: FindPrior | None = None,
    faults_of: FaultsOf | None = None,
) -> Repair:
    """What became of a file whose intact part was written to `out` as a new file, front to back, so that both may be
    pipes.

    A group is copied when it decodes: when it is intact and so are all before it in its segment. Groups get new numbers
    and keep their times, so lost frames leave a gap in time; times that make no sense are replaced as a reader replaces
    them. Audio packets and attachments are copied where their chunk is intact; chunks of types that are not known are
    left out. Memory is that of a reader. Raises `DamagedFileError` when no header or no group is left, and what
    `Reader` raises."""
    reader = Reader(fo, limits, find_prior)
    for fault in () if faults_of is None else faults_of(reader.header):
        raise DamagedFileError(f"nothing can be repaired: {fault}")  # the header is copied
    done, writer = Repair(), ChunkWriter(out, reader.front)
    unit = reader.header.time_base[0] / reader.header.time_base[1]
    for item, chunk in reader.with_chunks():
        if isinstance(item, LostGroups):
            times = (item.pts.min() * unit, item.pts.max() * unit)
            done.lost.append(LostFrames(item.first_frame, item.frames, *map(float, times)))
        elif isinstance(item, AudioChunk) and chunk is not None:
            writer.put_audio(chunk.payload, len(item.packets))
        elif isinstance(item, PackedAttachment) and chunk is not None:
            try:
                item.verify()
            except DamagedFileError as error:
                reader.note(chunk, str(error))
            else:
                writer.put_attachment(chunk.payload)
        elif isinstance(item, Group) and chunk is not None:
            writer.put_group(
                _placed(chunk, writer.groups, writer.frames, item.pts), item.key, int(item.pts[0]), len(item.pts)
            )
    done.problems = list(reader.damage)
    if not writer.groups:
        raise DamagedFileError(
            f"nothing can be repaired: {done.problems[0] if done.problems else 'the file holds no frames'}"
        )
    writer.put_end()
    done.segments, done.groups, done.frames = len(writer.segments), writer.groups, writer.frames
    done.audio_packets, done.attachments, done.bytes_total = writer.audio_packets, writer.attachments, writer.offset
    return done


def _placed(chunk: Chunk, index: int, first_frame: int, pts: np.ndarray) -> bytes:
    """The payload of a group with another place in its file, and with these times where its own made no sense."""
    head = GROUP_HEAD.unpack(chunk.payload)
    behind = GROUP_HEAD.size + head["times_bytes"]
    (_, times), first = split_front(chunk.payload, head), int(pts[0])
    offsets = chunk.payload[GROUP_HEAD.size : behind - len(times)]
    if first != head["first_pts"] or not np.array_equal(decode_times(times, len(pts), first), pts):
        times = encode_times(pts.tolist())
    numbers = {
        **head,
        "index": index,
        "first_frame": first_frame,
        "first_pts": first,
        "times_bytes": len(offsets) + len(times),
    }
    return GROUP_HEAD.pack(**numbers) + offsets + times + chunk.payload[behind:]
