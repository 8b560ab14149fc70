"""Pages of small files, made without a video and without torch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from latcomp.container import Group, Header, Reader, scan
from latcomp.latents import Box
from latcomp.report.collect import Collected, collect
from latcomp.report.html import page_html
from latcomp.report.series import group_rows
from latcomp.report.stats import stats_dict


def panned(of: Header, steps: list[tuple[int, int] | None], seed: int = 0) -> list[Group]:
    """Groups of two latent frames whose camera makes the same step (dy, dx) from frame to frame all through a group;
    None starts a segment, whose first group stands still.

    Positions that are shown for the first time in a segment are kept, of the others about a third.
    """
    rng = np.random.default_rng(seed)
    made: list[Group] = []
    seen: set[tuple[int, int]] = set()
    at = np.zeros(2, np.int64)
    for index, step in enumerate(steps):
        if step is None:
            at, seen = np.zeros(2, np.int64), set()
        offsets = at + np.arange(1, 9)[:, None] * np.array(step or (0, 0), np.int64)
        at = offsets[-1]
        view = of.view_of(step is None, 8, offsets)
        mask = np.zeros(view.shape, bool)
        for t, frame in enumerate(view.frames):
            places = list(zip(*(axis.tolist() for axis in frame.world), strict=True))
            keeps = [place not in seen or rng.random() < 0.3 for place in places]
            view.put(mask, t, np.array(keeps))
            seen |= set(places)
        tokens = rng.integers(-3, 4, (int(mask.sum()), of.channels)).astype(np.int32)
        pts = 512 * np.arange(8 * index, 8 * index + 8, dtype=np.int64)
        moved = offsets if offsets.any() else None
        made.append(Group(index, step is None, 8 * index, pts, mask, tokens, "hold", offsets=moved, view=view))
    return made


def seen_at(made: list[Group], group: Group, t: int) -> tuple[Box, dict[tuple[int, int], int]]:
    """(the box of a latent frame, by world place how many latent frames ago each position of it was kept), of groups of
    one segment; counted plainly.
    """
    found: dict[tuple[int, int], int] = {}
    for one in made:
        for step, view in enumerate(one.view.frames):
            found = {place: age + 1 for place, age in found.items()}
            y, x = (axis[one.view.take(one.mask, step)].tolist() for axis in view.world)
            found |= dict.fromkeys(zip(y, x, strict=True), 0)
            if one is group and step == t:
                return view.box, found
    raise ValueError("no such latent frame")


def gradient(width: int, height: int, frame: int) -> np.ndarray:
    """(height, width, 3) uint8: a picture that every frame number gives another brightness."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, np.full_like(x, (frame * 37) % 256)], axis=-1).astype(
        np.uint8
    )


def pictures_of(width: int, height: int) -> Any:
    """Pictures for `collect`: `gradient` of each frame's number."""

    def made(group: Group) -> Iterator[np.ndarray]:
        for place in range(len(group.pts)):
            yield gradient(width, height, group.first_frame + place)

    return made


def collected(data: bytes, most_frames: int | None = None) -> tuple[Reader, Collected]:
    """(a reader of a .lat file that was read to its end, what a page shows of it); frames from `most_frames` on have no
    picture.
    """
    reader = Reader(io.BytesIO(data))
    made = pictures_of(reader.header.width, reader.header.height)

    def some(group: Group) -> Iterator[np.ndarray]:
        for place, pixels in enumerate(made(group)):
            if most_frames is None or group.first_frame + place < most_frames:
                yield pixels

    return reader, collect(reader, group_rows(scan(io.BytesIO(data))), some)


def page(data: bytes, name: str = "clip.lat", most_frames: int | None = None) -> str:
    """The page of a .lat file."""
    reader, found = collected(data, most_frames)
    summary = scan(io.BytesIO(data))
    return page_html(stats_dict(summary), reader.header, group_rows(summary), found, name, "Frames of a test")
