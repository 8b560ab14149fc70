"""Small JPEG pictures of frames, and a shelf of them that never holds more than fits into one page."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from latcomp.latents import Box, Offset

FRAMES_MOST = 240
"""Pictures a page shows at most."""
SIDE_MOST = 640
"""Pixels of a picture's longer side at most."""
BYTES_MOST = 18_000_000
"""Characters that pictures and masks take in a page at most, so that the page stays below 20 MB."""
PATH_MOST = 128
"""Points of a camera's path at most."""
JPEG_SCALE = 4  # FFmpeg's scale of quantisation, 2 (best) to 31


def picture_size(
    width: int, height: int, sample_aspect_ratio: tuple[int, int], most: int = SIDE_MOST
) -> tuple[int, int]:
    """(width, height) in square pixels of a picture of a frame: even, at least 2, the longer side at most `most`, never
    enlarged.
    """
    across, down = sample_aspect_ratio
    wide = width * across / down if across > 0 and down > 0 else float(width)
    scale = min(1.0, most / max(wide, height))
    return max(2, round(wide * scale / 2) * 2), max(2, round(height * scale / 2) * 2)


class JpegMaker:
    """Turns frames, (H, W, 3) uint8 RGB, into JPEG files of one size."""

    def __init__(self, size: tuple[int, int]) -> None:
        """size: (width, height) of the pictures, even numbers."""
        self.size = size

    def __call__(self, pixels: np.ndarray) -> bytes:
        """The bytes of a JPEG file."""
        import av
        from av.video.reformatter import ColorRange, Colorspace, Interpolation

        width, height = self.size
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
            width=width,
            height=height,
            format="yuvj420p",
            dst_colorspace=Colorspace.ITU601,
            src_color_range=ColorRange.JPEG,
            dst_color_range=ColorRange.JPEG,
            interpolation=Interpolation.AREA,
            threads=1,
        )
        frame.pts = 0
        encoder = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = width, height, "yuvj420p"
        encoder.time_base = Fraction(1, 25)
        encoder.qmin = encoder.qmax = JPEG_SCALE
        encoder.thread_count = 1  # one picture in, one out
        return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])


@dataclass(frozen=True)
class Shown:
    """A frame that a page shows."""

    frame: int
    """Number of the frame in the file, from 0."""
    seconds: float
    """Its presentation time."""
    latent_frame: int
    """Number of its latent frame in the file, from 0, counted over the groups that could be read."""
    group: int
    """Number of its group in the file, from 0."""
    kept: int
    """Kept tokens of its latent frame."""
    jpeg: bytes
    positions: int = 0
    """Positions that its latent frame shows."""
    offset: Offset = (0, 0)
    """Of the camera."""
    world: int = 0
    """Number of the world it lies in, from 0."""


@dataclass(frozen=True)
class Plane:
    """A byte for each position of a box."""

    box: Box
    data: bytes
    """Deflated; in rows from the top."""

    @classmethod
    def of(cls, box: Box, values: np.ndarray) -> Plane:
        """Of uint8 (rows, columns)."""
        return cls(box, zlib.compress(values.tobytes(), 9))


@dataclass(frozen=True)
class ShownWorld:
    """A world that a page shows."""

    share: Plane
    """How often each position was kept, see `WorldHistory.share`."""
    path: tuple[tuple[int, int, int], ...]
    """(frame, dy, dx) of frames in order: where the camera was."""

    @classmethod
    def of(cls, box: Box, share: np.ndarray, path: Sequence[tuple[int, Offset]]) -> ShownWorld:
        """share: uint8 (rows, columns) of the box; path: of all frames, of which every n-th and the last are shown."""
        each = -(-len(path) // PATH_MOST)
        points = dict.fromkeys([*path[::each], path[-1]])
        return cls(Plane.of(box, share), tuple((frame, *offset) for frame, offset in points))


@dataclass
class Shelf:
    """Every n-th frame of a file with the ages of its positions, and the worlds they lie in; n doubles whenever the
    shelf would hold too much.
    """

    every: int
    """A frame is shown when its number is a multiple of this."""
    frames_most: int = FRAMES_MOST
    bytes_most: int = BYTES_MOST
    frames: list[Shown] = field(default_factory=list)
    ages: dict[int, Plane] = field(default_factory=dict)
    """By latent frame: how many latent frames ago each position of its box was kept."""
    worlds: dict[int, ShownWorld] = field(default_factory=dict)
    """By number, those that are complete."""

    @classmethod
    def for_frames(cls, count: int) -> Shelf:
        """A shelf for a file of this many frames."""
        return cls(max(1, -(-count // FRAMES_MOST)))

    def wants(self, frame: int) -> bool:
        """Whether the frame of this number is to be shown."""
        return frame % self.every == 0

    @property
    def characters(self) -> int:
        """What pictures, ages and worlds take in a page, as Base64."""
        planes = [*self.ages.values(), *(world.share for world in self.worlds.values())]
        data = [*(shown.jpeg for shown in self.frames), *(plane.data for plane in planes)]
        return sum(4 * -(-len(one) // 3) for one in data)

    def put(self, shown: Shown, box: Box, age: np.ndarray) -> None:
        """Take a frame; box: of its latent frame; age: uint8 (rows, columns) of it, latent frames since each position
        was kept.
        """
        self.frames.append(shown)
        if shown.latent_frame not in self.ages:
            self.ages[shown.latent_frame] = Plane.of(box, age)
        self._fit()

    def put_world(self, number: int, world: ShownWorld) -> None:
        """Take a world that is complete, where one of its frames is shown."""
        if any(one.world == number for one in self.frames):
            self.worlds[number] = world
            self._fit()

    def _fit(self) -> None:
        """Leave frames out until the rest is not too much, and what belongs to none."""
        while len(self.frames) > 1 and (len(self.frames) > self.frames_most or self.characters > self.bytes_most):
            self.every *= 2
            self.frames = [one for one in self.frames if self.wants(one.frame)]
            left = {one.latent_frame for one in self.frames}
            self.ages = {number: data for number, data in self.ages.items() if number in left}
            worlds = {one.world for one in self.frames}
            self.worlds = {number: world for number, world in self.worlds.items() if number in worlds}
