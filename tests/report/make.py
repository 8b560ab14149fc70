"""Pages of small files, made without a video and without torch."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import numpy as np

from latcomp.container import Group, Reader, scan
from latcomp.report.collect import Collected, collect
from latcomp.report.html import page_html
from latcomp.report.series import group_rows
from latcomp.report.stats import stats_dict


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
