"""Groups with camera offsets for the tests of the container: any path of the camera over a world of smooth latents,
with masks as a threshold gives them.

What a segment remembers is held here in plain arrays over all that the segment shows, apart from the program's memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from latcomp.container import Group, Header
from latcomp.latents import Box
from tests.container.make import sized

Path = Callable[[int, np.random.Generator], np.ndarray]
"""Offsets int64 (frames, 2) of the frames of a segment, which stay within some dozen positions of each other."""


def still(frames: int, rng: np.random.Generator) -> np.ndarray:
    """One place away from the world's corner."""
    return np.tile(rng.integers(-40, 40, 2), (frames, 1))


def pan(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Always on, at a steady pace."""
    return np.arange(frames)[:, None] * np.array([-1, 4]) + rng.integers(-9, 9, 2)


def shake(frames: int, rng: np.random.Generator) -> np.ndarray:
    """A trembling hand."""
    return rng.integers(-7, 8, (frames, 2))


def there_and_back(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Out of sight and back again."""
    away = np.abs((np.arange(frames) + 9) % 38 - 19)[:, None]
    return away * np.array([3, -6]) + rng.integers(-2, 3, 2)


def jumps(frames: int, rng: np.random.Generator) -> np.ndarray:
    """Between four places far from each other, also inside of a latent frame, which then has holes."""
    places = np.array([[0, 0], [40, 90], [-30, 60], [7, -50]])
    return places[rng.integers(0, 4, frames // 3 + 1)].repeat(3, axis=0)[:frames]


PATHS: dict[str, Path] = {path.__name__: path for path in (still, pan, shake, there_and_back, jumps)}


def moving(rows: int, columns: int, channels: int, **changes: Any) -> Header:
    """A header of so many rows and columns whose groups may have camera offsets."""
    of = sized(rows, columns, channels, **changes)
    return replace(of, requires=(*of.requires, "camera"))


def camera_groups(
    of: Header,
    count: int,
    path: Path,
    seed: int = 0,
    last_frames: int | None = None,
    dense: bool = False,
    without: tuple[int, ...] = (),
    origin: tuple[int, int] = (0, 0),
) -> list[Group]:
    """Successive groups of latents that are still but for something that moves, and a little noise; the camera's path
    starts anew with each segment. without: groups that have no offsets; origin: added to all offsets but those of the
    first segment."""
    rng = np.random.default_rng(seed)
    made: list[Group] = []
    first = 0
    for start in range(0, count, of.segment_groups):
        numbers = range(start, min(start + of.segment_groups, count))
        frames = [of.rule_of(index == start).frames(of.group_latent_frames) for index in numbers]
        if numbers[-1] == count - 1 and last_frames is not None:
            frames[-1] = last_frames
        offsets = np.split(path(sum(frames), rng).astype(np.int64), np.cumsum(frames)[:-1])
        offsets = [found + np.array(origin if start else (0, 0)) for found in offsets]
        views = [
            of.view_of(index == start, many, None if index in without else found)
            for index, many, found in zip(numbers, frames, offsets, strict=True)
        ]
        world = Box.around(view.window for view in views)
        y, x, c = np.ogrid[world.top : world.bottom, world.left : world.right, : of.channels]
        scene = 9 * np.sin(0.5 * y + c) * np.cos(0.4 * x - 2 * c) / (1 + c)
        kept, seen = np.zeros(scene.shape, np.int32), np.zeros(world.shape, bool)
        for index, many, found, view in zip(numbers, frames, offsets, views, strict=True):
            at = view.window.inside(world)
            mask, tokens = np.zeros(view.shape, bool), []
            for t, (here, shown) in enumerate(zip(mask, view.visible, strict=True)):
                middle = of.grid[0] / 2, of.grid[1] / 2 + t / 3
                near = np.hypot(y - middle[0], x - middle[1])[at] < 0.35 * max(of.grid)
                noise = rng.laplace(0, 2, (*here.shape, 1)) * (near | (rng.random((*here.shape, 1)) < 0.05))
                now = np.rint(scene[at] + noise).astype(np.int32)
                here[:] = shown & (dense | ~seen[at] | (np.abs(now - kept[at]).sum(-1) > 1))
                kept[at][here], seen[at][here] = now[here], True
                tokens.append(now[here])
            symbols = np.concatenate(tokens)
            if of.coding == "lossless":
                symbols = (symbols * np.float32(0.37)).astype(np.float32)
            pts = 512 * np.arange(first, first + many, dtype=np.int64)
            made.append(
                Group(
                    index,
                    index == start,
                    first,
                    pts,
                    mask,
                    symbols,
                    ("hold", "lit")[index % 2],
                    index - 1,
                    offsets=None if index in without else found,
                    view=view,
                )
            )
            first += many
    return made


def joined(*parts: list[Group]) -> list[Group]:
    """The groups of several files as those of one."""
    made: list[Group] = []
    for group in (group for part in parts for group in part):
        first = made[-1].first_frame + len(made[-1].pts) if made else 0
        pts = 512 * np.arange(first, first + len(group.pts), dtype=np.int64)
        made.append(replace(group, index=len(made), first_frame=first, pts=pts))
    return made
