"""A published autoencoder as it is called: pixels to raw latents and back, in one call or along a stream."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


class Vae(nn.Module):
    """Whole windows of frames through an autoencoder. A subclass calls one family as it was published.

    Tensors are (B, channels, time, height, width). A window has 1 + k * `chunk` latent frames, whichever frames those
    stand for; height and width are multiples of what the networks divide them by."""

    chunk = 1
    """Latent frames, behind the first one, that the networks take together."""
    low, high = -1.0, 1.0
    """Values of black and white."""
    streams = False
    """Whether the class has a state of its own by which a stream goes on: `encode_on` and `decode_on`."""
    lookahead = 0
    """Frames behind those that a latent frame stands for which it depends on all the same."""

    looks_ahead = False
    """Whether its norms span a window, so that each latent frame depends on all of it."""

    def encode(self, pixels: Tensor) -> Tensor:
        """Raw latents of a window of pixels: what is most likely, without noise."""
        raise NotImplementedError

    def decode(self, latents: Tensor) -> Tensor:
        """Pixels of a window of raw latents, not clamped."""
        raise NotImplementedError

    def encode_on(self, pixels: Tensor, cache: Any, temporal: int) -> tuple[Tensor, Any]:
        """Raw latents of the next frames of a stream in whole chunks, and the state to go on from. cache: None at the
        stream's start; not changed. temporal: frames of a latent frame."""
        raise NotImplementedError

    def decode_on(self, latents: Tensor, cache: Any) -> tuple[Tensor, Any]:
        """Pixels of the next raw latents of a stream in whole chunks, and the state to go on from."""
        raise NotImplementedError

    def normalisation(self) -> tuple[Tensor, Tensor] | None:
        """(mean, deviation), each (C,) or (1,), by which raw latents are normalised; None where none was published."""
        return None

    @property
    def dtype(self) -> torch.dtype:
        """Number type that it computes in."""
        return next(self.parameters()).dtype

    def use(self, dtype: torch.dtype) -> None:
        """Compute in a number type."""
        nn.Module.to(self, dtype)


def copied(cache: Any) -> Any:
    """A cache of tensors in lists and dictionaries, copied but for the tensors: autoencoders put new ones in their
    places, and a state that was given out must stay what it is."""
    if isinstance(cache, dict):
        return {key: copied(value) for key, value in cache.items()}
    if isinstance(cache, list | tuple):
        return type(cache)(copied(value) for value in cache)
    return cache


def pieces(total: int, first: int, later: int, start: bool) -> list[int]:
    """`total` in pieces: `first` at a stream's start, then `later` each; the last one may be smaller."""
    found = []
    while total > 0:
        found.append(min(first if start else later, total))
        total, start = total - found[-1], False
    return found


def repeated(values: Tensor, missing: int) -> Tensor:
    """Values (B, C, T, h, w) with the last step repeated so many times."""
    return torch.cat([values, values[:, :, -1:].expand(-1, -1, missing, -1, -1)], dim=2) if missing else values
