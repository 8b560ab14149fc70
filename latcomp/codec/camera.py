"""Whether a moving camera is followed: decided for a stretch of frames at a time, before any of it is encoded.

Following pays where the background, moved back into its place, changes less than it does where it stands. What counts
is the change from one latent frame to the next: from frame to frame even a slow camera that is followed well jumps by
whole pixels, and a stretch of frames later content has changed by itself. Where following does not pay, as under a zoom
or over water, the world stays where it is: frames go on at the place of the last one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from latcomp.codec.world import Placed
from latcomp.latents import Offset
from latcomp.stages import stage
from latcomp.tokenizer.base import TokenizerSpec
from latcomp.video import AudioPacket, Frame
from latcomp.video.camera import CameraMotion, CameraTracker
from latcomp.video.planes import Plane, luma, mean_difference, pair

STRETCH_FRAMES = 32
STRETCH_BYTES = 1 << 26
"""Of frames that wait for a decision; a latent frame of them always does."""
MOST_CHANGE = 0.92
"""Share of the change without following that may be left with it, and the same share of positions: a frame that lies
between positions shows a row and a column more. Of 19 training clips of 256 lines whose camera moves, those with less
gained 6 to 79 % of their bits, those with more lost up to 18 %."""
NEW_COST = 1.25
"""What a place that comes into sight costs beside one that changes by itself: nothing is known of it. Of 100 training
clips of 256 lines, those that lost by being followed moved on by a tenth of a frame and more from one latent frame to
the next, for little that stood still in return."""
JUMPS, SUDDEN = 0.5, 8
"""A path jumps where so much of its length is changes of speed beyond so many pixels from one frame to the next.
Cameras have weight: of the same clips, the shakiest hand came to 0.31, a page that is scrolled at once to 1.7."""
JUMP_CHANGE = 0.25
"""Share of `MOST_CHANGE` that may be left where a path jumps: text moved to other text halves the difference, and every
token changes all the same; a page that is scrolled and fits leaves nearly nothing."""
CLIP = 32  # levels; larger differences, as of things that move by themselves, count as this
ROWS = 4  # one row in this many is compared


@dataclass
class _Stretch:
    """Frames that are decided on together, and the audio between them."""

    items: list[Frame | AudioPacket] = field(default_factory=list)
    planes: list[Plane] = field(default_factory=list)
    motions: list[CameraMotion] = field(default_factory=list)


@dataclass(frozen=True)
class _Seen:
    """A frame as those behind it are compared with it."""

    plane: Plane
    tracked: Offset
    world: int
    """Number of the world that it is of."""


def follow_camera(
    items: Iterable[Frame | AudioPacket], spec: TokenizerSpec, woven: bool = False
) -> Iterator[Placed | AudioPacket]:
    """The frames, each placed in the world of what was seen since the last cut; audio packets pass through in their
    place. spec: of the tokenizer; woven: whether frames have the lines of two fields, which must not change
    places."""
    tracker, path = CameraTracker(woven=woven), _Path(spec)
    stretch = _Stretch()
    for item in items:
        stretch.items.append(item)
        if isinstance(item, AudioPacket):
            continue
        with stage("camera"):
            plane = luma(item.pixels)
            stretch.planes.append(plane)
            stretch.motions.append(tracker.follow(plane))
        most = min(STRETCH_FRAMES, STRETCH_BYTES // item.pixels.nbytes) // spec.temporal * spec.temporal
        if len(stretch.motions) >= max(most, spec.temporal):
            yield from path.place(stretch)
            stretch = _Stretch()
    yield from path.place(stretch)


class _Path:
    """The places that frames are given: those of the camera while it is followed."""

    def __init__(self, spec: TokenizerSpec) -> None:
        self._temporal, self._spatial = spec.temporal, spec.spatial
        self._camera: Offset = (0, 0)  # of the last frame, as the tracker has it
        self._given: Offset = (0, 0)
        self._before: list[_Seen] = []  # the last frames, at most `temporal`

    def place(self, stretch: _Stretch) -> Iterator[Placed | AudioPacket]:
        """The frames of a stretch in their places."""
        with stage("camera"):
            chosen = self._chosen(stretch)
        places = iter(zip(stretch.motions, chosen, strict=True))
        for item in stretch.items:
            if isinstance(item, AudioPacket):
                yield item
            else:
                motion, given = next(places)
                yield Placed(item, given, motion.cut)

    def _chosen(self, stretch: _Stretch) -> list[Offset]:
        """The offset of each frame."""
        motions = stretch.motions
        tracked, steady = [motion.offset for motion in motions], self._steady(motions)
        (still, _), (followed, new), (held, new_held) = self._changes(
            stretch, [[(0, 0)] * len(motions), tracked, steady]
        )
        wanted, change, new = (steady, held, new_held) if held < followed else (tracked, followed, new)
        at_once, in_place = (sum(getattr(motion, name) for motion in motions) for name in ("moved", "still"))
        most = MOST_CHANGE * self._share_of_positions(stretch) * (JUMP_CHANGE if jumps(motions) else 1)
        # the change that may be left where it is seen, now that so much comes into sight
        most = (most - NEW_COST * new) / max(1 - new, 0.01)
        follows = change < most * still or at_once < most * in_place
        found: list[Offset] = []
        for motion, offset in zip(motions, wanted, strict=True):
            if motion.cut:
                self._given = offset
            elif follows:
                down, right = offset[0] - self._camera[0], offset[1] - self._camera[1]
                self._given = self._given[0] + down, self._given[1] + right
            self._camera = offset
            found.append(self._given)
        return found

    def _share_of_positions(self, stretch: _Stretch) -> float:
        """Positions of a frame that lies on them over those of one that lies between them."""
        if not stretch.planes:
            return 1.0
        rows, columns = (-(-side // self._spatial) for side in stretch.planes[0].shape)
        return float(rows * columns / ((rows + 1) * (columns + 1)))

    def _steady(self, motions: list[CameraMotion]) -> list[Offset]:
        """The tracked offsets, where each latent frame of a slow camera stays at the place of its first frame: a step
        between its frames moves all that it shows, and half a pixel's error hardly anything."""
        found: list[Offset] = []
        for start in range(0, len(motions), self._temporal):
            part = motions[start : start + self._temporal]
            places = np.array([motion.offset for motion in part])
            slow = not any(motion.cut for motion in part[1:]) and int(np.ptp(places, axis=0).max()) <= 1
            found += [part[0].offset if slow else motion.offset for motion in part]
        return found

    def _changes(self, stretch: _Stretch, ways: list[list[Offset]]) -> list[tuple[int, float]]:
        """For each way to place the frames: the sum of mean differences from each to that of the same world a latent
        frame before it, where both show it; and the mean share of a frame that only it shows. The first way is that
        nothing moves."""
        world = self._before[-1].world if self._before else 0
        totals, shown, pairs = [0] * len(ways), [0.0] * len(ways), 0
        for number, (plane, motion) in enumerate(zip(stretch.planes, stretch.motions, strict=True)):
            world += motion.cut
            if len(self._before) == self._temporal:
                other = self._before.pop(0)
                if other.world == world and other.plane.shape == plane.shape:
                    before = number - self._temporal
                    pairs += 1
                    found: dict[Offset, int] = {}  # of a camera that stands still all ways are one
                    for way, offsets in enumerate(ways):
                        # of frames in stretches before, the tracked place: how they were given does not count here
                        there = offsets[before] if before >= 0 else other.tracked if way else (0, 0)
                        move = offsets[number][0] - there[0], offsets[number][1] - there[1]
                        if move not in found:
                            found[move] = mean_difference(*pair(plane[::ROWS], other.plane, *move, ROWS), CLIP)
                        totals[way] += found[move]
                        shown[way] += _overlap(plane.shape, move)
            self._before.append(_Seen(plane, motion.offset, world))
        return [(total, 1 - share / pairs if pairs else 0.0) for total, share in zip(totals, shown, strict=True)]


def jumps(motions: list[CameraMotion]) -> bool:
    """Whether the tracked path is one of jumps and not of a camera's turns."""
    places = np.array([motion.offset for motion in motions]).reshape(-1, 2)
    moves = np.diff(places, axis=0)
    moves[[motion.cut for motion in motions[1:]]] = 0
    length = int(np.abs(moves).max(axis=1, initial=0).sum())
    sudden = np.abs(np.diff(moves, axis=0)).max(axis=1, initial=0) - SUDDEN
    return int(np.maximum(sudden, 0).sum()) > JUMPS * length


def _overlap(shape: tuple[int, ...], move: Offset) -> float:
    """Share of a picture (h, w) that it shares with itself when moved."""
    height, width = (max(side - abs(by), 0) / side for side, by in zip(shape, move, strict=True))
    return height * width
