"""A group: times, keep mask and tokens of some latent frames; how it becomes the payload of a chunk, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latcomp.container.coding import GroupBytes, GroupCoder, GroupContent, GroupShape
from latcomp.container.format import FLAG_KEY, FLAG_LIT, GROUP_FLAGS, GROUP_HEAD
from latcomp.container.header import Header
from latcomp.container.limits import Limits
from latcomp.container.times import decode_times, encode_times
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError, UsageError
from latcomp.latents import ADJUST_MAX, ADJUST_MIN, StepScale

FILLS = ("hold", "lit")


@dataclass(frozen=True)
class Group:
    """Successive latent frames, the unit that is selected, written, read and filled at once."""

    index: int
    """Number of the group in the file, from 0."""
    key: bool
    """Whether it starts a segment; if so, every position of its first latent frame is kept."""
    first_frame: int
    """Number of its first frame in the file, from 0."""
    pts: np.ndarray
    """int64 (frames,): presentation times in the header's time base. `Header.rule_of(key)` says how many make the
    latent frames; the last may have fewer."""
    mask: np.ndarray
    """bool (T, h, w): the keep mask."""
    tokens: np.ndarray
    """(N, C) kept tokens in the order t, y, x: int32 symbols, or float32 latents in a lossless file."""
    fill: str
    """'lit' or 'hold': how dropped positions are to be given a value."""
    step_adjust: int = 0
    """32nds of an octave by which the steps of its tokens are above the header's `step_scale`, -128 to 127."""
    halvings: np.ndarray | None = None
    """uint8 (N,): how many times the step behind each kept token was halved; None where never, as in files without a
    prior.
    """
    coded: tuple[Any, ...] | None = field(default=None, repr=False, compare=False)
    """Of each latent frame what its coder found out while it was selected; None for a group that was read. A group
    whose tokens were changed since is written as it is now."""

    def __repr__(self) -> str:
        return (
            f"Group(index={self.index}, key={self.key}, frames "
            f"{self.first_frame}..{self.first_frame + len(self.pts) - 1}, "
            f"mask {self.mask.shape}, tokens {self.tokens.shape} {self.tokens.dtype}, fill={self.fill!r})"
        )


@dataclass(frozen=True)
class GroupHead:
    """What a group chunk says in plain numbers: enough for `stats`, read without decompressing the tokens."""

    index: int
    key: bool
    first_frame: int
    pts: np.ndarray
    latent_frames: int
    tokens_kept: int
    fill: str
    mask_coding: int
    token_layout: int
    mask_at: slice
    """Where in the payload the mask's bytes are."""
    tokens_at: slice
    """Where in the payload the tokens' bytes are."""
    step_adjust: int

    @property
    def frames(self) -> int:
        """Frames of the group."""
        return len(self.pts)

    @property
    def bytes_mask(self) -> int:
        """Bytes of the keep mask."""
        return int(self.mask_at.stop - self.mask_at.start)

    @property
    def bytes_tokens(self) -> int:
        """Bytes of the tokens."""
        return int(self.tokens_at.stop - self.tokens_at.start)


def check_group(group: Group, header: Header) -> None:
    """Raise `UsageError` naming what does not fit when a group may not be written under this header."""
    steps = len(group.mask)
    if (
        group.mask.dtype != np.bool_
        or group.mask.shape[1:] != header.grid
        or not 1 <= steps <= header.group_latent_frames
    ):
        raise UsageError(
            f"keep mask {group.mask.dtype} {group.mask.shape}: bool (1..{header.group_latent_frames}, "
            f"{header.grid[0]}, {header.grid[1]}) is needed"
        )
    frames = len(group.pts)
    if group.pts.ndim != 1 or group.pts.dtype.kind not in "iu" or not header.rule_of(group.key).fits(frames, steps):
        raise UsageError(f"{frames} frames do not make {steps} latent frames of {header.temporal} frames")
    if group.key and not group.mask[0].all():
        raise UsageError("a key group keeps every position of its first latent frame")
    wanted = np.float32 if header.coding == "lossless" else np.int32
    kept = int(np.count_nonzero(group.mask))
    if group.tokens.dtype != wanted or group.tokens.shape != (kept, header.channels):
        raise UsageError(
            f"tokens {group.tokens.dtype} {group.tokens.shape}: {np.dtype(wanted)} ({kept}, {header.channels}) are "
            "needed"
        )
    if group.halvings is not None:
        if group.halvings.dtype != np.uint8 or group.halvings.shape != (kept,):
            raise UsageError(f"halvings {group.halvings.dtype} {group.halvings.shape}: uint8 ({kept},) are needed")
        if kept and int(group.halvings.max()) >= header.units.bit_length():
            raise UsageError(f"a step of {header.units} units cannot be halved {int(group.halvings.max())} times")
    if group.fill not in FILLS:
        raise UsageError(f"fill {group.fill!r} is not one of {', '.join(FILLS)}")
    if not ADJUST_MIN <= group.step_adjust <= ADJUST_MAX:
        raise UsageError(f"a step adjustment of {group.step_adjust} is out of range: {ADJUST_MIN} to {ADJUST_MAX}")


