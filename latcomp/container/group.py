"""A group: times, keep mask and tokens of some latent frames; how it becomes the payload of a chunk, and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from latcomp.container.coding import GroupBytes, GroupCoder, GroupContent, GroupShape
from latcomp.container.format import FLAG_CAMERA, FLAG_KEY, FLAG_LIT, GROUP_FLAGS, GROUP_HEAD
from latcomp.container.header import Header, check_group_limits
from latcomp.container.limits import Limits
from latcomp.container.offsets import OFFSET_MOST, decode_offsets, encode_offsets, world_most
from latcomp.container.offsets import WHAT as OFFSETS
from latcomp.container.times import decode_times, encode_times
from latcomp.container.varint import VarintReader
from latcomp.errors import DamagedFileError, LimitError, UnsupportedFileError, UsageError
from latcomp.latents import ADJUST_MAX, ADJUST_MIN, Box, GroupView, StepScale

FILLS = ("hold", "lit")
NOTHING = GroupView((), Box(0, 0, 0, 0))


@dataclass(frozen=True)
class Group:
    """Successive latent frames, the unit that is selected, written, read and filled at once."""

    index: int
    """Number of the group in the file, from 0."""
    key: bool
    """Whether it starts a segment; if so, every visible position of its first latent frame is kept."""
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
    offsets: np.ndarray | None = None
    """int64 (frames, 2): camera offset (dy, dx) of each frame; None where all are at the world's corner."""
    view: GroupView = field(default_factory=lambda: NOTHING, repr=False, compare=False)
    """What it shows: its mask stands over its window. A group without offsets need not be given it."""

    def __post_init__(self) -> None:
        if not self.view.frames:
            object.__setattr__(self, "view", GroupView.whole(len(self.mask), self.mask.shape[1:]))

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
    view: GroupView
    """What it shows."""
    offsets: np.ndarray | None = None
    """int64 (frames, 2): camera offsets; None where all are at the world's corner."""

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
    grid = header.window_of(_checked_offsets(group, header)).shape
    if group.mask.dtype != np.bool_ or group.mask.shape[1:] != grid or not 1 <= steps <= header.group_latent_frames:
        raise UsageError(
            f"keep mask {group.mask.dtype} {group.mask.shape}: bool (1..{header.group_latent_frames}, "
            f"{grid[0]}, {grid[1]}) is needed"
        )
    frames = len(group.pts)
    if group.pts.ndim != 1 or group.pts.dtype.kind not in "iu" or not header.rule_of(group.key).fits(frames, steps):
        raise UsageError(f"{frames} frames do not make {steps} latent frames of {header.temporal} frames")
    view = header.view_of(group.key, frames, group.offsets)
    if group.mask[~view.visible].any():
        raise UsageError("a keep mask keeps what its latent frame does not show")
    if group.key and not view.take(group.mask, 0).all():
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


def _checked_offsets(group: Group, header: Header) -> np.ndarray | None:
    """A group's camera offsets. Raises `UsageError` where they may not be written under this header."""
    offsets = group.offsets
    if offsets is None:
        return None
    if "camera" not in header.requires:
        raise UsageError("camera offsets need a header that requires `camera`")
    if offsets.dtype != np.int64 or offsets.shape != (len(group.pts), 2) or not len(group.pts):
        raise UsageError(f"camera offsets {offsets.dtype} {offsets.shape}: int64 ({len(group.pts)}, 2) are needed")
    if not -OFFSET_MOST <= int(offsets.min()) <= int(offsets.max()) <= OFFSET_MOST:
        raise UsageError("a camera offset passes 31 bits")
    area, most = header.window_of(offsets).area, world_most(header.grid)
    if area > most:
        raise UsageError(f"a group shows {area} positions of the world, {most} are allowed")
    return offsets


def pack_group(group: Group, header: Header, coder: GroupCoder) -> tuple[bytes, GroupHead]:
    """(payload, head) of a group chunk; `coder` is the segment's. Raises `UsageError` on a group that does
    not fit.
    """
    check_group(group, header)
    pts = [int(time) for time in group.pts]
    times = (b"" if group.offsets is None else encode_offsets(group.offsets)) + encode_times(pts)
    scale = StepScale(header.step_scale, group.step_adjust)
    view = header.view_of(group.key, len(pts), group.offsets)
    coded = coder.encode(GroupContent(group.mask, group.tokens, group.halvings, group.key, scale, view, group.coded))
    front = GROUP_HEAD.pack(
        index=group.index,
        first_frame=group.first_frame,
        first_pts=pts[0],
        frames=len(pts),
        latent_frames=len(group.mask),
        flags=(FLAG_KEY if group.key else 0)
        | (FLAG_LIT if group.fill == "lit" else 0)
        | (FLAG_CAMERA if group.offsets is not None else 0),
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
    known = sum(GROUP_FLAGS) - (0 if "camera" in header.requires else FLAG_CAMERA)
    if head["flags"] & ~known:
        raise UnsupportedFileError(f"{name} has flags of a later version: use a newer latcomp")
    key = bool(head["flags"] & FLAG_KEY)
    if not 1 <= steps <= header.group_latent_frames or not header.rule_of(key).fits(frames, steps):
        raise DamagedFileError(f"{name} claims {steps} latent frames and {frames} frames")
    mask_from = GROUP_HEAD.size + head["times_bytes"]
    tokens_from = mask_from + head["mask_bytes"]
    if tokens_from > len(payload):
        raise DamagedFileError(f"{name} claims {tokens_from} bytes of times and mask in a payload of {len(payload)}")
    offsets, times = split_front(payload, head)
    area, most = header.window_of(offsets).area, world_most(header.grid)
    if area > most:
        raise LimitError(f"{name} shows {area} positions of the world, {most} are allowed")
    view = header.view_of(key, frames, offsets)
    if offsets is not None:
        check_group_limits(f"{name} of {view.count} positions", view.count, header.channels, limits)
    if not (view.frames[0].count if key else 0) <= head["tokens_kept"] <= view.count:
        raise DamagedFileError(f"{name} claims {head['tokens_kept']} tokens at {view.count} positions")
    pts = decode_times(times, frames, head["first_pts"])
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
        view,
        offsets,
    )


def split_front(payload: bytes, head: dict[str, int]) -> tuple[np.ndarray | None, bytes]:
    """(camera offsets (frames, 2), None where there are none; bytes of the times), out of what follows a group's head.
    Raises `DamagedFileError` for offsets that are not exactly as many as frames."""
    front = payload[GROUP_HEAD.size : GROUP_HEAD.size + head["times_bytes"]]
    if not head["flags"] & FLAG_CAMERA:
        return None, front
    numbers = VarintReader(front, OFFSETS)
    offsets = decode_offsets(numbers, head["frames"])
    return offsets, front[numbers.offset :]


def unpack_group(payload: bytes, head: GroupHead, header: Header, coder: GroupCoder) -> Group:
    """The group of a chunk whose head was read; `coder` is the segment's.

    Raises `DamagedFileError` when mask or tokens are not what the head says, `UnsupportedFileError` for a coding or
    layout of a later version."""
    data = memoryview(payload)
    name = f"group {head.index}"
    coded = GroupBytes(head.mask_coding, data[head.mask_at], head.token_layout, data[head.tokens_at])
    claimed = GroupShape(head.view, head.tokens_kept, head.key, StepScale(header.step_scale, head.step_adjust))
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
        offsets=head.offsets,
        view=head.view,
    )
