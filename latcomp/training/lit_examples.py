"""Examples that a LIT learns from: crops of a frozen tokenizer's latents, selected as the encoder would."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from latcomp.inpaint.config import CONTEXT, GROUP
from latcomp.latents import GroupView, StepScale
from latcomp.selection import SelectionRecipe, select_group
from latcomp.training.crops import FOLLOWED
from latcomp.training.feed import Batch
from latcomp.training.latents import LatentClips, crop_of

SIDE = 28  # positions a side of a training crop: with the border of shifted windows, four windows
MOST_WIDER = 2  # times a crop's positions that the window of a moving camera may have; wider ones are not learned from
LOG_STEPS = (-1.5, 1.5)  # log2 of the step scale, drawn uniformly
KEEP = (0.08, 0.8)  # keep ratio of a crop, which its threshold is chosen for


@dataclass(frozen=True)
class Drawn:
    """How examples are drawn."""

    side: int = SIDE
    """Positions a side of a crop."""
    weighed: float = 0.0
    """Share of the examples whose tokens are kept by what they save and cost, as by default; the others have thresholds
    for keep ratios of all sizes."""
    keep: float | None = None
    """The keep ratio of those, where it is not to be drawn as well."""


def threshold_for(
    latents: np.ndarray, keep: float, recipe: SelectionRecipe, scale: StepScale, view: GroupView | None = None
) -> float:
    """A threshold at which the real selection keeps about the share `keep` of a crop, from five replays. view: what it
    shows, None for all."""
    shown = latents[0].size if view is None else view.count
    low, high, quantiser = 0.0, 4.0 * scale.value + 1.0, recipe.quantiser(scale)
    for _ in range(5):
        middle = (low * high) ** 0.5 if low > 0 else high / 4
        selection, _ = select_group(latents, None, middle, recipe.rule, quantiser, view=view)
        if np.count_nonzero(selection.mask) > keep * shown:
            low = middle
        else:
            high = middle
    return (low + high) / 2


@dataclass(frozen=True)
class Example:
    """One training example: latents as the encoder knows them, and what the reader would have."""

    target: np.ndarray  # (C, T, h, w) dequantised everywhere: what a kept token would have been
    held: np.ndarray  # (C, T, h, w)
    mask: np.ndarray  # (T, h, w)
    age: np.ndarray  # (T, h, w)
    step_scale: float
    context: np.ndarray  # (C, CONTEXT, h, w)
    has_context: bool
    truth: np.ndarray  # (C, T, h, w) as the tokenizer gave them
    halvings: np.ndarray  # uint8 (T, h, w) of the steps behind the held values
    visible: np.ndarray  # bool (T, h, w)
    context_visible: np.ndarray  # bool (CONTEXT, h, w)


def make_example(
    latents: LatentClips,
    recipe: SelectionRecipe,
    seed: int,
    index: int,
    item: int,
    follows: bool,
    drawn: Drawn = Drawn(),
) -> Example:
    """The example that belongs to (seed, index, item): a crop of one clip, selected as the encoder would.

    follows: whether it comes after a group whose last latent frames serve as C_fill (where the clip is long enough), or
    starts a segment. In C_fill, dropped positions hold a random blend of hold and truth, since what a LIT filled
    earlier lies between the two."""
    rng = np.random.default_rng([seed, index, item])
    crop, view, follows = _crop(latents, rng, follows, drawn.side)
    frames = crop.shape[1]
    scale = StepScale(float(2 ** rng.uniform(*LOG_STEPS)))
    share = float(np.exp(rng.uniform(*np.log(KEEP)))) if drawn.keep is None else drawn.keep
    by_price = recipe
    if drawn.weighed and rng.random() < drawn.weighed:
        by_price = recipe.weighing(str(rng.choice(["bits", "tokens"])))
    threshold = None if by_price.price is not None else threshold_for(crop, share, recipe, scale, view)
    selector = by_price.segment(scale, threshold)
    selections = [
        selector.next(
            np.ascontiguousarray(crop[:, start : start + GROUP]),
            GroupView(view.frames[start : start + GROUP], view.window),
        )
        for start in range(0, frames, GROUP)
    ]
    symbols, held = (np.concatenate([getattr(one, name) for one in selections], axis=1) for name in ("symbols", "held"))
    mask, age, halvings = (
        np.concatenate([getattr(one, name) for one in selections]) for name in ("mask", "age", "halvings")
    )
    values = recipe.quantiser(scale).dequantise(symbols)
    now = slice(frames - GROUP, frames)
    before = slice(frames - GROUP - CONTEXT, frames - GROUP)
    blend = rng.uniform(0.2, 1.0)
    context = np.zeros((crop.shape[0], CONTEXT, *crop.shape[2:]), np.float32)
    seen = np.zeros(context.shape[1:], bool)
    if follows:
        blended = blend * held[:, before] + (1 - blend) * crop[:, before]
        seen = view.visible[before]
        context = np.where(mask[before], values[:, before], blended) * seen
    return Example(
        crop[:, now],
        held[:, now],
        mask[now],
        age[now].astype(np.float32),
        scale.value,
        context.astype(np.float32),
        follows,
        crop[:, now],
        halvings[now],
        view.visible[now],
        seen,
    )


def _crop(
    latents: LatentClips, rng: np.random.Generator, follows: bool, side: int
) -> tuple[np.ndarray, GroupView, bool]:
    """(latents (C, T, h, w) float32 of one or two groups, what they show, whether there are two) of a random crop."""
    number = latents.draw(rng)
    clip, world = latents[number], latents.worlds.get(number)
    if world is not None and rng.random() < FOLLOWED:
        groups = world.run(rng, float(follows))
        parts = world.crop(rng, groups, side)
        view = GroupView.over(tuple(frame for _, part in parts for frame in part.frames))
        if view.window.area <= MOST_WIDER * side * side:
            crop = np.zeros((len(clip), *view.shape), np.float32)
            for start, (values, part) in zip(range(0, len(view.frames), GROUP), parts, strict=True):
                rows, columns = part.window.inside(view.window)
                crop[:, start : start + GROUP, rows, columns] = values
            return crop, view, len(groups) == 2
    follows = follows and clip.shape[1] >= 2 * GROUP
    crop = crop_of(clip, rng, 2 * GROUP if follows else GROUP, side)
    return crop, GroupView.whole(crop.shape[1], crop.shape[2:]), follows


def stacked(examples: list[Example]) -> Batch:
    """Examples that all have C_fill, or all have none, as arrays with a batch axis; `context` is None without
    C_fill.
    """
    names = ("held", "mask", "age", "target", "truth", "halvings", "visible")
    found: Batch = {name: np.stack([getattr(e, name) for e in examples]) for name in names}
    found["step_scale"] = np.array([e.step_scale for e in examples], np.float32)
    for name in ("context", "context_visible"):
        found[name] = np.stack([getattr(e, name) for e in examples]) if examples[0].has_context else None
    return found


def batch_examples(
    latents: LatentClips, recipe: SelectionRecipe, seed: int, index: int, batch: int, drawn: Drawn = Drawn()
) -> list[Example]:
    """`batch` examples that all have C_fill or all have none, at a size that all share."""
    long_enough = any(clip.shape[1] >= 2 * GROUP for clip in latents)
    wanted = bool(np.random.default_rng([seed, index]).random() < 0.5) and long_enough
    found: list[Example] = []
    item = 0
    while len(found) < batch:
        example = make_example(latents, recipe, seed, index, item, wanted, drawn)
        item += 1
        if example.has_context == wanted or item > 20 * batch:
            found.append(example)
    size = max(e.mask.shape[1] for e in found), max(e.mask.shape[2] for e in found)
    context = all(e.has_context for e in found)
    return [replace(_padded(e, size), has_context=context) for e in found]


def _padded(example: Example, size: tuple[int, int]) -> Example:
    """The example over a larger window, nothing of which is visible that was not before."""
    rows, columns = size[0] - example.mask.shape[1], size[1] - example.mask.shape[2]
    if not rows and not columns:
        return example
    names = ("target", "held", "truth", "halvings", "mask", "age", "context", "visible", "context_visible")
    wider: dict[str, Any] = {}
    for name in names:
        array = getattr(example, name)
        wider[name] = np.pad(array, [(0, 0)] * (array.ndim - 2) + [(0, rows), (0, columns)])
    return replace(example, **wider)