def pack_group(group: Group, header: Header, coder: GroupCoder) -> tuple[bytes, GroupHead]:
    """(payload, head) of a group chunk; `coder` is the segment's. Raises `UsageError` on a group that does
    not fit.
    """
    check_group(group, header)
    pts = [int(time) for time in group.pts]
    times = encode_times(pts)
    scale = StepScale(header.step_scale, group.step_adjust)
    coded = coder.encode(GroupContent(group.mask, group.tokens, group.halvings, group.key, scale, group.coded))
    front = GROUP_HEAD.pack(
        index=group.index,
        first_frame=group.first_frame,
        first_pts=pts[0],
        frames=len(pts),
        latent_frames=len(group.mask),
        flags=(FLAG_KEY if group.key else 0) | (FLAG_LIT if group.fill == "lit" else 0),
        mask_coding=coded.mask_coding,
        token_layout=coded.token_layout,
        tokens_kept=len(group.tokens),
        times_bytes=len(times),
        mask_bytes=len(coded.mask),
        step_adjust=group.step_adjust,
    )
    payload = b"".join((front, times, coded.mask, coded.tokens))
    return payload, unpack_head(payload, header, Limits(max_frames=2**33))


def place_of(payload: bytes) -> tuple[int, int]:
    """(index, first frame) that a group's payload claims. Raises `DamagedFileError` when it is too short for its
    head.
    """
    if len(payload) < GROUP_HEAD.size:
        raise DamagedFileError(f"a group of {len(payload)} bytes, its head alone takes {GROUP_HEAD.size}")
    head = GROUP_HEAD.unpack(payload)
    return head["index"], head["first_frame"]


def unpack_head(payload: bytes, header: Header, limits: Limits) -> GroupHead:
    """The plain numbers of a group chunk, each checked against the header and the limits.

    Raises `DamagedFileError` for numbers that contradict each other or the header, `LimitError` for frame numbers above
    the limit, `UnsupportedFileError` for flags of a later version."""
    place_of(payload)
    head = GROUP_HEAD.unpack(payload)
    name = f"group {head['index']}"
    frames, steps = head["frames"], head["latent_frames"]
    if head["first_frame"] + frames > limits.max_frames:
        raise LimitError(
            f"{name} claims frame {head['first_frame'] + frames}, {limits.max_frames} are allowed "
            "(raise with max_frames)",
            settings=("max_frames",),
        )
    if head["flags"] & ~sum(GROUP_FLAGS):
        raise UnsupportedFileError(f"{name} has flags of a later version: use a newer latcomp")
    key = bool(head["flags"] & FLAG_KEY)
    if not 1 <= steps <= header.group_latent_frames or not header.rule_of(key).fits(frames, steps):
        raise DamagedFileError(f"{name} claims {steps} latent frames and {frames} frames")
    rows, columns = header.grid
    if not (rows * columns if key else 0) <= head["tokens_kept"] <= steps * rows * columns:
        raise DamagedFileError(f"{name} claims {head['tokens_kept']} tokens at {steps} x {rows} x {columns} positions")
    mask_from = GROUP_HEAD.size + head["times_bytes"]
    tokens_from = mask_from + head["mask_bytes"]
    if tokens_from > len(payload):
        raise DamagedFileError(f"{name} claims {tokens_from} bytes of times and mask in a payload of {len(payload)}")
    pts = decode_times(payload[GROUP_HEAD.size : mask_from], frames, head["first_pts"])
    return GroupHead(
        head["index"],
        key,
        head["first_frame"],
        pts,
        steps,
        head["tokens_kept"],
        FILLS[bool(head["flags"] & FLAG_LIT)],
        head["mask_coding"],
        head["token_layout"],
        slice(mask_from, tokens_from),
        slice(tokens_from, len(payload)),
        head["step_adjust"],
    )


def unpack_group(payload: bytes, head: GroupHead, header: Header, coder: GroupCoder) -> Group:
    """The group of a chunk whose head was read; `coder` is the segment's.

    Raises `DamagedFileError` when mask or tokens are not what the head says, `UnsupportedFileError` for a coding or
    layout of a later version."""
    data = memoryview(payload)
    name = f"group {head.index}"
    shape = (head.latent_frames, *header.grid)
    coded = GroupBytes(head.mask_coding, data[head.mask_at], head.token_layout, data[head.tokens_at])
    claimed = GroupShape(shape, head.tokens_kept, head.key, StepScale(header.step_scale, head.step_adjust))
    try:
        found = coder.decode(coded, claimed)
    except DamagedFileError as error:
        raise DamagedFileError(f"{name}: {error}") from None
    except UnsupportedFileError as error:
        raise UnsupportedFileError(f"{name}: {error}") from None
    return Group(
        head.index,
        head.key,
        head.first_frame,
        head.pts,
        found.mask,
        found.tokens,
        head.fill,
        head.step_adjust,
        found.halvings,
    )
