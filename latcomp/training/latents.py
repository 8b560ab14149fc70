"""Latents of whole clips under a frozen tokenizer: what the LIT and the prior are trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from latcomp.caches import cache_folder
from latcomp.errors import UsageError
from latcomp.inpaint.config import GROUP
from latcomp.latents.profile import CodingProfile
from latcomp.latents.steps import Steps, fit_steps
from latcomp.models import find_prior, find_tokenizer, fingerprint_of, load_tokenizer, profile_of, weights_sha256
from latcomp.selection import PRIOR_UNITS, SelectionRecipe
from latcomp.tokenizer.base import TokenizerSpec, VideoTokenizer
from latcomp.training.clips import Clip, Reference, clip_key, load_clips, reference, referred, save_array, split_clips
from latcomp.training.crops import FOLLOWED, full_chroma, size_weights, to_rgb
from latcomp.training.run import TrainingRun
from latcomp.training.world import WorldClip, cached_worlds

FITTED_FRAMES = 4  # latent frames of each clip that steps are fitted to, where a tokenizer brings none
GPU_PIECE, CPU_PIECE = 16, 2  # latent frames that are encoded at once: a CPU's caches like less


@torch.no_grad()
def cached_latents(
    tokenizer: VideoTokenizer, fingerprint: str, clips: list[Clip], run: TrainingRun
) -> list[np.ndarray]:
    """Latents of whole clips, each (C, T, h, w) float16 by memory map; encoded once for each tokenizer into the
    cache. Of a tokenizer that cannot go on with a stream, each window of a group stands alone, as in a file.
    """
    folder = cache_folder() / "latents" / fingerprint[:16]
    folder.mkdir(parents=True, exist_ok=True)
    found: list[tuple[int, np.ndarray]] = []
    for clip in clips:
        key = clip_key(clip)
        for index, window in enumerate(_windows(tokenizer.spec, clip.frames)):
            path = folder / (f"{key}.npy" if tokenizer.spec.exact_streaming else f"{key}-{index}.npy")
            if not path.exists():
                save_array(path, _encoded(tokenizer, clip, window, run).cpu().numpy())
            found.append((index, np.load(path, mmap_mode="r")))
    # windows of one clip do not follow each other: what follows is taken for another scene
    return [latents for _, latents in sorted(found, key=lambda each: each[0])]


def _windows(spec: TokenizerSpec, frames: int) -> list[slice]:
    """The frames of each stream that a clip is encoded in: whole chunks, whole windows."""
    rule = spec.rule
    if spec.exact_streaming:
        steps = rule.latent_frames(frames + 1) - 1  # whole ones
        return [slice(0, rule.frames(spec.whole_chunks(steps, start=True)))]
    length = rule.frames(GROUP)
    return [slice(start, start + length) for start in range(0, frames - length + 1, length)]


def _encoded(tokenizer: VideoTokenizer, clip: Clip, window: slice, run: TrainingRun) -> Tensor:
    """Latents (C, T, h, w) float16 of a stream of a clip's frames."""
    spec, rule = tokenizer.spec, tokenizer.spec.rule
    most = GPU_PIECE if run.device.type == "cuda" else CPU_PIECE
    pieces, state, done = [], None, 0
    steps = rule.latent_frames(window.stop - window.start)
    while done < steps:
        until = steps if not spec.exact_streaming else min(done + spec.whole_chunks(most, start=done == 0), steps)
        start, end = window.start + rule.frames(done), window.start + rule.frames(until)
        rows = torch.from_numpy(np.array(clip.planes[start:end])).to(run.device)
        with run.autocast():
            pixels = whole_positions(to_rgb(full_chroma(rows, clip.height, clip.width)[None]), spec)
            latents, state = tokenizer.encode(pixels, state)
        pieces.append(latents[0].half())
        done = until
    return torch.cat(pieces, dim=1)


def whole_positions(pixels: Tensor, spec: TokenizerSpec) -> Tensor:
    """What a tokenizer takes of pixels (B, 3, T, H, W) in [-1, 1]: without the rows and columns that make no whole
    position, in its range and number type."""
    height, width = (side - side % spec.spatial for side in pixels.shape[3:])
    low, high = spec.pixel_range
    inside = pixels[..., :height, :width]
    if spec.pixel_range != (-1.0, 1.0):
        inside = inside * ((high - low) / 2) + (high + low) / 2
    return inside.to(getattr(torch, spec.dtype))


