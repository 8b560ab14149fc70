"""Latents of one clip to the groups of a file: selection at a step scale, and the step scale that meets a bound on the
error. No network and no torch: dropped tokens are held.

The clip is one segment: its latents come of one stream of the encoder, and a decoder must start where that did.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from latcomp.codec.latent_array import LatentArray, rounded_to
from latcomp.codec.latent_settings import LatentSettings, NamedTokenizer
from latcomp.codec.settings import GROUP_LATENT_FRAMES
from latcomp.container import Group
from latcomp.container.coding import AdaptiveCosts
from latcomp.errors import UsageError
from latcomp.latents import GroupView, StepScale
from latcomp.latents.profile import CodingProfile
from latcomp.latents.quantiser import SYMBOL_MAX
from latcomp.latents.step_scale import SCALE_MAX, SCALE_MIN
from latcomp.latents.steps import STEP_MAX, STEP_MIN, Steps, deviation_of, fit_steps
from latcomp.selection import Selection, SelectionCache, SelectionRecipe, select_budget, select_group
from latcomp.selection.rdo import RateDistortion

SEARCH_PER_OCTAVE = 64  # step scales that are tried lie so close
RDO_LAMBDA = 6.0
"""Bits that a squared error of one step squared is worth: the smallest files at an equal error, measured. At high
rates, where the mean squared error is 1/12, it would be 12 / (2 ln 2) = 8.7."""
LARGEST = 1e15  # of a latent: sums of squares stay within float32
TRIALS = 24  # most selections of a search; four to eight are usual


Parts = tuple[np.ndarray, np.ndarray, np.ndarray]
"""Of a group: mask (T, h, w), symbols (C, T, h, w), latents held (C, T, h, w)."""


@dataclass(frozen=True)
class SelectedLatents:
    """A clip at one step scale."""

    scale: StepScale
    threshold: float | None
    """None where a share of the tokens decides."""
    groups: list[tuple[np.ndarray, np.ndarray]]
    """(mask (T, h, w), symbols or latents (C, T, h, w)) of each group."""
    relative_rmse: float
    """Of what a reader gets, over the latents' standard deviation."""


