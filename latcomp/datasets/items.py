"""One .lat file to one item: which latent frames, and what is told of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from latcomp.codec.filled import FillModels
from latcomp.codec.lat_file import LatFile
from latcomp.codec.places import WorldLatents
from latcomp.codec.timeline import Timeline
from latcomp.container import Header
from latcomp.datasets.settings import ItemSettings
from latcomp.errors import DamagedFileError, UsageError

Draw = Callable[[int], int]
"""A random number from 0 up to, and without, the one given."""


class TooShortError(UsageError):
    """A file with fewer latent frames than a stretch has."""


@dataclass(frozen=True)
class Shape:
    """What two items must share to stand in one batch."""

    channels: int
    latent_frames: int
    rows: int
    columns: int
    tokenizer: str


class ItemReader:
    """Makes items of files; keeps the models that filling needs, one set for all files of one tokenizer and LIT."""

    def __init__(self, settings: ItemSettings) -> None:
        self.settings = settings
        self._models: dict[str, FillModels] = {}

    def open(self, source: str | Path | BinaryIO) -> LatFile:
        """A file, ready for `read`. Raises `DamagedFileError` where it is none or cannot be read, and what finding its
        models raises."""
        chosen = self.settings
        file = LatFile(
            source, chosen.fill, chosen.device, chosen.tokenizer, max_pixels=chosen.max_pixels, damaged=chosen.damaged
        )
        try:
            header = file.header
            named = json.dumps([header.tokenizer, header.lit, header.prior], sort_keys=True)
            if named not in self._models:
                self._models[named] = FillModels(header, chosen.device, chosen.fill, chosen.tokenizer)
            file.models = self._models[named]
        except BaseException:
            file.close()
            raise
        return file

    def shape(self, file: LatFile) -> Shape:
        """The shape of a file's items. Raises `TooShortError` for a file that has no stretch."""
        count = self.settings.latent_frames
        if count is None:
            count = file.timeline.latent_frames
        elif file.timeline.latent_frames < count:
            raise TooShortError(
                f"{file.timeline.latent_frames} latent frames, {count} are wanted: choose fewer latent_frames, or "
                "short='skip', which LatDataset knows",
                settings=("latent_frames",),
            )
        return Shape(file.header.channels, count, *file.header.grid, identity(file.header))

    def read(self, file: LatFile, key: str, draw: Draw, part: tuple[int, int] = (0, 1)) -> dict[str, Any]:
        """The item of a file, as `LatDataset` describes it.

        draw: chooses where a stretch begins; part: (number, of how many) parts of the possible starts it is to lie in.
        Raises `DamagedFileError` at damage on the way unless that is held, `TooShortError` for a file that has no
        stretch, `UsageError` where the camera was followed and places are the frame's."""
        self.shape(file)
        first, count = 0, self.settings.latent_frames
        if count is not None:
            first = _start(file.timeline, count, self.settings.starts, draw, part)
        found = file.stretch(first, count, self.settings.places)
        if not found or (count is not None and sum(len(each.mask) for each in found) < count):
            raise DamagedFileError(
                f"the file ends before latent frame {first + (count or 1)}, which its index promises"
            )
        return self._item(file.header, found, key, first)

    def _item(self, header: Header, parts: Sequence[WorldLatents], key: str, first: int) -> dict[str, Any]:
        dtype: torch.dtype = getattr(torch, self.settings.dtype)
        # copies: what comes from the fill could not be trained on
        latents = [part.latents[0].to(dtype, copy=True) for part in parts]
        masks = [torch.from_numpy(np.array(part.mask)) for part in parts]
        item: dict[str, Any] = {
            "latents": latents,
            "mask": masks,
            "num_frames": sum(len(part.offsets) for part in parts),
            "height": header.height,
            "width": header.width,
            "fps": _fps(header),
            "key": key,
            "tokenizer": identity(header),
            "first_latent_frame": first,
        }
        if self.settings.places == "frame":
            return item | {"latents": torch.cat(latents, 1), "mask": torch.cat(masks)}
        return item | {
            "window": [part.window for part in parts],
            "offsets": [torch.from_numpy(np.array(part.offsets)) for part in parts],
            "visible": [torch.from_numpy(np.array(part.visible)) for part in parts],
        }


def identity(header: Header) -> str:
    """What tells a file's tokenizer from others: its name and the first 12 digits of its fingerprint, as
    'cv8x8x4:be2bdaf314d5'; of the weights' SHA-256 in files from before there were fingerprints."""
    record = header.tokenizer
    return f"{record['name']}:{record.get('fingerprint', record['sha256'])[:12]}"


def _start(timeline: Timeline, count: int, starts: str, draw: Draw, part: tuple[int, int]) -> int:
    """The first latent frame of a random stretch of `count`, in part (number, of how many) of those that may be it."""
    last = timeline.latent_frames - count
    places = [segment.first_latent for segment in timeline.segments if segment.first_latent <= last]
    many = last + 1 if starts == "any" else len(places)
    number, parts = part
    low, high = many * number // parts, max(many * (number + 1) // parts, many * number // parts + 1)
    chosen = min(low + draw(high - low), many - 1)
    return chosen if starts == "any" else places[chosen]


def _fps(header: Header) -> float:
    """Average frames per second; 0.0 where the video did not say."""
    rate = header.average_rate
    return rate[0] / rate[1] if rate and rate[1] else 0.0
