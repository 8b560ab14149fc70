"""A published tokenizer's specification, found by running it; and the same as it is kept and printed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from latcomp.errors import UsageError
from latcomp.tokenizer.base import TokenizerSpec

if TYPE_CHECKING:
    from torch import Tensor

    from latcomp.tokenizer.public.vae import Vae

PROBE = 2
"""Version of what is measured and how: what is kept of another one is measured anew."""
WINDOW = 8
"""Most latent frames that go through at once where a stream cannot go on."""


@dataclass(frozen=True)
class Probe:
    """What running a tokenizer showed."""

    spec: TokenizerSpec
    least: int
    """Positions of each side that its networks need."""
    multiple: int
    """What each side's positions have to be a multiple of."""
    leak: float
    """Share by which earlier latents changed when later frames did."""
    streaming: float | None
    """Largest difference of a stream in pieces from the whole, of the largest value; None without a stream."""
    still_steps: tuple[float, ...]
    """Share by which each latent frame of a still scene differs from the one before."""
    deviation: float
    """Of the probe's normalised latents."""
    gain: tuple[float, ...]
    """Squared error of pixels over that of each channel."""
    normalised: bool
    """Whether latents are normalised by published statistics."""
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """All of it in JSON's types."""
        return {"probe": PROBE, **asdict(self)}

    @classmethod
    def of(cls, found: Mapping[str, Any]) -> Probe:
        """What `to_json` gave. Raises `ValueError` for what is none, or one of another version."""
        members = dict(found)
        if members.pop("probe", None) != PROBE:
            raise ValueError("made by another version")
        try:
            fields: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in dict(members.pop("spec")).items()
            }
            members = {name: tuple(value) if isinstance(value, list) else value for name, value in members.items()}
            return cls(spec=TokenizerSpec(**fields), **members)
        except (KeyError, TypeError, UsageError) as error:
            raise ValueError(f"not a probe: {error}") from None

    @property
    def notes(self) -> list[str]:
        """What a person should know of it, one line each."""
        spec, found = self.spec, []
        if not spec.exact_streaming:
            frames = spec.frames(spec.whole_chunks(WINDOW, start=True))
            found.append(f"{spec.name} cannot go on with a stream: each {frames} frames are coded by themselves")
        if not self.normalised:
            found.append(f"{spec.name} has no published statistics: steps follow from the latents of a test clip")
        return found


def space_of(normalisation: tuple[Tensor, Tensor] | None) -> str | None:
    """What latents so normalised are, in the words of `TokenizerSpec.space`: by each channel's statistics, or by one
    factor. None where raw ones are normalised already, as those of a TAEHV are in the way of the model it stands for.
    """
    if normalisation is None:
        return "raw"
    mean, deviation = normalisation
    if mean.numel() == deviation.numel() == 1:
        return None if (float(mean), float(deviation)) == (0.0, 1.0) else "scaled"
    return "normalised"


def run_probe(vae: Vae, name: str, normalisation: tuple[Tensor, Tensor] | None) -> Probe:
    """Raises `UnsupportedFileError` for an autoencoder that cannot be a tokenizer, saying why."""
    import torch

    from latcomp.tokenizer.public.behaviour import behaviour_of
    from latcomp.tokenizer.public.geometry import geometry_of
    from latcomp.tokenizer.public.steps import steps_of

    began = time.monotonic()
    with torch.inference_mode():
        shape = geometry_of(vae, name)
        window = 1 + max((WINDOW - 1) // vae.chunk, 1) * vae.chunk
        shown = behaviour_of(vae, shape, window, name)
        steps = steps_of(vae, shape, normalisation)
    spec = TokenizerSpec(
        name,
        shape.channels,
        shape.spatial,
        shape.temporal,
        shape.rule.first,
        steps.channel_step,
        steps.channel_step,
        pixel_range=(vae.low, vae.high),
        exact_streaming=shown.exact_streaming,
        transient=shown.transient,
        period=shown.period,
        chunk=vae.chunk,
        space=space_of(normalisation),
    )
    habits, seconds = shape.habits, round(time.monotonic() - began, 1)
    return Probe(
        spec,
        habits.least,
        habits.multiple,
        shown.leak,
        shown.streaming,
        shown.still_steps,
        steps.deviation,
        steps.gain,
        normalisation is not None,
        seconds,
    )
