"""How an autoencoder behaves in time: whether it repeats itself, looks ahead, streams, and settles on a still scene."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from latcomp.errors import UnsupportedFileError
from latcomp.tokenizer.public.geometry import Geometry, probe_clip
from latcomp.tokenizer.public.vae import Vae

LEAK_MOST = 1e-3  # share by which earlier latents may change with later frames: rounding is 1e-6
EXACT = 1e-5  # of the largest value: a stream in pieces is the whole
STILL = 0.02  # share by which the latents of a still scene may differ and count as the same
STREAM_STEPS = 17  # most latent frames of the still scene of a stream
SETTLED = 3  # latent frames in a row that are as the one before: nothing more will come
POSITIONS = 4  # of a side
PERIOD_MOST = 8
UNSETTLED = 0.1  # share by which a latent frame of a still scene differs that belongs to the start-up transient
TRANSIENT_MOST = 4  # latent frames: what still changes then is less than a scene cut, which must not be overlooked


@dataclass(frozen=True)
class Behaviour:
    """What was measured."""

    leak: float
    """Largest share by which earlier latents changed when later frames did."""
    streaming: float | None
    """Largest difference of a stream in pieces from the whole, of the largest value; None without a stream."""
    still_steps: tuple[float, ...]
    """Share by which each latent frame of a still scene differs from the one before."""
    transient: int
    period: int

    @property
    def exact_streaming(self) -> bool:
        """Whether a stream in pieces gives what one call gives."""
        return self.streaming is not None and self.streaming <= EXACT


def behaviour_of(vae: Vae, geometry: Geometry, window: int, name: str) -> Behaviour:
    """window: latent frames of a call where it cannot stream. Raises `UnsupportedFileError` for an autoencoder that is
    not causal, does not repeat itself, or gives what is no number."""
    side = geometry.spatial * geometry.habits.completed(POSITIONS)
    leak = _leak(vae, geometry, side, name)
    streaming = _streaming(vae, geometry, side) if vae.streams else None
    exact = streaming is not None and streaming <= EXACT
    still = _still_stream(vae, geometry, side) if exact else _still_window(vae, geometry, side, window)
    steps = tuple(round(_apart(still[:, :, t], still[:, :, t - 1]), 6) for t in range(1, still.shape[2]))
    period = _period(still) if exact else 1
    moving = [t for t in range(period, still.shape[2]) if _apart(still[:, :, t], still[:, :, t - period]) > UNSETTLED]
    transient = max((t - period + 1 for t in moving), default=0)
    return Behaviour(leak, streaming, steps, min(transient, TRANSIENT_MOST), period)


def refuse(name: str, reason: str) -> UnsupportedFileError:
    """The error for a tokenizer that cannot be used."""
    return UnsupportedFileError(f"{name} cannot be used as a tokenizer: {reason}")


def _leak(vae: Vae, geometry: Geometry, side: int, name: str) -> float:
    """Checks that it repeats itself too."""
    rule, steps = geometry.rule, 1 + 2 * vae.chunk
    pixels = probe_clip(vae, rule.frames(steps), side, side)
    latents = vae.encode(pixels)
    if not torch.isfinite(latents).all():
        raise refuse(name, "its latents are not finite: the weights may be damaged")
    short = latents[:, :, : 1 + vae.chunk]
    decoded = vae.decode(short)
    if not torch.isfinite(decoded).all():
        raise refuse(name, "its pixels are not finite: the weights may be damaged")
    if not torch.equal(vae.encode(pixels), latents):
        raise refuse(name, "its encoder is not deterministic: encoding twice gives two results")
    if not torch.equal(vae.decode(short), decoded):
        raise refuse(name, "its decoder is not deterministic: decoding twice gives two results")
    early = steps - vae.chunk
    start = rule.frames(early) + vae.lookahead
    changed = pixels.clone()
    changed[:, :, start:] = probe_clip(vae, rule.frames(steps), side, side, seed=1)[:, :, start:]
    leak = _apart(vae.encode(changed)[:, :, :early], latents[:, :, :early])
    if leak > LEAK_MOST and not vae.looks_ahead:
        raise refuse(name, f"it is not causal: later frames change earlier latents by {100 * leak:.1f} %")
    return leak


def _streaming(vae: Vae, geometry: Geometry, side: int) -> float:
    """Largest difference of pieces from the whole, of the largest value, of encoder and decoder."""
    rule, chunk = geometry.rule, vae.chunk
    steps = [1 + chunk, chunk] if chunk > 1 else [1, 1, 2]
    pixels = probe_clip(vae, rule.frames(sum(steps)), side, side)
    latents = vae.encode(pixels)
    whole = vae.decode(latents)
    parts: list[list[Tensor]] = [[], []]
    encoder = decoder = None
    done = 0
    for count in steps:
        frames = pixels[:, :, rule.frames(done) : rule.frames(done + count)]
        found, encoder = vae.encode_on(frames, encoder, geometry.temporal)
        parts[0].append(found)
        found, decoder = vae.decode_on(latents[:, :, done : done + count], decoder)
        parts[1].append(found)
        done += count
    low, high = vae.low, vae.high
    made = torch.cat(parts[0], dim=2), torch.cat(parts[1], dim=2).clamp(low, high)
    worst = 0.0
    for part, all_of_it in zip(made, (latents, whole.clamp(low, high)), strict=True):
        if part.shape != all_of_it.shape:
            return float("inf")
        worst = max(worst, float((part - all_of_it).abs().max() / all_of_it.abs().max().clamp(min=1e-12)))
    return worst


def _still_window(vae: Vae, geometry: Geometry, side: int, steps: int) -> Tensor:
    """Latents of a window of a still scene."""
    frame = probe_clip(vae, 1, side, side)
    return vae.encode(frame.expand(-1, -1, geometry.rule.frames(steps), -1, -1))


def _still_stream(vae: Vae, geometry: Geometry, side: int) -> Tensor:
    """Latents of a still scene along a stream, until they settle or `STREAM_STEPS` are made."""
    frame, state = probe_clip(vae, 1, side, side), None
    made: list[Tensor] = []
    count = 1 + vae.chunk if vae.chunk > 1 else 1
    while sum(part.shape[2] for part in made) < STREAM_STEPS:
        rule = geometry.rule.inside if made else geometry.rule
        latents, state = vae.encode_on(frame.expand(-1, -1, rule.frames(count), -1, -1), state, geometry.temporal)
        made.append(latents)
        count = vae.chunk
        found = torch.cat(made, dim=2)
        last = found.shape[2] - 1
        if last >= SETTLED and all(
            _apart(found[:, :, t], found[:, :, t - 1]) < STILL / 100 for t in range(last, last - SETTLED, -1)
        ):
            break
    return torch.cat(made, dim=2)


def _period(still: Tensor) -> int:
    """After how many latent frames the last ones repeat; 1 where that cannot be told."""
    last = still.shape[2] - 1
    for period in range(1, min(PERIOD_MOST, last // 2) + 1):
        if all(_apart(still[:, :, t], still[:, :, t - period]) <= STILL for t in range(last, last - period, -1)):
            return period
    return 1


def _apart(a: Tensor, b: Tensor) -> float:
    """Mean difference of latents over their mean size."""
    return float((a - b).abs().float().mean() / b.abs().float().mean().clamp(min=1e-12))
