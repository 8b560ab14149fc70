"""Latents of a file that needs no model for them, on the device that was asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from latcomp.codec.decode_latents import HeldLatents
from latcomp.container import Group, Header
from latcomp.devices import memory_errors, pick_device


class HeldTensors:
    """Fills groups by hold, as a `Decoder` does with the tokenizer at hand."""

    def __init__(self, header: Header, device: str) -> None:
        self.device = pick_device(device)
        self._held = HeldLatents(header)

    def latents(self, group: Group) -> Tensor:
        """Filled latents (1, C, T, h, w) of the next group, on the device."""
        with memory_errors(self.device):
            return torch.from_numpy(self._held.next(group).held).to(self.device).unsqueeze(0)
