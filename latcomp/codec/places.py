"""Where latents and masks that are handed out have their places: on the frame's own grid, or where a camera moves in
the world. No torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from latcomp.checks import check_word
from latcomp.container import Group, Header
from latcomp.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

PLACES = ("frame", "world")


@dataclass(frozen=True, eq=False)
class WorldMask:
    """The keep mask of one group, or of some of its latent frames, over a window of the world: T latent frames of h x w
    positions.

    The worlds of different segments have nothing in common."""

    index: int
    """Number of the group in the file, from 0."""
    key: bool
    """Whether the group starts a segment, and with it a world."""
    window: tuple[int, int, int, int]
    """(top, left, rows, columns) in positions: where in the world the arrays stand."""
    offsets: np.ndarray = field(repr=False)
    """int64 (frames, 2): (dy, dx) of each frame, whole pixels from its own corner to the world's."""
    visible: np.ndarray = field(repr=False)
    """bool (T, h, w): positions that a frame of the latent frame shows, in part at least."""
    mask: np.ndarray = field(repr=False)
    """bool (T, h, w): which of them are kept."""

    @classmethod
    def of_group(cls, group: Group) -> WorldMask:
        """That of a whole group."""
        return cls(group.index, group.key, _window(group), _offsets(group), group.view.visible, group.mask)


@dataclass(frozen=True, eq=False)
class WorldLatents(WorldMask):
    """Filled latents of one group, or of some of its latent frames, over a window of the world."""

    latents: Tensor = field(repr=False)
    """float32 (1, C, T, h, w). Where nothing is visible they mean nothing."""

    @classmethod
    def of(cls, group: Group, header: Header, filled: Tensor, chosen: slice) -> WorldLatents:
        """Those of the chosen latent frames; filled: (1, C, T, h, w) of all of the group's."""
        rule = header.rule_of(group.key)
        frames = slice(rule.place(chosen.start).start, rule.place(chosen.stop - 1).stop)
        return cls(
            group.index,
            group.key,
            _window(group),
            _offsets(group)[frames],
            group.view.visible[chosen],
            group.mask[chosen],
            filled[:, :, chosen],
        )


def moves(group: Group) -> bool:
    """Whether the camera is not where the group's segment began, so that its positions are not those of its frames."""
    return group.offsets is not None and bool(group.offsets.any())


def check_places(places: object) -> None:
    """Raise `UsageError` for a word that says of no places."""
    check_word("places", places, PLACES)


def no_frame_places(what: str, otherwise: str) -> UsageError:
    """The error of a request for what has no places on the frame's grid. what: as in 'latents have'; otherwise: what
    else to do.
    """
    return UsageError(
        f"the camera was followed here, so {what} no frame places: {otherwise}, or encode with camera='off'",
        settings=("camera='off'", "places='world'"),
    )


def _window(group: Group) -> tuple[int, int, int, int]:
    window = group.view.window
    return window.top, window.left, window.rows, window.columns


def _offsets(group: Group) -> np.ndarray:
    return np.zeros((len(group.pts), 2), np.int64) if group.offsets is None else group.offsets
