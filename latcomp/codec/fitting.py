"""Steps for a video whose tokenizer brings none, from its first groups: as many as are looked at before the file's
header is written."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from latcomp.codec.groups import EncodedGroup
from latcomp.codec.settings import STEPS_MOST_OFF
from latcomp.errors import UsageError
from latcomp.latents.steps import Steps, deviation_of, fit_steps
from latcomp.tokenizer.base import TokenizerSpec
from latcomp.video import AudioPacket

GROUPS = 4  # that are looked at: about five seconds of film
BYTES = 2**26  # of latents, audio and frames that may wait for them


def fitted(
    items: Iterator[EncodedGroup | AudioPacket], spec: TokenizerSpec
) -> tuple[list[EncodedGroup | AudioPacket], Steps | None]:
    """(what was taken of the items, the steps); no steps for a video without groups.

    The group whose latents vary most decides: a film may fade in from black, and what comes later is more like the
    brightest of what was seen. Raises `UsageError` for latents that are no numbers."""
    taken: list[EncodedGroup | AudioPacket] = []
    best: np.ndarray | None = None
    most, groups, size = -1.0, 0, 0
    for item in items:
        taken.append(item)
        if isinstance(item, AudioPacket):
            size += len(item.data)
            continue
        latents = _usual(item, spec)
        if not np.isfinite(latents).all():
            raise UsageError(f"the tokenizer {spec.name!r} gives latents that are no numbers")
        deviation = deviation_of(latents)
        if deviation > most:
            best, most = latents, deviation
        groups, size = groups + 1, size + item.latents.nbytes + sum(pixels.nbytes for pixels in item.pixels)
        if groups == GROUPS or size > BYTES:
            break
    return taken, None if best is None else fit_steps(best, spec.channel_step, STEPS_MOST_OFF)


def _usual(group: EncodedGroup, spec: TokenizerSpec) -> np.ndarray:
    """(C, n): latents of the positions that a group shows, without those of a start-up transient if there are
    others."""
    view = group.view
    skipped = spec.transient if group.key and spec.transient < len(view.frames) else 0
    parts = [view.take(group.latents, t) for t in range(skipped, len(view.frames))]
    return np.concatenate(parts, axis=1)