def crop_of(clip: np.ndarray, rng: np.random.Generator, frames: int, side: int) -> np.ndarray:
    """A random crop (C, frames, side, side) float32 of a clip's latents, smaller where the clip is; played backwards a
    quarter of the time."""
    first = int(rng.integers(clip.shape[1] - frames + 1))
    top, left = (int(rng.integers(max(clip.shape[axis] - side, 0) + 1)) for axis in (2, 3))
    crop = np.array(clip[:, first : first + frames, top : top + side, left : left + side], np.float32)
    return crop[:, ::-1] if rng.random() < 0.25 else crop


class LatentClips(list[np.ndarray]):
    """Latents of clips, each (C, T, h, w), and the chances with which they are drawn; other processes open their files
    by themselves.
    """

    def __init__(self, latents: Iterable[np.ndarray], worlds: Mapping[int, WorldClip] | None = None) -> None:
        """worlds: of the clips whose camera is followed, their latents over the world, by number."""
        super().__init__(latents)
        self.worlds = dict(worlds or {})
        self.chances = size_weights([clip.size for clip in self])

    def __reduce__(self) -> tuple[Any, ...]:
        return _latent_clips, ([reference(clip) for clip in self], self.worlds)

    def draw(self, rng: np.random.Generator) -> int:
        """The number of a clip."""
        return int(rng.choice(len(self), p=self.chances))

    def draw_followed(self, rng: np.random.Generator) -> np.ndarray | WorldClip:
        """A clip: where its camera is followed mostly as files have it then, else its whole pictures."""
        number = self.draw(rng)
        world = self.worlds.get(number)
        return self[number] if world is None or rng.random() >= FOLLOWED else world


def _latent_clips(found: list[np.ndarray | Reference], worlds: Mapping[int, WorldClip]) -> LatentClips:
    return LatentClips(map(referred, found), worlds)


@dataclass(frozen=True)
class FrozenLatents:
    """A tokenizer's latents of the training and validation clips, each (C, T, h, w), and how they are selected and
    quantised.
    """

    folder: Path
    """The tokenizer's."""
    spec: TokenizerSpec
    sha256: str
    training: LatentClips
    validation: LatentClips
    recipe: SelectionRecipe

    @classmethod
    def of(
        cls,
        tokenizer: str | Path | None,
        data: Path,
        run: TrainingRun,
        units: int | None = None,
        followed: bool = False,
        workers: int = 0,
    ) -> FrozenLatents:
        """units: of a step; as the encoder has them with the tokenizer's prior, or without one, unless given; followed:
        whether clips whose camera moves are wanted over the world too; workers: processes that look for them.

        Raises `UsageError` for a folder without clips or a tokenizer that is not found.
        """
        folder = find_tokenizer(tokenizer)
        sha256, identity = weights_sha256(folder), fingerprint_of(folder)
        frozen = load_tokenizer(folder).to(run.device)
        spec = frozen.spec
        if spec.whole_chunks(GROUP, start=True) < GROUP and not spec.exact_streaming:
            raise UsageError(
                f"{folder}: a window of this tokenizer has fewer than the {GROUP} latent frames that are trained on"
            )
        training, validation = (
            LatentClips(
                cached_latents(frozen, identity, clips, run),
                cached_worlds(frozen, identity, clips, run, workers) if followed else None,
            )
            for clips in split_clips(load_clips(data, frozen.spec.frames(GROUP), 64))
        )
        found = PRIOR_UNITS if find_prior(folder) else 1
        profile = profile_of(folder)
        steps = _steps_of(spec, profile, training)
        recipe = SelectionRecipe.of(steps.channel_step, steps.channel_scale, profile, found if units is None else units)
        return cls(folder, spec, sha256, training, validation, recipe)


def _steps_of(spec: TokenizerSpec, profile: CodingProfile, clips: LatentClips) -> Steps:
    """The tokenizer's own steps, else those of its profile, else steps fitted to what the clips are like: to as many
    latent frames of each, so that none counts for more."""
    if spec.steps_known:
        return Steps(spec.channel_step, spec.channel_scale)
    if profile.steps is not None:
        return profile.steps
    parts: list[np.ndarray] = []
    for clip in clips:
        chosen = np.linspace(min(spec.transient, clip.shape[1] - 1), clip.shape[1] - 1, FITTED_FRAMES).astype(int)
        parts.append(np.array(clip[:, np.unique(chosen)], np.float32).reshape(spec.channels, -1))
    return fit_steps(np.concatenate(parts, axis=1), spec.channel_step)


@dataclass(frozen=True)
class LatentBatches:
    """What batches of examples are made from; a subclass makes those of a step, drawn by (seed, step), whichever
    process does it.
    """

    latents: LatentClips
    recipe: SelectionRecipe
    seed: int
    batch: int
