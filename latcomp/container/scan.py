"""The summary of a .lat file, from its plain numbers: nothing is decompressed but the header and the index."""

from __future__ import annotations

from typing import BinaryIO

from latcomp.container.attachments import PackedAttachment
from latcomp.container.audio import AudioChunk
from latcomp.container.chunks import ByteSource
from latcomp.container.group import GroupHead
from latcomp.container.limits import Limits
from latcomp.container.summary import FileSummary
from latcomp.container.walk import Walk, read_header


def scan(fo: BinaryIO, limits: Limits | None = None) -> FileSummary:
    """Counts of a whole file, from a file or a pipe; damage is in `problems`. Raises on its header as `Reader` does."""
    limits = limits or Limits()
    source = ByteSource(fo)
    header = read_header(source, limits)
    summary = FileSummary(header, bytes_header=source.offset)
    walk = Walk(source, header, limits)
    for chunk, content in walk:
        if isinstance(content, GroupHead):
            summary.add_group(content, len(chunk.payload))
        elif isinstance(content, AudioChunk):
            summary.bytes_audio += chunk.size
            summary.audio_packets += len(content.packets)
        elif isinstance(content, PackedAttachment):
            summary.add_attachment(content.name, content.dtype, content.shape, chunk.size)
    summary.problems = walk.problems
    while rest := len(walk.source.take(1 << 20)):  # so that bytes_total is the length of the file
        del rest
    summary.bytes_total = walk.source.offset
    return summary
