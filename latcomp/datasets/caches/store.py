"""A file of a cache as .lat files, one for each video of its batch, and .lat files as the file again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latcomp.codec.decode_latents import decode_latents
from latcomp.codec.encode_latents import encode_latents
from latcomp.codec.latent_settings import LatentSettings
from latcomp.container import Attachment, Header, Limits, PackedAttachment
from latcomp.container.chunks import ByteSource
from latcomp.container.walk import Walk, read_header
from latcomp.datasets.caches.cached_file import DESCRIPTION, CachedFile
from latcomp.datasets.caches.model_facts import size_of, tokenizer_of
from latcomp.datasets.caches.tensors import RawTensor, bytes_of, of_torch_name, torch_name
from latcomp.datasets.caches.writing import output_of_many
from latcomp.errors import DamagedFileError, NotACacheError, UsageError
from latcomp.suffixes import LAT

POINT = -10_000.0
"""Log variance that stands for a dropped one: however a trainer's reader clips or scales it, no deviation is left."""
MOMENTS = ("all", "mean")
_DTYPES = {"F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float32"}


@dataclass(frozen=True)
class StoreSettings:
    """How latents of caches are encoded; plain values, so that it can go to another process."""

    quality: float | None = None
    """0 (small) to 10 (exact); None: the default one, unless `max_rmse` or `lossless` is given."""
    max_rmse: float | None = None
    """Most that the root mean square error may be, over the latents' standard deviation."""
    lossless: bool = False
    moments: str = "all"
    """'all' codes mean and log variance, each with steps of its own deviation; 'mean' drops the log variance."""
    space: str | None = None
    """What the latents are where the cache does not say; None is 'raw'."""
    estimator: str | None = None
    """None is 'mode'."""

    @property
    def coding(self) -> dict[str, Any]:
        """Settings of `encode_latents` that say how good the latents are to be."""
        if self.lossless:
            return {"lossless": True}
        return {"quality": self.quality} if self.max_rmse is None else {"max_rmse": self.max_rmse}

    @property
    def quality_in_force(self) -> float | None:
        """The quality that decides; None where a bound or losslessness does."""
        return LatentSettings(**self.coding).quality_in_force


@dataclass(frozen=True)
class Saved:
    """The .lat files of one file."""

    paths: tuple[Path, ...]
    bytes_total: int
    relative_rmse: float
    """The largest of them."""
    exact: bool = False
    """Whether one was stored losslessly, as nothing else meets the bound or comes back as it was: where latents hardly
    vary, are of a size that no steps fit, or the bound is below the rounding of their type."""


def part_path(target: Path, part: int, parts: int) -> Path:
    """Where the .lat file of one video of a batch is; `target` itself where there is one."""
    return target if parts == 1 else target.with_name(f"{target.name.removesuffix(LAT)}.{part:04d}{LAT}")


def save(
    cached: CachedFile, latents: RawTensor, target: Path, settings: StoreSettings, tokenizer: Mapping[str, Any] | None
) -> Saved:
    """Write the .lat files of a file of a cache, over what is there; the first one, which says that all is there, last.

    Raises `NotACacheError` for latents that cannot be coded, `LimitError` and `OutputError` as `encode_latents`
    does."""
    videos = cached.facts.layout.videos(latents)
    parts = len(videos)
    sizes, errors, exact = [], [], False
    for part in reversed(range(parts)):
        mean_only = cached.facts.estimator == "moments" and settings.moments == "mean"
        one = replace(cached, part=part, parts=parts, mean_only=mean_only)
        one = replace(one, max_rmse=settings.max_rmse, quality=settings.quality_in_force)
        path = part_path(target, part, parts)
        try:
            made = _save_one(one, videos[part], path, settings, tokenizer)
        except UsageError as error:
            if not {"max_rmse", "lossless"} & set(error.settings):
                raise
            made = math.inf
        if made == math.inf:  # also of latents that are all one number, and come back as another
            made, exact = _save_one(one, videos[part], path, replace(settings, lossless=True), tokenizer), True
        sizes.append(path.stat().st_size)
        errors.append(made)
    return Saved(tuple(part_path(target, part, parts) for part in range(parts)), sum(sizes), max(errors), exact)


