"""Every checksum, bound and count of a .lat file, by reading all of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import BinaryIO

from latcomp.container.attachments import PackedAttachment
from latcomp.container.header import Header
from latcomp.container.limits import Limits
from latcomp.container.reader import FindPrior, Reader
from latcomp.container.walk import Problem
from latcomp.errors import DamagedFileError

FaultsOf = Callable[[Header], Iterable[str]]


def check(
    fo: BinaryIO, limits: Limits | None = None, find_prior: FindPrior | None = None, faults_of: FaultsOf | None = None
) -> list[Problem]:
    """What is wrong with a file, in file order; empty when it is intact.

    faults_of: what there is to say against a header besides, such as that it does not fit its models.

    Masks, tokens and attachments are decoded, the index is compared with the file. Raises `DamagedFileError` when there
    is no readable header, `UnsupportedFileError` for a later version, `LimitError` for claims above the limits."""
    reader = Reader(fo, limits, find_prior)
    faults = [] if faults_of is None else [Problem(0, fault) for fault in faults_of(reader.header)]
    if faults:
        return faults  # under a header that lies, nothing that follows means what it says
    for item, chunk in reader.with_chunks():
        if isinstance(item, PackedAttachment):
            try:
                item.verify()
            except DamagedFileError as error:
                reader.note(chunk, str(error))
    return list(reader.damage)
