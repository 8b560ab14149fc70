"""The tokens of a group as bytes, behind one `GroupCoder`: contexts, the learned prior, or lossless."""

from __future__ import annotations

from latcomp.container.coding.context.coder import ContextCoder
from latcomp.container.coding.group_coder import GroupBytes, GroupCoder, GroupContent, GroupShape
from latcomp.container.coding.lossless import LosslessCoder
from latcomp.container.coding.prior.coder import FrameCosts, PriorCoder
from latcomp.container.coding.prior.network import Prior
from latcomp.container.header import Header
from latcomp.errors import UnsupportedFileError, UsageError

CODINGS = ("context", "zstd")

__all__ = [
    "CODINGS",
    "ContextCoder",
    "FrameCosts",
    "GroupBytes",
    "GroupCoder",
    "GroupContent",
    "GroupShape",
    "LosslessCoder",
    "Prior",
    "PriorCoder",
    "coder_for",
]


def coder_for(header: Header, prior: Prior | None = None, coding: str = "context") -> GroupCoder:
    """What codes the groups of a segment of a file, from its key group on.

    prior: the one that the header names; coding: what a writer may use, 'context' for all or 'zstd' for zstd alone.
    Raises `UnsupportedFileError` when the header's prior is not given, `UsageError` for an unknown coding.
    """
    if coding not in CODINGS:
        raise UsageError(f"coding {coding!r} is unknown: choose {' or '.join(CODINGS)}")
    planes_alone = coding == "zstd"
    wanted = None if header.prior is None else _checked(header, header.prior, prior)
    if header.coding == "lossless":
        return LosslessCoder(header.grid, header.channels)
    if wanted is None:
        return ContextCoder(header.grid, header.channels, planes_alone)
    return PriorCoder(wanted, header.grid, header.units, planes_alone)


def _checked(header: Header, wanted: dict[str, str], prior: Prior | None) -> Prior:
    """The prior, which is the one the header asks for."""
    if prior is None or prior.sha256 != wanted["sha256"]:
        raise UnsupportedFileError(f"the prior {wanted['name']!r} is needed to read masks and tokens")
    if prior.fingerprint != wanted.get("fingerprint", prior.fingerprint):
        raise UnsupportedFileError(f"the prior {wanted['name']!r} was found with another configuration than the file's")
    if prior.channels != header.channels:
        raise UnsupportedFileError(f"the prior {prior.name!r} is for {prior.channels} channels, not {header.channels}")
    return prior
