"""What shape of latents an autoencoder makes: channels, factors, frame rule, the grids that it can take. Found by
running it on small clips, as attributes are often missing or wrong."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from latcomp.errors import UnsupportedFileError
from latcomp.latents.frame_rule import FrameRule
from latcomp.tokenizer.public.adapter import Habits
from latcomp.tokenizer.public.vae import Vae

SIDES = (64, 128, 256)
TEMPORAL = (4, 8, 6, 2, 1, 3, 5, 12, 16)
"""Factors tried, the usual ones first."""
GRIDS = (1, 2, 3, 4, 6, 8)
"""Positions of a side that are tried; one that works with 3 needs no multiple of 2."""


@dataclass(frozen=True)
class Geometry:
    """Of the latents that a `Vae` makes."""

    channels: int
    spatial: int
    temporal: int
    habits: Habits

    @property
    def rule(self) -> FrameRule:
        """The frame rule: all published classes have a first latent frame of one frame."""
        return FrameRule(self.temporal, 1)


def probe_clip(vae: Vae, frames: int, height: int, width: int, seed: int = 0) -> Tensor:
    """Pixels (1, 3, frames, height, width) float32 in the autoencoder's range: smooth shapes that move, and a little
    grain."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.rand(1, 3, frames // 6 + 2, 6, 6, generator=generator)
    smooth = functional.interpolate(coarse, size=(frames, height, width), mode="trilinear", align_corners=True)
    grain = torch.rand(1, 3, 1, height, width, generator=generator) - 0.5
    values = (0.5 + 1.6 * (smooth - 0.5) + 0.1 * grain).clamp(0, 1)
    place = next(vae.parameters(), torch.empty(0)).device
    return (values * (vae.high - vae.low) + vae.low).to(place, vae.dtype)


def geometry_of(vae: Vae, name: str) -> Geometry:
    """Raises `UnsupportedFileError` for an autoencoder that takes no frames of any rule that was tried. name: for
    messages."""
    failure = ""
    for side in SIDES:
        for temporal in TEMPORAL:
            try:
                latents = _latents(vae, temporal, side, side)
            except (RuntimeError, ValueError, IndexError, NotImplementedError) as error:
                failure = failure or f": {(str(error).splitlines() or [''])[0]:.120}"
                continue
            if latents is not None and side % latents.shape[3] == 0 and latents.shape[3] == latents.shape[4]:
                spatial = side // latents.shape[3]
                return Geometry(latents.shape[1], spatial, temporal, _habits(vae, temporal, spatial, name))
    raise UnsupportedFileError(
        f"{name} cannot be used as a tokenizer: of 1 + k * t frames, t = {', '.join(map(str, TEMPORAL))}, it gives "
        f"back none{failure}"
    )


def _latents(vae: Vae, temporal: int, height: int, width: int) -> Tensor | None:
    """Latents of one chunk behind the first latent frame; None where they or what they decode to have another
    length or size than this factor makes."""
    frames = 1 + vae.chunk * temporal
    latents = vae.encode(probe_clip(vae, frames, height, width))
    if latents.dim() != 5 or latents.shape[2] != 1 + vae.chunk:
        return None
    pixels = vae.decode(latents)
    return latents if pixels.shape == (1, 3, frames, height, width) else None


def _habits(vae: Vae, temporal: int, spatial: int, name: str) -> Habits:
    """The smallest grids that work, and whether sides must be even in positions."""

    def works(positions: int) -> bool:
        side = spatial * positions
        try:
            latents = _latents(vae, temporal, side, side)
        except (RuntimeError, ValueError, IndexError):
            return False
        return latents is not None and latents.shape[3:] == (positions, positions)

    multiple = next((m for m in (1, 2, 4) if works(3 * m)), None)
    if multiple is None:
        raise UnsupportedFileError(f"{name} cannot be used as a tokenizer: it takes no size but a few")
    most = 3 * multiple
    fitting = [positions for positions in GRIDS if positions % multiple == 0 and positions <= most]
    failing = [positions for positions in fitting[:-1] if not works(positions)]
    least = next(positions for positions in fitting if all(positions > other for other in failing))
    return Habits(least, multiple)
