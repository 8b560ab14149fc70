"""How many bytes a group needs at least for what it claims, so that a few bytes cannot ask for much work and memory.

Under a prior every symbol takes at least the bits of the likeliest one of its table, and a range coder's words hold 32
bits each; no zstd frame is more than 32768 times as long as its bytes. No honest group is shorter than what follows
from these."""

from __future__ import annotations

from latcomp.container.coding.adaptive.counts import LEAST_BITS
from latcomp.container.coding.prior.network import Prior
from latcomp.container.format import (
    LAYOUT_ADAPTIVE,
    LAYOUT_CONTEXT,
    LAYOUT_FLOAT_CHANGES,
    LAYOUT_FLOATS,
    LAYOUT_MODE_CHANGES,
    LAYOUT_MODES,
    LAYOUT_PLANES,
    LAYOUT_PRIOR,
    MASK_BITS,
    MASK_CHANGES,
    MASK_PRIOR,
)
from latcomp.container.group import GroupHead
from latcomp.container.header import Header
from latcomp.container.zstd import EXPANSION_MAX
from latcomp.errors import DamagedFileError
from latcomp.latents import GroupView

VALUES_A_BYTE = 5  # of a stream of digits, at most


def check_bytes(head: GroupHead, header: Header, prior: Prior | None, first: bool) -> None:
    """Raise `DamagedFileError` when a group has fewer bytes than its keep mask and its tokens need at least.

    first: whether it starts a segment, whose first latent frame has no bits under a prior.
    """
    tokens = _bits_of_tokens(head, header.channels, prior)
    mask = _bits_of_mask(head, _stored_positions(head.view, first, "camera" in header.requires), prior)
    for what, bits, found in (("keep mask", mask, head.bytes_mask), ("tokens", tokens, head.bytes_tokens)):
        if bits > 8 * found + 1:  # a bit more than found: sums of logarithms are rounded
            raise DamagedFileError(
                f"group {head.index}: {found} bytes cannot hold its {what} ({head.tokens_kept} tokens, "
                f"{head.view.count} "
                f"positions), which need {int(bits / 8) + 1}"
            )


def _stored_positions(view: GroupView, first: bool, camera: bool) -> int:
    """How many bits of a keep mask are stored at least. first: whether the group starts a segment; camera: whether the
    file may have camera offsets. Then it is not known here what of a group's first latent frame was seen before, and of
    a later one only that what the one before showed was."""
    if view.full:
        return view.count - (first or camera) * view.frames[0].count
    return sum(before.shared(after) for before, after in zip(view.frames, view.frames[1:], strict=False))


def _bits_of_mask(head: GroupHead, stored: int, prior: Prior | None) -> float:
    if head.mask_coding == MASK_PRIOR and prior is not None:
        return stored * prior.least_bits_of_position
    return stored / EXPANSION_MAX if head.mask_coding in (MASK_BITS, MASK_CHANGES) else 0.0


def _bits_of_tokens(head: GroupHead, channels: int, prior: Prior | None) -> float:
    """Of layout 2 nothing is known: tokens that repeat take no bytes at all."""
    if head.token_layout == LAYOUT_PRIOR and prior is not None:
        return head.tokens_kept * prior.least_bits_of_token
    if head.token_layout == LAYOUT_ADAPTIVE:
        return head.tokens_kept * channels * LEAST_BITS
    bytes_a_token = {
        LAYOUT_PLANES: channels,
        LAYOUT_CONTEXT: channels / VALUES_A_BYTE,
        LAYOUT_MODES: channels + 1,
        LAYOUT_MODE_CHANGES: channels + 1,
        LAYOUT_FLOATS: 4 * channels,
        LAYOUT_FLOAT_CHANGES: 4 * channels,
    }.get(head.token_layout, 0)
    return 8 * head.tokens_kept * bytes_a_token / EXPANSION_MAX
