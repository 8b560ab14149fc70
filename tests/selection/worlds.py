"""Segments seen through views that move, made on the spot."""

from __future__ import annotations

import numpy as np

from latcomp.latents import Box, FrameView, GroupView

ROWS, COLUMNS = 3, 4
"""Positions of a picture."""


def some_views(seed: int, lengths: list[int], reach: int = 3) -> list[GroupView]:
    """Groups of so many latent frames, each of which shows one or two pictures, within `reach` of the corner or, once
    in a while, far from all others.
    """
    rng = np.random.default_rng(seed)

    def frame() -> FrameView:
        far = 20 * (rng.random() < 0.1)
        return FrameView.of(
            Box(int(y) + far, int(x) - far, ROWS, COLUMNS)
            for y, x in rng.integers(-reach, reach + 1, (rng.integers(1, 3), 2))
        )

    return [GroupView.over(tuple(frame() for _ in range(length))) for length in lengths]


def around(views: list[GroupView]) -> Box:
    """The box of all that a segment shows."""
    return Box.around(view.window for view in views)


def cut(world: np.ndarray, views: list[GroupView], beside: float = np.nan) -> list[np.ndarray]:
    """Each group's (C, T, h, w) over its window, out of a segment's values (C, T, H, W) over the box of all that it
    shows; `beside` where they are not visible.
    """
    box, found, start = around(views), [], 0
    for view in views:
        length = len(view.frames)
        here = world[:, start : start + length][(..., *view.window.inside(box))]
        found.append(np.where(view.visible, here, np.float32(beside)))
        start += length
    return found


def laid_out(values: list[np.ndarray], views: list[GroupView], beside: float = 0) -> np.ndarray:
    """The other way: (..., T, H, W) over the box of a segment, out of each group's (..., T, h, w)."""
    box, frames = around(views), sum(len(view.frames) for view in views)
    found, start = np.full((*values[0].shape[:-3], frames, *box.shape), beside, values[0].dtype), 0
    for part, view in zip(values, views, strict=True):
        place = slice(start, start + len(view.frames))
        whole = found[..., place, :, :][(..., *view.window.inside(box))]
        whole[..., view.visible] = part[..., view.visible]
        start = place.stop
    return found


def visible(views: list[GroupView]) -> np.ndarray:
    """bool (T, H, W): what a segment shows, over the box of all of it."""
    return laid_out([view.visible for view in views], views).astype(bool)


def first_shown(views: list[GroupView]) -> np.ndarray:
    """bool (T, H, W): where it is shown for the first time."""
    shown = visible(views)
    return shown & (np.cumsum(shown, axis=0) == 1)


def walk(seed: int, views: list[GroupView], channels: int) -> np.ndarray:
    """float32 (C, T, H, W) of a segment's box: half of the positions change, the others rest."""
    rng = np.random.default_rng(seed)
    box, frames = around(views), sum(len(view.frames) for view in views)
    moving = rng.random((1, 1, *box.shape)) < 0.5
    steps = rng.normal(0, 0.4, (channels, frames, *box.shape)) * np.where(moving, 1.0, 0.02)
    steps[:, 0] = rng.normal(0, 2, (channels, *box.shape))
    return np.cumsum(steps, axis=1).astype(np.float32)
