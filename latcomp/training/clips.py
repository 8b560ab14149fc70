"""Clips to train on: decoded once to raw 4:2:0 files in a cache folder, and read from there by memory map."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from latcomp.caches import cache_folder
from latcomp.errors import UsageError
from latcomp.tokenizer.cv8x8x4.config import SPATIAL

SUFFIXES = {".mp4", ".mkv", ".mov", ".webm", ".avi"}
VALIDATION_EVERY = 16  # every 16th clip, in name order, is for validation only


Reference = tuple[str, str, tuple[int, ...], int]


def reference(array: np.ndarray) -> np.ndarray | Reference:
    """What another process opens the same array by, where it is a memory map: file, dtype, shape and offset. Others go
    by value.
    """
    if isinstance(array, np.memmap) and array.filename is not None:
        return str(array.filename), array.dtype.str, array.shape, array.offset
    return array


def referred(found: np.ndarray | Reference) -> np.ndarray:
    """The array of a `reference`."""
    if isinstance(found, np.ndarray):
        return found
    path, dtype, shape, offset = found
    return np.memmap(path, dtype, "r", offset, shape)


@dataclass(frozen=True)
class Clip:
    """One decoded clip: planes (frames, H*3/2*W) uint8, of each frame Y before U and V as FFmpeg's yuv420p packs
    them.
    """

    name: str
    planes: np.ndarray
    height: int
    width: int

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.planes.shape[0])

    def __reduce__(self) -> tuple[Any, ...]:
        return _clip, (self.name, reference(self.planes), self.height, self.width)


def _clip(name: str, planes: np.ndarray | Reference, height: int, width: int) -> Clip:
    return Clip(name, referred(planes), height, width)


def clip_key(clip: Clip, *more: object) -> str:
    """What a clip is called in the cache, 16 digits: by its name and size, and by what else there is to tell apart."""
    text = " ".join(map(str, (clip.name, clip.frames, clip.height, clip.width, *more)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def save_array(path: Path, array: np.ndarray) -> None:
    """Write an array to an .npy file, which appears when it is complete."""
    partial = path.with_suffix(".partial.npy")
    np.save(partial, array)
    partial.replace(path)


def _planes_av(path: Path) -> Iterator[tuple[int, int, np.ndarray]]:
    """(height, width, packed planes) of each frame, decoded by PyAV."""
    import av

    with av.open(str(path)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for frame in container.decode(video=0):
            yield frame.height, frame.width, frame.reformat(format="yuv420p").to_ndarray()


def _planes_opencv(path: Path) -> Iterator[tuple[int, int, np.ndarray]]:
    """The same by OpenCV, whose frames have been RGB on the way: a level off here and there, good enough to train
    on.
    """
    import cv2

    video = cv2.VideoCapture(str(path))
    while True:
        there, picture = video.read()
        if not there:
            return
        height, width = picture.shape[0] // 2 * 2, picture.shape[1] // 2 * 2
        yield height, width, cv2.cvtColor(picture[:height, :width], cv2.COLOR_BGR2YUV_I420)


def _planes(path: Path) -> Iterator[tuple[int, int, np.ndarray]]:
    """(height, width, Y above U and V (height * 3/2, width) uint8) of each frame. Raises `UsageError` where no decoder
    is installed.
    """
    for module, planes in (("av", _planes_av), ("cv2", _planes_opencv)):
        try:
            import_module(module)
        except ImportError:
            continue
        return planes(path)
    raise UsageError("decoding clips needs PyAV (pip install av) or OpenCV (pip install opencv-python-headless)")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError) as error:  # PyAV's errors are of both kinds
        raise UsageError(f"{path} cannot be decoded ({error}): take it out of the folder") from None


def _decode(path: Path, raw: Path, meta: Path) -> None:
    """Write the clip's frames as raw 4:2:0 planes, sides cut to whole positions of our tokenizer."""
    count = 0
    height = width = 0
    partial = raw.with_suffix(".partial")
    with partial.open("wb") as out, _readable(path):
        for full_h, full_w, packed in _planes(path):
            height, width = full_h - full_h % SPATIAL, full_w - full_w % SPATIAL
            if full_h % 2 or full_w % 2:
                continue
            luma = packed[:full_h][:height, :width]
            chroma = packed[full_h:].reshape(2, full_h // 2, full_w // 2)[:, : height // 2, : width // 2]
            out.write(np.ascontiguousarray(luma).tobytes())
            out.write(np.ascontiguousarray(chroma).tobytes())
            count += 1
    partial.replace(raw)
    meta.write_text(json.dumps({"frames": count, "height": height, "width": width}))


def load_clips(folder: Path, minimum_frames: int, minimum_side: int) -> list[Clip]:
    """All clips of a folder in name order, decoded into the cache when they are not there yet.

    Raises `UsageError` when the folder holds no clip of at least `minimum_frames` frames and `minimum_side` pixels a
    side."""
    if not folder.is_dir():
        raise UsageError(f"{folder} is not a folder of clips")
    key = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]
    cache = cache_folder() / "frames" / key
    cache.mkdir(parents=True, exist_ok=True)
    clips = []
    paths = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    found = {path: (cache / f"{path.stem}.yuv", cache / f"{path.stem}.json") for path in paths}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for task in [pool.submit(_decode, path, *files) for path, files in found.items() if not files[1].exists()]:
            task.result()
    for path, (raw, meta) in found.items():
        shape = json.loads(meta.read_text())
        frames, height, width = shape["frames"], shape["height"], shape["width"]
        if frames < minimum_frames or min(height, width) < minimum_side:
            continue
        planes = np.memmap(raw, np.uint8, "r", shape=(frames, height * 3 // 2 * width))
        clips.append(Clip(path.stem, planes, height, width))
    if not clips:
        raise UsageError(
            f"{folder} holds no clip of {minimum_frames} frames and {minimum_side} pixels or more per side"
        )
    return clips


def split_clips(clips: list[Clip]) -> tuple[list[Clip], list[Clip]]:
    """(training, validation) clips: every 16th in name order validates; a handful of clips serves as both."""
    validation = clips[VALIDATION_EVERY // 2 :: VALIDATION_EVERY] or clips[:1]
    names = {clip.name for clip in validation}
    training = [clip for clip in clips if clip.name not in names] or clips
    return training, validation
