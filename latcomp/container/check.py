"""Every checksum, bound and count of a .lat file, by reading all of it."""

from __future__ import annotations

from typing import BinaryIO

from latcomp.container.limits import Limits
from latcomp.container.reader import FindPrior, Reader
from latcomp.container.walk import Problem


def check(fo: BinaryIO, limits: Limits | None = None, find_prior: FindPrior | None = None) -> list[Problem]:
    """What is wrong with a file, in file order; empty when it is intact.

    Masks and tokens are decoded, the index is compared with the file. Raises `DamagedFileError` when there is no readable header,
    `UnsupportedFileError` for a later version, `LimitError` for claims above the limits.
    """
    reader = Reader(fo, limits, find_prior)
    for _ in reader:
        pass
    return list(reader.damage)
