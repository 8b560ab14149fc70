"""The part of the prior that codes keep masks, as a network to train: the sums of
`latcomp.container.coding.prior.masks`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latcomp.container.coding.prior.masks import BIT_ACTIVATION
from latcomp.container.coding.prior.modes import PHASE_ORDER
from latcomp.container.coding.prior.neighbourhood import MASK_SIDE, PHASES
from latcomp.container.coding.prior.network import MASK_FACTS
from latcomp.tokenizer.cv8x8x4.trunk import start_at_zero
from latcomp.training.prior_net import (
    UNIT,
    Frames,
    PriorConfig,
    WholeConv,
    layer_of,
    matrix,
    named,
    squash,
    vector,
    whole_relu,
)

ODDS_GAIN = 4  # nats of log odds to a sum of one: rounded weights then reach far enough


class MaskNet(nn.Module):
    """Log odds that each position of a latent frame is kept, in four phases."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        c, e, m, h = config.channels, config.embed, config.mask_width, config.mask_hidden
        self.near = WholeConv(e, m, 3, padding=1, bias=False)
        self.own = WholeConv(c, m, 1, bias=False)
        self.facts = WholeConv(MASK_FACTS, m, 1)
        self.beside = nn.ModuleList(
            WholeConv(2, h, MASK_SIDE, padding=MASK_SIDE // 2, bias=False) for _ in range(PHASES)
        )
        self.down = nn.ModuleList(WholeConv(m, h, 1) for _ in range(PHASES))
        self.leave = nn.ModuleList(WholeConv(h, 1, 1) for _ in range(PHASES))
        for layer in self.leave:
            start_at_zero(layer)

    def forward(self, frames: Frames, past: Tensor) -> Tensor:
        """(N, h, w) float32 log odds in nats. past: (N, E, h, w) activations of the prior's past."""
        height, width = frames.mask.shape[1:]
        trunk = whole_relu(self.near(past) + self.own(squash(frames.kept)) + self.facts(frames.mask_facts * UNIT))
        kept, visible = frames.mask.float(), frames.visible.float()
        planes = torch.stack([kept, 1 - kept], dim=1) * (BIT_ACTIVATION * UNIT)  # (N, 2, h, w)
        y, x = torch.meshgrid(
            torch.arange(height, device=kept.device), torch.arange(width, device=kept.device), indexing="ij"
        )
        down, right = frames.corner[:, 0, None, None], frames.corner[:, 1, None, None]
        phase = 2 * ((y + down) % 2) + (x + right) % 2  # (N, h, w)
        known = (frames.visible & ~frames.open).float()  # new positions are kept, as everybody knows
        found = torch.zeros_like(kept)
        for order, number in enumerate(PHASE_ORDER):
            now = (phase == number).float()
            hidden = whole_relu(self.beside[order](planes * known.unsqueeze(1)) + self.down[order](trunk))
            found = found + self.leave[order](hidden).float()[:, 0] * now
            known = torch.maximum(known, now * visible)
        return found * ODDS_GAIN

    def bits(self, frames: Frames, past: Tensor) -> Tensor:
        """(N, h, w) bits of the keep mask, 0 where none is stored."""
        bits = F.binary_cross_entropy_with_logits(self.forward(frames, past), frames.mask.float(), reduction="none")
        return bits / math.log(2) * frames.open

    def arrays(self) -> dict[str, np.ndarray]:
        """The network as the coder reads it, see `latcomp.container.coding.prior.network`."""
        return {
            "mask_near": matrix(self.near),
            "mask_own": matrix(self.own),
            "mask_facts": matrix(self.facts),
            "mask_trunk_bias": vector(self.facts),
            "mask_beside": np.stack([matrix(layer) for layer in self.beside]),
            "mask_down": np.stack([matrix(layer) for layer in self.down]),
            "mask_down_bias": np.stack([vector(layer) for layer in self.down]),
            "mask_leave": np.stack([matrix(layer)[:, 0] for layer in self.leave]),
            "mask_leave_bias": np.concatenate([vector(layer) for layer in self.leave]),
        }


def mask_state(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of the `MaskNet` whose `arrays` these are. Raises `KeyError` where one is missing."""
    layers = {
        "near": layer_of(arrays["mask_near"], None, 3),
        "own": layer_of(arrays["mask_own"], None),
        "facts": layer_of(arrays["mask_facts"], arrays["mask_trunk_bias"]),
    }
    for order in range(PHASES):
        leave, bias = arrays["mask_leave"][order], arrays["mask_leave_bias"][order]
        layers |= {
            f"beside.{order}": layer_of(arrays["mask_beside"][order], None, MASK_SIDE),
            f"down.{order}": layer_of(arrays["mask_down"][order], arrays["mask_down_bias"][order]),
            f"leave.{order}": layer_of(leave[:, None], bias[None]),
        }
    return named(layers)
