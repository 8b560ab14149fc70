"""What the network's last sums say of values: where each probably lies on its token's grid, and how surely."""

from __future__ import annotations

import numpy as np

from latcomp.container.coding.prior.network import (
    FRACTION_BITS,
    GATE_MAX,
    MEAN_BITS,
    SCALE_LOW,
    SCALE_OCTAVE,
    SCALES,
    SHARE_MIN,
)
from latcomp.latents import SYMBOL_MAX, SYMBOL_MIN


def parameters_of(sums: np.ndarray, kept: np.ndarray, neighbours: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(mean in 1/16 units, scale class), each (m,) int32, from the last layer's sums int32 (4, m), which are used up.

    kept: (m,) last kept values, neighbours: (m,) mean difference of known neighbours to theirs in 1/8 units. mean =
    gate x kept + share x neighbours + shift, cut to what a symbol may be, so that no distance passes the escapes."""
    mean, gate, share, scale = sums
    for part, bits in ((mean, 7), (gate, 3), (share, 3), (scale, 11)):  # to 1/64 steps, 1/1024, 1/1024 and classes
        part += 1 << (bits - 1)
        part >>= bits
    np.clip(gate, 0, GATE_MAX, out=gate)
    np.clip(share, SHARE_MIN, GATE_MAX, out=share)
    gate *= kept
    gate >>= 6
    mean += gate
    share *= neighbours
    share >>= 9
    mean += share
    np.clip(mean, SYMBOL_MIN << MEAN_BITS, SYMBOL_MAX << MEAN_BITS, out=mean)
    scale -= SCALE_LOW
    return mean, np.clip(scale, 0, SCALES - 1, out=scale)


def on_grid(
    mean: np.ndarray, scale: np.ndarray, anchor: np.ndarray, halvings: np.ndarray, units_log2: int
) -> tuple[np.ndarray, ...]:
    """(nearest whole multiple, signed fraction in eighths, scale class), each (m,), on each token's own grid.

    anchor: (m,) where the grid stands, in units; halvings: int32 (m,) halvings of its step of 2**units_log2 units.
    """
    shift = (MEAN_BITS + units_log2) - halvings
    half = np.int32(1) << (shift - 1)
    rest = mean - (anchor << MEAN_BITS)
    nearest = (rest + half) >> shift
    rest -= nearest << shift
    rest <<= FRACTION_BITS
    rest += half
    rest >>= shift
    return nearest, rest, np.minimum(scale + SCALE_OCTAVE * halvings, SCALES - 1)
