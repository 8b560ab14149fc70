"""The tokens of a group as bytes, behind one `GroupCoder`: contexts, what was learned on the way, the learned prior, or
lossless.
"""

from __future__ import annotations

from latcomp.container.coding.adaptive.coder import AdaptiveCoder, AdaptiveCosts
from latcomp.container.coding.context.coder import ContextCoder
from latcomp.container.coding.group_coder import GroupBytes, GroupCoder, GroupContent, GroupShape
from latcomp.container.coding.lossless import LosslessCoder
from latcomp.container.coding.prior.coder import FrameCosts, PriorCoder
from latcomp.container.coding.prior.network import Prior
from latcomp.container.header import Header
from latcomp.errors import UnsupportedFileError, UsageError

CODINGS = ("context", "zstd", "adaptive")

__all__ = [
    "CODINGS",
    "AdaptiveCoder",
    "AdaptiveCosts",
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

    prior: the one that the header names; coding: what a writer may use, 'context' for all, 'zstd' for zstd alone, or
    'adaptive', which the header must require. A header that requires it leaves a writer no other choice. Raises
    `UnsupportedFileError` when the header's prior is not given, `UsageError` for an unknown coding and for one that
    does not fit the header.
    """
    if coding not in CODINGS:
        raise UsageError(f"coding {coding!r} is unknown: choose {' or '.join(CODINGS)}")
    planes_alone = coding == "zstd"
    wanted = None if header.prior is None else _checked(header, header.prior, prior)
    if header.coding == "lossless":
        return LosslessCoder(header.grid, header.channels)
    if "adaptive" in header.requires:
        if planes_alone:
            raise UsageError("a file that requires `adaptive` has no tokens under zstd")
        return AdaptiveCoder(header.grid, header.channels)
    if coding == "adaptive":
        raise UsageError("coding 'adaptive' needs a header that requires it")
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
