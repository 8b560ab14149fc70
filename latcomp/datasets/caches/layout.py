"""Layouts of latents: which axis is which, and the way to (C, F, H, W) and back for values of any type."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.datasets.caches.tensors import ITEM_BYTES, RawTensor
from latcomp.errors import NotACacheError

LAYOUTS = ("CFHW", "BCFHW", "FCHW", "BFCHW", "CHW", "BCHW", "SC")
"""B: videos of a batch, C: channels, F: latent frames, H, W: rows and columns; SC: rows of C values in the order F, H,
W."""
_BASE = "BCFHW"


@dataclass(frozen=True)
class Layout:
    """How a tensor of latents is laid out."""

    name: str
    """One of `LAYOUTS`."""
    grid: tuple[int, int, int] | None = None
    """(F, H, W) of layout SC, whose shape does not tell them."""

    def videos(self, tensor: RawTensor) -> list[RawTensor]:
        """Latents (C, F, H, W) of each video in a tensor.

        Raises `NotACacheError` where shape and layout do not fit, or there are no values."""
        shape = tensor.shape
        if self.name == "SC":
            if self.grid is None or len(shape) != 2 or shape[0] != np.prod(self.grid):
                raise NotACacheError(f"has latents {_words(shape)} that are not the rows of a grid of {self.grid}")
            letters, shape = "FHWC", (*self.grid, shape[1])
        else:
            letters = self.name
        if len(shape) != len(letters) or 0 in shape:
            raise NotACacheError(f"has latents of shape {_words(tensor.shape)}, where {self.name} is expected")
        values = _items(tensor).reshape(shape)
        for letter in _BASE:
            if letter not in letters:
                values, letters = np.expand_dims(values, 0), letter + letters
        values = values.transpose([letters.index(letter) for letter in _BASE])
        return [RawTensor(tensor.dtype, video.shape, _bytes(video)) for video in values]

    def tensor(self, videos: list[RawTensor], shape: tuple[int, ...]) -> RawTensor:
        """The tensor of this layout that holds these videos; the way back of `videos`. shape: of the tensor."""
        values = np.stack([_items(video).reshape(video.shape) for video in videos])
        letters = "FHWC" if self.name == "SC" else self.name
        order = [_BASE.index(letter) for letter in _BASE if letter not in letters]
        values = values.transpose(order + [_BASE.index(letter) for letter in letters])
        return RawTensor(videos[0].dtype, shape, _bytes(values))


def _items(tensor: RawTensor) -> np.ndarray:
    """The values of a tensor as whole numbers of their size: types that numpy has not are moved about as they are."""
    return tensor.data.view(f"u{ITEM_BYTES[tensor.dtype]}") if tensor.data.size else tensor.data


def _bytes(values: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(values).reshape(-1).view(np.uint8)


def _words(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "()"
