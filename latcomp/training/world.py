"""Latents of clips whose camera moves, over the world as files have them: what a prior is trained on beside those of
whole pictures.

Frames are placed and encoded by the codec's own `follow_camera` and `LatentStream`, so that positions enter and leave
as they do in a file, and entering ones are next to others that are known."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from latcomp.caches import cache_folder
from latcomp.codec.camera import follow_camera
from latcomp.codec.groups import EncodedGroup, LatentStream
from latcomp.codec.world import Placed
from latcomp.inpaint.config import GROUP
from latcomp.latents import Box, FrameView, GroupView
from latcomp.tokenizer.base import TokenizerSpec, VideoTokenizer
from latcomp.training.clips import Clip, Reference, clip_key, reference, referred, save_array
from latcomp.training.crops import full_chroma, to_rgb
from latcomp.training.feed import in_processes
from latcomp.training.run import TrainingRun
from latcomp.video import Frame

AT_ONCE = 16  # frames converted to RGB at once


@dataclass(frozen=True)
class WorldGroup:
    """A whole group of a clip: where its latents are, and what they show."""

    key: bool
    """Whether it starts a segment."""
    starts: tuple[int, ...]
    """Of each latent frame, where the positions of its box begin among all of the clip."""
    view: GroupView


@dataclass(frozen=True)
class WorldClip:
    """The latents of a clip whose camera is followed."""

    values: np.ndarray
    """(C, N) float16: the boxes of all latent frames, one behind the other, rows first."""
    groups: tuple[WorldGroup, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        return _world_clip, (reference(self.values), self.groups)

    def run(self, rng: np.random.Generator, follows: float) -> list[WorldGroup]:
        """A group, and where the clip has one and by the chance `follows` that before it in its segment."""
        number = int(rng.integers(len(self.groups)))
        one = self.groups[number]
        before = self.groups[number - 1 : number] if number and not one.key else ()
        return [*before, one] if before and rng.random() < follows else [one]

    def crop(
        self, rng: np.random.Generator, groups: Sequence[WorldGroup], side: int
    ) -> list[tuple[np.ndarray, GroupView]]:
        """(latents (C, T, h, w) float32 over the window, what they show) of each group, as a camera of `side` positions
        would see it that moves as this one does."""
        boxes = [view.box for group in groups for view in group.view.frames]
        rows, columns = min(box.rows for box in boxes), min(box.columns for box in boxes)
        down, right = (int(rng.integers(max(length - side, 0) + 1)) for length in (rows, columns))
        size = min(side, rows), min(side, columns)
        return [self._part(group, down, right, size) for group in groups]

    def _part(self, group: WorldGroup, down: int, right: int, size: tuple[int, int]) -> tuple[np.ndarray, GroupView]:
        views = []
        for view in group.view.frames:
            part = Box(view.box.top + down, view.box.left + right, *size)
            views.append(_shown_in(view, part))
        window = GroupView.over(tuple(views))
        latents = np.zeros((len(self.values), *window.shape), np.float32)
        for t, (start, whole, view) in enumerate(zip(group.starts, group.view.frames, views, strict=True)):
            box = self.values[:, start : start + whole.box.area].reshape(-1, *whole.box.shape)
            window.part(latents, t)[...] = box[(slice(None), *view.box.inside(whole.box))]
        return latents, window


def _shown_in(view: FrameView, part: Box) -> FrameView:
    """What of a part of its box a latent frame shows, in as many rectangles as there are runs of like rows."""
    inside = view.visible[part.inside(view.box)]
    boxes, start = [], 0
    for row in range(1, len(inside) + 1):
        if row == len(inside) or not np.array_equal(inside[row], inside[start]):
            edges = np.flatnonzero(np.diff(np.concatenate([[0], inside[start].astype(np.int8), [0]])))
            for left, right in edges.reshape(-1, 2).tolist():
                boxes.append(Box(part.top + start, part.left + left, row - start, right - left))
            start = row
    return FrameView.of(boxes) if boxes else FrameView.of([Box(part.top, part.left, 0, 0)])


def _world_clip(values: np.ndarray | Reference, groups: tuple[WorldGroup, ...]) -> WorldClip:
    return WorldClip(referred(values), groups)


def frames_of(clip: Clip) -> Iterator[Frame]:
    """The frames of a clip as RGB, as a video reader gives them."""
    for start in range(0, clip.frames, AT_ONCE):
        rows = torch.from_numpy(np.array(clip.planes[start : start + AT_ONCE]))
        rgb = to_rgb(full_chroma(rows, clip.height, clip.width)[None])[0]
        pixels = ((rgb + 1) * 127.5).round().to(torch.uint8).permute(1, 2, 3, 0).contiguous().numpy()
        for number, picture in enumerate(pixels):
            yield Frame(picture, start + number)


def cached_offsets(clips: Sequence[Clip], spec: TokenizerSpec, workers: int = 0) -> list[np.ndarray]:
    """Of each clip int32 (frames, 3): camera offset (dy, dx) of each frame and whether a world begins with it, as the
    encoder decides; estimated once for each clip and grid into the cache, by so many processes or here."""
    folder = cache_folder() / "offsets"
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{clip_key(clip, spec.spatial, spec.temporal)}.npy" for clip in clips]
    missing = [(clip, path) for clip, path in zip(clips, paths, strict=True) if not path.exists()]
    in_processes(_Estimate(spec), missing, workers)
    return [np.load(path) for path in paths]


@dataclass(frozen=True)
class _Estimate:
    """Writes the offsets of a clip's frames to a file."""

    spec: TokenizerSpec

    def __call__(self, item: tuple[Clip, Path]) -> None:
        clip, path = item
        items = follow_camera(frames_of(clip), self.spec)
        placed = [(*item.offset, item.cut) for item in items if isinstance(item, Placed)]
        save_array(path, np.array(placed, np.int32).reshape(-1, 3))