def _save_one(
    cached: CachedFile, video: RawTensor, path: Path, settings: StoreSettings, tokenizer: Mapping[str, Any] | None
) -> float:
    """Write one .lat file; gives its relative error."""
    if settings.lossless and video.dtype == "F64":
        raise NotACacheError("has latents of type F64, which are not stored losslessly")
    facts, values = cached.facts, video.to_float32()
    moments = facts.estimator == "moments"
    channels = len(values) // 2 if moments else len(values)
    if cached.mean_only:
        values = values[:channels]
    broken = values.size - int(np.isfinite(values).sum())
    if broken and not settings.lossless:
        raise NotACacheError(f"has latents with {broken} values that are no numbers; lossless=True keeps them")
    if broken and not RawTensor.from_float32(video.to_float32(), video.dtype).equals(video):
        raise NotACacheError("has latents with values that are no numbers, of a kind that cannot be restored")
    known = dict(tokenizer or tokenizer_of(facts, channels))
    if moments and not cached.mean_only and not settings.lossless:
        known["channel_step"] = _steps_of_moments(values)
    try:
        with output_of_many(path, force=True) as file:
            result = encode_latents(
                values,
                file,
                tokenizer=known,
                **size_of(facts, known, values.shape),
                fps=facts.frames_per_second,
                dtype=_DTYPES[video.dtype],
                layout="BCFHW" if "B" in facts.layout.name else "CFHW",
                architecture=facts.architecture,
                attachments=[
                    Attachment(name, torch_name(one.dtype), one.shape, one.data.tobytes())
                    for name, one in cached.attachments().items()
                ],
                space=facts.space or settings.space or "raw",
                estimator="mode" if cached.mean_only else facts.estimator or settings.estimator or "mode",
                **settings.coding,
            )
    except UsageError as error:
        if set(error.settings) & {*settings.coding, "lossless"}:
            raise
        raise NotACacheError(f"has latents that cannot be coded: {error}") from None
    return result.relative_rmse or 0.0


def _steps_of_moments(values: np.ndarray) -> tuple[float, ...]:
    """Relative steps of the channels of moments: each half has those of its own deviation, so that the one that varies
    more does not take up the whole error."""
    halves = np.split(values, 2)
    deviations = [float(np.sqrt(np.mean([np.var(channel, dtype=np.float64) for channel in half]))) for half in halves]
    largest = max(*deviations, 1e-30)
    steps = [max(deviation / largest, 1e-3) for deviation in deviations]
    return tuple(step for step, half in zip(steps, halves, strict=True) for _ in half)


def describe_lat(path: Path) -> tuple[Header, CachedFile | None, int]:
    """(header, what file of a cache it was, its bytes) of a .lat file, without its latents; None in the middle for one
    that was made of anything else.

    Raises `DamagedFileError` where the file is damaged."""
    try:
        with path.open("rb") as file:
            source, limits = ByteSource(file), Limits()
            header = read_header(source, limits)
            walk = Walk(source, header, limits)
            found = [content.unpack() for _, content in walk if isinstance(content, PackedAttachment)]
        size = path.stat().st_size
    except OSError as error:
        raise DamagedFileError(f"{path} cannot be read: {(error.strerror or str(error)).lower()}") from None
    if walk.problems:
        raise DamagedFileError(f"{path} is damaged: {walk.problems[0]}")
    return header, _cached(found), size


def _cached(attachments: list[Attachment]) -> CachedFile | None:
    tensors = {
        one.name: RawTensor(of_torch_name(one.dtype), one.shape, np.frombuffer(one.data, np.uint8))
        for one in attachments
    }
    return CachedFile.from_attachments(tensors) if DESCRIPTION in tensors else None


def siblings(path: Path, cached: CachedFile) -> list[Path]:
    """The .lat files of all videos of a batch whose first one is at `path`. Raises `DamagedFileError` where one is
    missing."""
    return [path, *(_sibling(path, part, cached.parts) for part in range(1, cached.parts))]


def load(path: Path, cached: CachedFile) -> RawTensor:
    """The latents of a file of a cache, in its type and layout, from the .lat file of its first video and those beside
    it.

    Raises `DamagedFileError` for damaged files and missing parts."""
    videos = []
    for part, place in enumerate(siblings(path, cached)):
        values, info = decode_latents(place)
        if part:
            other = _cached(list(info.attachments))
            if other is None or (other.name, other.part, other.parts) != (cached.name, part, cached.parts):
                raise DamagedFileError(f"{place} is not video {part + 1} of {cached.parts} of {cached.name}")
        values = np.asarray(values, np.float32).reshape(values.shape[-4:])
        if cached.mean_only:
            values = np.concatenate([values, np.full_like(values, POINT)])
        videos.append(RawTensor.from_float32(values, cached.dtype))
    if sum(video.data.size for video in videos) != bytes_of(cached.dtype, cached.shape):
        raise DamagedFileError(f"{path} says that its latents were {cached.shape}, which they are not")
    return cached.facts.layout.tensor(videos, cached.shape)


def _sibling(path: Path, part: int, parts: int) -> Path:
    """The .lat file of another video of the batch whose first one is at `path`. Raises `DamagedFileError` where it is
    missing."""
    stem = path.name.removesuffix(LAT).removesuffix(".0000")
    place = part_path(path.with_name(stem + LAT), part, parts)
    if not place.is_file():
        raise DamagedFileError(f"{path} is 1 of {parts} videos of a batch, and {place.name} is missing")
    return place
