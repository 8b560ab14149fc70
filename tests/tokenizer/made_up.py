"""A made-up tokenizer with the habits of public ones: a first latent frame of its own, a start-up transient, a period,
another pixel range. Linear and invertible, so that what comes back can be held against what went in.

A latent is the mean colour of its square and frames (3 channels), and what the last of its frames is above that (3
more), both mixed with the mean before."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from einops import rearrange, repeat
from safetensors.torch import save_file
from torch import Tensor, nn

from latcomp.errors import UsageError
from latcomp.latents.profile import CodingProfile
from latcomp.tokenizer.architectures import ARCHITECTURES, Architecture
from latcomp.tokenizer.base import DecoderCondition, TokenizerSpec

NAME = "made-up"
# latents of flat colours have much in common from scene to scene
PROFILE = CodingProfile(cut_share=0.5, cut_share_new=0.5)
MEMORY = 0.25  # share of the mean before


@dataclass(frozen=True)
class Habits:
    spatial: int = 8
    temporal: int = 4
    first_frames: int = 1
    period: int = 1
    transient: bool = False
    space: str | None = None
    steps_known: bool = True
    """Whether its configuration has its steps."""
    streams: bool = True
    """Otherwise each call stands alone, as where attention spans the clip that it is given."""
    low: float = 0.0
    high: float = 1.0


def spec_of(members: Mapping[str, Any]) -> TokenizerSpec:
    habits = habits_of(members)
    return TokenizerSpec(
        NAME,
        6,
        habits.spatial,
        habits.temporal,
        habits.first_frames,
        (1.0,) * 6,
        (1.0,) * 6,
        pixel_range=(habits.low, habits.high),
        transient=int(habits.transient),
        exact_streaming=habits.streams,
        period=habits.period,
        space=habits.space,
        steps_known=habits.steps_known,
    )


def habits_of(members: Mapping[str, Any]) -> Habits:
    return Habits(**{name: members[name] for name in Habits.__dataclass_fields__})


@dataclass(frozen=True)
class State:
    """The mean (B, 3, h, w) of the last latent frame, and how many there were."""

    mean: Tensor
    made: int


class MadeUp(nn.Module):
    def __init__(self, members: Mapping[str, Any]) -> None:
        super().__init__()
        self.habits, self.spec = habits_of(members), spec_of(members)
        self.gain = nn.Parameter(torch.tensor(60.0))

    def encode(self, pixels: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        state = state if self.habits.streams else None
        rule = self.spec.rule if state is None else self.spec.rule.inside
        frames, side = pixels.shape[2], self.habits.spatial
        if not frames or rule.missing(frames) or any(size % side for size in pixels.shape[3:]):
            raise UsageError(f"{frames} frames of {pixels.shape[4]}x{pixels.shape[3]} do not divide")
        values = (pixels - self.habits.low) / (self.habits.high - self.habits.low)
        squares = rearrange(values, "b c f (h p) (w q) -> b c f h w (p q)", p=side, q=side).mean(-1)
        latents = []
        for step in range(rule.latent_frames(frames)):
            here = squares[:, :, rule.place(step)]  # (B, 3, frames, h, w)
            mean = here.mean(2)
            before = self._before(state, mean)
            made = 0 if state is None else state.made
            z = torch.cat([mean + MEMORY * before, here[:, :, -1] - mean], 1) + self._sway(made)
            latents.append(z * self.gain)
            state = State(mean, made + 1)
        assert state is not None
        return torch.stack(latents, 2), state

    def decode(
        self, latents: Tensor, state: State | None = None, condition: DecoderCondition | None = None
    ) -> tuple[Tensor, State]:
        if latents.dim() != 5 or latents.shape[1] != 6:
            raise UsageError(f"latents must be (B, 6, T, h, w), not {tuple(latents.shape)}")
        state = state if self.habits.streams else None
        rule = self.spec.rule if state is None else self.spec.rule.inside
        frames = []
        for step in range(latents.shape[2]):
            made = 0 if state is None else state.made
            z = latents[:, :, step] / self.gain - self._sway(made)
            mean = z[:, :3] / (1 + MEMORY) if state is None else z[:, :3] - MEMORY * state.mean
            if state is None and self.habits.transient:
                mean = z[:, :3]
            place = rule.place(step)
            frames += [mean] * (place.stop - place.start - 1) + [mean + z[:, 3:]]
            state = State(mean, made + 1)
        assert state is not None
        low, high, side = self.habits.low, self.habits.high, self.habits.spatial
        pixels = repeat(torch.stack(frames, 2), "b c f h w -> b c f (h p) (w q)", p=side, q=side)
        return (pixels * (high - low) + low).clamp(low, high), state

    def _before(self, state: State | None, mean: Tensor) -> Tensor:
        """The mean before: at the start the first one itself, or nothing where that makes a transient."""
        if state is not None:
            return state.mean
        return torch.zeros_like(mean) if self.habits.transient else mean

    def _sway(self, made: int) -> float:
        """What a latent frame's number adds to it."""
        return 0.1 * (made % self.habits.period)


@contextmanager
def known() -> Iterator[None]:
    """Inside, configurations may name the made-up architecture."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ARCHITECTURES, NAME, Architecture(spec_of, MadeUp))
        yield


def write_made_up(folder: Path, habits: Habits) -> Path:
    """A model's folder."""
    folder.mkdir(parents=True, exist_ok=True)
    members = {"kind": "tokenizer", "architecture": NAME, "name": NAME, **asdict(habits)}
    (folder / "config.json").write_text(json.dumps(members), encoding="utf-8")
    save_file(MadeUp(members).state_dict(), folder / "model.safetensors")
    PROFILE.save(folder)
    return folder