def cached_worlds(
    tokenizer: VideoTokenizer, sha256: str, clips: Sequence[Clip], run: TrainingRun, workers: int = 0
) -> dict[int, WorldClip]:
    """The clips whose camera is followed, by number, encoded once for each tokenizer into the cache; none for a
    tokenizer that cannot move. workers: processes that find out which are."""
    spec = tokenizer.spec
    if not spec.movable:
        return {}
    folder = cache_folder() / "latents" / sha256[:16]
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for number, (clip, offsets) in enumerate(zip(clips, cached_offsets(clips, spec, workers), strict=True)):
        if not offsets[:, :2].any():
            continue
        values, facts = (folder / f"{clip_key(clip, 'world')}{suffix}" for suffix in (".npy", ".json"))
        if not facts.exists():
            _encode(tokenizer, clip, offsets, values, facts, run)
        groups = tuple(_groups(json.loads(facts.read_text()), clip, spec))
        if groups:
            found[number] = WorldClip(np.load(values, mmap_mode="r"), groups)
    return found


def _encode(
    tokenizer: VideoTokenizer, clip: Clip, offsets: np.ndarray, values: Path, facts: Path, run: TrainingRun
) -> None:
    """Write the latents of a clip's whole groups, and what is needed to know what they show."""
    stream = LatentStream(tokenizer, run.device, GROUP)
    placed = (
        Placed(frame, (int(dy), int(dx)), bool(cut))
        for frame, (dy, dx, cut) in zip(frames_of(clip), offsets, strict=True)
    )
    groups, parts = [], []
    for group in stream.run(placed):
        if not isinstance(group, EncodedGroup) or group.latents.shape[1] != GROUP:
            continue
        where = np.zeros((len(group.pts), 2), np.int64) if group.offsets is None else group.offsets
        groups.append({"key": group.key, "index": group.index, "offsets": where.tolist()})
        for t in range(GROUP):
            parts.append(group.view.part(group.latents, t).reshape(len(group.latents), -1).astype(np.float16))
    save_array(values, np.concatenate(parts, axis=1) if parts else np.zeros((tokenizer.spec.channels, 0), np.float16))
    partial = facts.with_suffix(".partial")
    partial.write_text(json.dumps(groups))
    partial.replace(facts)


def _groups(facts: list[dict[str, Any]], clip: Clip, spec: TokenizerSpec) -> Iterator[WorldGroup]:
    """The groups of a clip as they were written."""
    at, last = 0, -1
    for one in facts:
        key = bool(one["key"])
        view = GroupView.of(
            one["offsets"], spec.rule if key else spec.rule.inside, clip.height, clip.width, spec.spatial
        )
        starts = []
        for frame in view.frames:
            starts.append(at)
            at += frame.box.area
        # a group behind a short one that was left out has nothing to go on from
        yield WorldGroup(key or one["index"] != last + 1, tuple(starts), view)
        last = one["index"]
