"""The bytes of .lat files: format, writer, reader, mask and token coding. FORMAT.md beside this file is the
specification.

Needs numpy and zstandard, and constriction where a prior is used: no torch, no video library.
"""

from latcomp.container.attachments import Attachment, PackedAttachment
from latcomp.container.audio import AudioChunk, AudioPacketBytes, audio_flags
from latcomp.container.check import check
from latcomp.container.coding.prior.network import Prior
from latcomp.container.format import MAGIC, SYMBOL_MAX, SYMBOL_MIN, VERSION
from latcomp.container.group import Group
from latcomp.container.header import Header, describe
from latcomp.container.index import IndexEntry
from latcomp.container.limits import Limits
from latcomp.container.reader import LostGroups, Reader
from latcomp.container.repair import LostFrames, Repair, repair
from latcomp.container.scan import scan
from latcomp.container.summary import FileSummary, GroupSummary
from latcomp.container.walk import Problem
from latcomp.container.writer import GroupSizes, Writer

__all__ = [
    "MAGIC",
    "SYMBOL_MAX",
    "SYMBOL_MIN",
    "VERSION",
    "Attachment",
    "AudioChunk",
    "AudioPacketBytes",
    "FileSummary",
    "Group",
    "GroupSizes",
    "GroupSummary",
    "Header",
    "IndexEntry",
    "Limits",
    "LostFrames",
    "LostGroups",
    "PackedAttachment",
    "Prior",
    "Problem",
    "Reader",
    "Repair",
    "Writer",
    "audio_flags",
    "check",
    "describe",
    "repair",
    "scan",
]
