"""The quantiser's first steps for a tokenizer that none were trained for: by what the decoder does with an error in
each channel.

With steps that go as one over the square root of a channel's gain, all channels add the same error to the picture,
which is what reverse water-filling asks of independent channels under squared error (Cover and Thomas, 10.3)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latcomp.tokenizer.public.behaviour import POSITIONS
from latcomp.tokenizer.public.geometry import Geometry, probe_clip
from latcomp.tokenizer.public.vae import Vae

STEP = 0.23
"""Mean step, at step scale 1, over the deviation of the latents: a relative squared error of 0.004 at quality 5."""
RATIO_MOST = 3.0  # how far a channel's step may be from the mean: the probe's clip is not everything
NORMAL = 5.0  # published statistics hold where the measured deviation is within this factor of 1
NUDGE = 0.25  # deviations by which a channel is moved
BATCH = 8  # channels moved in one call


@dataclass(frozen=True)
class Steps:
    """What was measured, in units of normalised latents."""

    deviation: float
    """Root mean square deviation of the probe's latents."""
    gain: tuple[float, ...]
    """Squared error of pixels, black to white being 1, over the squared error of each channel."""
    channel_step: tuple[float, ...]


def steps_of(vae: Vae, geometry: Geometry, normalisation: tuple[Tensor, Tensor] | None) -> Steps:
    """normalisation: (mean, deviation) of raw latents, each (C,) or (1,)."""
    side = geometry.spatial * geometry.habits.completed(
        POSITIONS if vae.chunk > 1 else max(POSITIONS, 48 // geometry.spatial)
    )
    raw = vae.encode(probe_clip(vae, geometry.rule.frames(1 + vae.chunk), side, side))
    scale = torch.ones(geometry.channels)
    if normalisation is not None:
        scale = normalisation[1].float().cpu().expand(geometry.channels)
    spread = raw.float().cpu().var(dim=(0, 2, 3, 4)).sqrt() / scale
    measured = float(spread.square().mean().sqrt())
    published = normalisation is not None and 1 / NORMAL <= measured <= NORMAL
    deviation = 1.0 if published else measured
    gain = _gains(vae, raw, scale * max(deviation, 1e-12) * NUDGE) * scale.square()
    ratio = (gain / gain.clamp(min=1e-30).log().mean().exp()).clamp(min=1e-30).rsqrt()
    ratio = ratio.clamp(1 / RATIO_MOST, RATIO_MOST)
    ratio /= ratio.square().mean().sqrt()
    steps = tuple(float(f"{STEP * deviation * value:.3g}") for value in ratio.tolist())
    return Steps(float(f"{measured:.4g}"), tuple(float(f"{value:.4g}") for value in gain.tolist()), steps)


def _gains(vae: Vae, raw: Tensor, nudge: Tensor) -> Tensor:
    """Mean squared change of pixels per squared change of raw latents (1, C, T, h, w), by channel. nudge: (C,) sizes of
    the changes, whose signs are random."""
    channels = raw.shape[1]
    sign = torch.randint(0, 2, raw.shape[2:], generator=torch.Generator().manual_seed(0)) * 2 - 1
    change = (sign * nudge.view(-1, 1, 1, 1)).to(raw.device, raw.dtype)  # (C, T, h, w)
    batch = min(BATCH, channels)
    many = raw.expand(batch, -1, -1, -1, -1)
    plain = _decoded(vae, many)
    found = torch.zeros(channels)
    for start in range(0, channels, batch):
        moved = many.clone()
        here = range(start, min(start + batch, channels))
        for row, channel in enumerate(here):
            moved[row, channel] += change[channel]
        apart = (_decoded(vae, moved) - plain).float() / (vae.high - vae.low)
        found[here.start : here.stop] = apart.square().mean(dim=(1, 2, 3, 4))[: len(here)].cpu()
    return found / nudge.square()


def _decoded(vae: Vae, latents: Tensor) -> Tensor:
    """Pixels of latents (B, C, T, h, w); some decoders take a batch of one alone."""
    try:
        return vae.decode(latents)
    except RuntimeError:
        return torch.cat([vae.decode(one) for one in latents.split(1)])