class LatentCoder:
    """Makes the groups of one clip."""

    def __init__(self, array: LatentArray, tokenizer: NamedTokenizer, settings: LatentSettings) -> None:
        """Raises `UsageError` for latents that hold what is no number, or are of a size that no steps fit, unless they
        are to be stored bit for bit."""
        self.array, self.tokenizer, self.settings = array, tokenizer, settings
        self.values = array.values
        finite = bool(np.isfinite(self.values).all())
        if not (array.comes_back() if settings.lossless else finite):
            raise UsageError("the latents hold values that are no numbers")
        self.deviation = deviation_of(self.values) if finite else 0.0
        if not settings.lossless:
            self._check_size()
        self.steps = None if settings.lossless else fit_steps(self.values, tokenizer.channel_step)
        steps = self.steps or Steps((1.0,) * len(self.values), (1.0,) * len(self.values))
        # nothing is known of what is usual for this tokenizer
        self.profile = replace(CodingProfile(), complexity_strength=0.0)
        if settings.learns:  # rounding by cost does what rounding with a hysteresis does, and better
            self.profile = replace(self.profile, rounding=0.5, hysteresis=0.0, rdo_lambda=RDO_LAMBDA)
        self.recipe = SelectionRecipe.of(
            steps.channel_step, steps.channel_scale, self.profile, 1, lossless=settings.lossless
        )
        self.starts = range(0, self.values.shape[1], GROUP_LATENT_FRAMES)

    def selected(self) -> SelectedLatents:
        """The clip as the settings ask for it. Raises `UsageError` when they ask for an error that cannot be met."""
        quality = self.settings.quality_in_force
        if self.settings.lossless:
            return SelectedLatents(StepScale(1.0), 0.0, list(self._exact()), 0.0)
        if quality is not None:
            scale = self.profile.step_scale(quality)
            self._check_range(scale)
            return self.at(scale)
        return self._within(self.settings.max_rmse or 0.0)

    def _check_size(self) -> None:
        """Raise `UsageError` for latents whose steps would not be those that they ask for, but a bound on steps: little
        would be left of them."""
        largest = float(np.abs(self.values).max(initial=0.0))
        if largest > LARGEST or (self.deviation and not STEP_MIN * 100 < self.deviation < STEP_MAX):
            raise UsageError(
                f"the latents have a deviation of {self.deviation:.3g} and values up to {largest:.3g}, which no "
                "quantiser steps fit: scale them, or store them with lossless=True",
                settings=("lossless",),
            )

    def _check_range(self, scale: StepScale) -> None:
        """Raise `UsageError` for a channel with values of more steps than a symbol counts, which would be cut off."""
        largest = np.abs(self.values).max(axis=(1, 2, 3), initial=0.0)
        steps = largest / (self.recipe.step.astype(np.float64) * scale.value)
        channel = int(steps.argmax())
        if steps[channel] > SYMBOL_MAX:
            raise UsageError(
                f"the latents of channel {channel} are up to {largest[channel]:.3g}, which is {steps[channel]:.3g} "
                f"quantiser steps at this quality, and symbols count {SYMBOL_MAX}: choose a lower quality, or store "
                "them with lossless=True",
                settings=("quality", "lossless"),
            )

    def at(self, scale: StepScale) -> SelectedLatents:
        """The clip at a step scale."""
        found = self._by_share(scale) if self.settings.keep is not None else self._by_threshold(scale)
        if self.settings.learns:
            found = self._rounded(found, scale)
        groups, error = [], 0.0
        for start, (mask, symbols, held) in zip(self.starts, found, strict=True):
            groups.append((mask, symbols))
            truth = self.values[:, start : start + held.shape[1]]
            for t in range(held.shape[1]):  # a large clip is gigabytes: one latent frame of it at a time
                back = rounded_to(np.ascontiguousarray(held[:, t]), self.array.dtype)
                error += float(np.square(back.astype(np.float64) - truth[:, t]).sum())
        rmse = math.sqrt(error / self.values.size)
        relative = rmse / self.deviation if self.deviation else (math.inf if rmse else 0.0)
        threshold = None if self.settings.keep is not None else self._threshold(scale)
        return SelectedLatents(scale, threshold, groups, relative)

    def _threshold(self, scale: StepScale) -> float:
        given = self.settings.threshold
        return self.recipe.threshold(scale) if given is None else given

    def _within(self, most: float) -> SelectedLatents:
        """The clip at the largest step scale whose error is within a bound, as far as a search from a good guess finds
        it: the error rises with the steps, though not at every single one of them."""
        usual = float(np.sqrt(np.mean(np.square(self.recipe.step.astype(np.float64)))))
        wanted = most * (self.deviation or usual) * math.sqrt(12) / usual
        place = round(SEARCH_PER_OCTAVE * math.log2(max(wanted, SCALE_MIN)))
        low, high = (math.ceil(SEARCH_PER_OCTAVE * math.log2(end)) for end in (SCALE_MIN, SCALE_MAX))
        best: SelectedLatents | None = None
        for _ in range(TRIALS):
            found = self.at(StepScale(2.0 ** (place / SEARCH_PER_OCTAVE)))
            if found.relative_rmse <= most:
                best, low = found, place + 1
            else:
                high = place
            if low >= high:
                break
            # the error is about in proportion to the steps
            ratio = most / found.relative_rmse if found.relative_rmse else 2.0
            guess = place + math.floor(SEARCH_PER_OCTAVE * math.log2(min(max(ratio, 0.25), 4.0)))
            place = min(max(guess, low), high - 1)
        if best is None:
            raise UsageError(
                f"max_rmse {most:g} cannot be met: {self._hindrance()}", settings=("max_rmse", "threshold", "keep")
            )
        return best

    def _hindrance(self) -> str:
        if self.settings.keep is not None or self.settings.threshold != 0:
            return "dropped tokens are further off, so leave threshold and keep out, or choose more"
        return f"the numbers of {self.array.dtype} are no closer, so choose more or lossless=True"

    def _by_threshold(self, scale: StepScale) -> Iterator[Parts]:
        """Each group."""
        cache: SelectionCache | None = None
        quantiser = self.recipe.quantiser(scale)
        for start in self.starts:
            parts = []
            for place in self._parts(start):
                latents = self.values[:, place]
                whole = np.ones(latents.shape[1:], bool) if place.stop <= self.tokenizer.transient else None
                part, cache = select_group(
                    latents, cache, self._threshold(scale), self.recipe.rule, quantiser, forced=whole
                )
                parts.append(part)
            yield _joined(parts)

    def _rounded(self, chosen: Iterable[Parts], scale: StepScale) -> Iterator[Parts]:
        """The same positions with values that are rounded by what they cost.

        The masks stand, so that what repeats is dropped also where its value was not rounded to the nearest."""
        rounding = RateDistortion(AdaptiveCosts(), 1, self.profile.rdo_lambda)
        cache: SelectionCache | None = None
        for start, (mask, *_) in zip(self.starts, chosen, strict=True):
            latents = self.values[:, start : start + len(mask)]
            found, cache = select_group(
                latents, cache, 0.0, self.recipe.rule, self.recipe.quantiser(scale), forced=mask, rounding=rounding
            )
            yield _joined([found])

    def _parts(self, start: int) -> list[slice]:
        """The latent frames of a group, those apart that are kept whole."""
        stop = min(start + GROUP_LATENT_FRAMES, self.values.shape[1])
        middle = min(max(start, self.tokenizer.transient), stop)
        return [slice(a, b) for a, b in ((start, middle), (middle, stop)) if a < b]

    def _by_share(self, scale: StepScale) -> Iterator[Parts]:
        """The same by a share of the tokens. What is kept whole comes on top of it."""
        parts = [self.values[:, start : start + GROUP_LATENT_FRAMES] for start in self.starts]
        quantiser = self.recipe.quantiser(scale)
        chosen, _ = select_budget(parts, self.settings.keep or 0.0, self.recipe.rule, quantiser)
        cache: SelectionCache | None = None
        for start, latents, one in zip(self.starts, parts, chosen, strict=True):
            mask = one.mask.copy()
            mask[: max(self.tokenizer.transient - start, 0)] = True
            found, cache = select_group(latents, cache, 0.0, self.recipe.rule, quantiser, forced=mask)
            yield _joined([found])

    def _exact(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(mask, latents) of each group, for what is to come back bit for bit: what repeats so is dropped."""
        before: np.ndarray | None = None
        for start in self.starts:
            latents = self.values[:, start : start + GROUP_LATENT_FRAMES]
            mask = np.ones(latents.shape[1:], bool)
            for t in range(latents.shape[1]):
                bits = np.ascontiguousarray(latents[:, t]).view(np.uint32)
                if before is not None and start + t >= self.tokenizer.transient:
                    mask[t] = (bits != before).any(0)
                before = bits
            yield mask, latents

    def groups(self, chosen: SelectedLatents, frames: int) -> Iterator[Group]:
        """The groups of the file; frames: how many the latents stand for, with times 0, 1, ... ."""
        counts = self.tokenizer.rule.counts(frames)
        first = 0
        for index, (mask, values) in enumerate(chosen.groups):
            count = sum(counts[self.starts[index] : self.starts[index] + len(mask)])
            tokens = np.ascontiguousarray(values.transpose(1, 2, 3, 0)[mask])
            pts = np.arange(first, first + count, dtype=np.int64)
            view = GroupView.whole(len(mask), mask.shape[1:])
            yield Group(index, index == 0, first, pts, mask, tokens, "hold", view=view)
            first += count


def _joined(parts: list[Selection]) -> Parts:
    """A group selected in parts."""
    masks, symbols, held = zip(*((part.mask, part.symbols, part.held) for part in parts), strict=True)
    return np.concatenate(masks), np.concatenate(symbols, axis=1), np.concatenate(held, axis=1)
