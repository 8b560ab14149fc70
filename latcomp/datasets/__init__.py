"""Latents for training: sets of .lat files as a PyTorch data set, batches of equal shapes, handlers for WebDataset and
Energon; and caches of latents to .lat files and back.

Names are looked up when they are used: importing this room imports neither torch nor what reads the files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from latcomp.datasets.batches import BucketSampler, collate
    from latcomp.datasets.energon import LatSampleDecoder
    from latcomp.datasets.handler import LatHandler, lat_handler
    from latcomp.datasets.lat_dataset import LatDataset
    from latcomp.datasets.paths import find_files

__all__ = ["BucketSampler", "LatDataset", "LatHandler", "LatSampleDecoder", "collate", "find_files", "lat_handler"]

_LAZY = {
    "LatDataset": "lat_dataset",
    "BucketSampler": "batches",
    "collate": "batches",
    "LatHandler": "handler",
    "lat_handler": "handler",
    "LatSampleDecoder": "energon",
    "find_files": "paths",
}  # name here -> module


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'latcomp.datasets' has no attribute {name!r}")
    value = getattr(import_module(f"latcomp.datasets.{_LAZY[name]}"), name)
    globals()[name] = value  # the next look-up takes the short way
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
