"""How long each token of a group would be held if it were kept, and what follows from that: its best value and its
step.

A value that is held for n latent frames counts n times in the error of the video, so it pays to take the mean of what
it stands for and to give it a finer step; x264's macroblock tree spends bits by the same argument. Only the encoder
needs any of this."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.latents import GroupView, Quantiser

BITS_PER_OCTAVE = 1.3  # estimated bits of a symbol s: 1.3 * log2(1 + 2 |s|)
LONGER = 1.5  # a run that reaches the end of the group is taken to be this many times as long


@dataclass(frozen=True)
class Lookahead:
    """Of each position (t, y, x) of a group.

    target: (C, T, h, w) mean of the latents from t on for as long as the value can be held; run: (T, h, w) int16,
    latent frames after t for which it can; whole: (T, h, w) bool, whether that reaches the group's end."""

    target: np.ndarray
    run: np.ndarray
    whole: np.ndarray

    def halvings(self, quantiser: Quantiser, weight: float) -> np.ndarray:
        """(T, h, w) uint8: how many times the step of each token should be halved, by least (run + 1) x error + bits /
        weight.

        weight: the lambda, bits that a squared error of one step squared is worth for one latent frame; 0 never halves.
        Errors are those of the target, bits an estimate from the symbols' sizes."""
        found = np.zeros(self.run.shape, np.uint8)
        held = self.run > 0
        if weight <= 0 or not held.any():
            return found
        values = (
            self.target[:, held] / (quantiser.step * quantiser.step_scale).astype(np.float32)[:, None]
        )  # (C, n) in steps
        frames = (self.run[held] + 1) * np.where(self.whole[held], np.float32(LONGER), np.float32(1))
        costs = []
        for halvings in range(quantiser.halvings_most + 1):
            symbols = np.rint(values * np.float32(2**halvings))
            error = np.square(symbols * np.float32(2.0**-halvings) - values).sum(0)
            bits = np.float32(BITS_PER_OCTAVE) * np.log2(1 + 2 * np.abs(symbols)).sum(0)
            costs.append(frames * error * np.float32(weight) + bits)
        found[held] = np.argmin(costs, axis=0)
        return found


def look_ahead(latents: np.ndarray, quantiser: Quantiser, changes: float, view: GroupView | None = None) -> Lookahead:
    """The lookahead of a group's latents (C, T, h, w).

    changes: sum over channels of whole steps by which a token must change to be kept again; view: what the group shows,
    None for all. A value is held for as long as its position stays in view.
    """
    channels, frames = latents.shape[:2]
    rows = np.ascontiguousarray(latents.reshape(channels, frames, -1).transpose(1, 2, 0))  # (T, P, C)
    step = (quantiser.step * quantiser.step_scale).astype(np.float32)
    scaled = rows / step
    stays = np.float32(0.5 + quantiser.hysteresis)
    target = rows.copy()
    run = np.zeros(rows.shape[:2], np.int16)
    visible = np.ones(rows.shape[:2], bool) if view is None else view.visible.reshape(frames, -1)
    for t in range(frames - 1):
        alive = np.flatnonzero(visible[t])
        total = rows[t].copy()
        for later in range(t + 1, frames):
            distance = np.abs(scaled[later, alive] - scaled[t, alive])
            steps = np.where(distance <= stays, np.float32(0), np.rint(distance)).sum(1)
            alive = alive[(steps <= changes) & visible[later, alive]]
            if not len(alive):
                break
            total[alive] += rows[later, alive]
            run[t, alive] += 1
        target[t] = total / (run[t] + np.float32(1))[:, None]
    del rows, scaled  # each as large as the group
    whole = run == np.arange(frames - 1, -1, -1, dtype=np.int16)[:, None]
    grid = latents.shape[2:]
    return Lookahead(
        np.ascontiguousarray(target.transpose(2, 0, 1)).reshape(latents.shape),
        run.reshape(frames, *grid),
        whole.reshape(frames, *grid),
    )
