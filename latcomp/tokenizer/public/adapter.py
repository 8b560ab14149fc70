"""A published autoencoder as a tokenizer: padding, normalisation, streams and number types around a `Vae`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional

from latcomp.errors import UsageError
from latcomp.tokenizer.base import DecoderCondition, TokenizerSpec
from latcomp.tokenizer.public.vae import Vae, repeated


@dataclass(frozen=True)
class Habits:
    """What a tokenizer needs of its surroundings, beside its specification."""

    least: int = 1
    """Positions of each side that its networks need; smaller grids are completed by repetition."""
    multiple: int = 1
    """What each side's positions have to be a multiple of."""

    def completed(self, positions: int) -> int:
        """Positions of a side with what has to be added."""
        wanted = max(positions, self.least)
        return wanted + -wanted % self.multiple


@dataclass(frozen=True)
class Stream:
    """Where a stream stands."""

    cache: Any
    ended: bool
    """Whether the last call completed a chunk by repetition: nothing can follow."""


class PublicTokenizer(nn.Module):
    """A `VideoTokenizer` of a published autoencoder. Latents outside of it are normalised ones."""

    mean: Tensor
    deviation: Tensor

    def __init__(
        self, vae: Vae, spec: TokenizerSpec, habits: Habits, normalisation: tuple[Tensor, Tensor] | None
    ) -> None:
        """normalisation: (mean, deviation) of raw latents, each (C,) or (1,); None: they stay as they are."""
        super().__init__()
        self.vae, self.spec, self.habits = vae, spec, habits
        mean, deviation = (torch.zeros(1), torch.ones(1)) if normalisation is None else normalisation
        for name, values in (("mean", mean), ("deviation", deviation)):
            self.register_buffer(name, values.detach().float().view(1, -1, 1, 1, 1), persistent=False)
        self.eval().requires_grad_(False)

    def encode(self, pixels: Tensor, state: Stream | None = None) -> tuple[Tensor, Stream]:
        """`VideoTokenizer.encode`. A call that leaves a chunk unfinished is the stream's last one."""
        spec = self.spec
        start, rule, cache = self._begin(state)
        frames, (height, width) = pixels.shape[2], pixels.shape[3:]
        if not frames or rule.missing(frames) or height % spec.spatial or width % spec.spatial:
            raise UsageError(f"{frames} frames of {width}x{height} are no whole latent frames of {spec.name}")
        steps, (rows, columns) = rule.latent_frames(frames), spec.grid(height, width)
        whole = self._whole(steps, start)
        full = repeated(self._filled(pixels, spec.spatial), rule.frames(whole) - frames)
        with self._exactly(pixels):
            given = full.to(self.vae.dtype)
            if spec.exact_streaming:
                raw, cache = self.vae.encode_on(given, cache, spec.temporal)
            else:
                raw = self.vae.encode(given)
        latents = (raw.float() - self.mean) / self.deviation
        return latents[:, :, :steps, :rows, :columns].contiguous(), Stream(cache, whole != steps)

    def decode(
        self, latents: Tensor, state: Stream | None = None, condition: DecoderCondition | None = None
    ) -> tuple[Tensor, Stream]:
        """`VideoTokenizer.decode`. A call that leaves a chunk unfinished is the stream's last one."""
        spec = self.spec
        if latents.dim() != 5 or latents.shape[1] != spec.channels or not latents.shape[2]:
            raise UsageError(f"latents must be (B, {spec.channels}, T, h, w), not {tuple(latents.shape)}")
        start, rule, cache = self._begin(state)
        steps, (rows, columns) = latents.shape[2], latents.shape[3:]
        whole = self._whole(steps, start)
        full = repeated(self._filled(latents, 1), whole - steps)
        with self._exactly(latents):
            raw = (full.float() * self.deviation + self.mean).to(self.vae.dtype)
            if spec.exact_streaming:
                pixels, cache = self.vae.decode_on(raw, cache)
            else:
                pixels = self.vae.decode(raw)
        low, high = spec.pixel_range
        shown = pixels[:, :, : rule.frames(steps), : rows * spec.spatial, : columns * spec.spatial]
        return shown.float().clamp(low, high), Stream(cache, whole != steps)

    def to(self, device: torch.device) -> Self:  # type: ignore[override]
        """The tokenizer on a device: in bf16 on GPUs where its networks can, in fp32 elsewhere."""
        super().to(device)
        self.vae.use(torch.float32)
        if device.type == "cuda" and not self._runs_in(torch.bfloat16, device):
            self.vae.use(torch.float32)
        return self

    def _begin(self, state: Stream | None) -> tuple[bool, Any, Any]:
        """(whether a stream begins, its frame rule, the state of the networks)."""
        if state is None or not self.spec.exact_streaming:
            return True, self.spec.rule, None
        if state.ended:
            raise UsageError(f"a stream of {self.spec.name} goes on in multiples of {self.spec.chunk} latent frames")
        return False, self.spec.rule.inside, state.cache

    def _whole(self, steps: int, start: bool) -> int:
        """Latent frames of a call with the last chunk completed."""
        chunk = self.spec.chunk
        first = int(start and chunk > 1)
        whole = first + max(-(-(steps - first) // chunk), 1) * chunk
        if chunk > 1 and not self.spec.exact_streaming and whole > 1 + chunk:
            raise UsageError(f"{self.spec.name} takes {self.spec.frames(1 + chunk)} frames at once, no more")
        return whole

    def _filled(self, values: Tensor, side: int) -> Tensor:
        """Values (B, C, T, H, W) with the rows and columns that the networks need, by repetition at the bottom and the
        right. side: of a position."""
        missing = [side * self.habits.completed(size // side) - size for size in values.shape[3:]]
        if not any(missing):
            return values
        return functional.pad(values, (0, missing[1], 0, missing[0], 0, 0), mode="replicate")

    @staticmethod
    def _exactly(like: Tensor) -> torch.autocast:
        """Inside, networks compute in their own number type: some have operations that bf16 lacks on CPUs."""
        return torch.autocast(like.device.type, enabled=False)

    @torch.inference_mode()
    def _runs_in(self, dtype: torch.dtype, device: torch.device) -> bool:
        """Whether the networks work in a number type, which they are left in."""
        self.vae.use(dtype)
        spec = self.spec
        side = spec.spatial * self.habits.completed(4)
        try:
            pixels = torch.linspace(*spec.pixel_range, side, device=device).expand(1, 3, spec.frames(2), side, side)
            latents, _ = self.encode(pixels)
            return bool(torch.isfinite(self.decode(latents)[0]).all() and torch.isfinite(latents).all())
        except torch.OutOfMemoryError:
            raise
        except (RuntimeError, NotImplementedError):
            return False
