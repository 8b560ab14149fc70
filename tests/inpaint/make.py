"""A small LIT of random weights, for tests of what it may look at."""

from __future__ import annotations

import torch

from latcomp.inpaint.config import LitConfig
from latcomp.inpaint.model import Lit

C = 4


def lit() -> Lit:
    """The same at every call; it alters whatever it fills."""
    torch.manual_seed(0)
    made = Lit(LitConfig(channels=C, width=16, layers=2, heads=2))
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return made.eval().requires_grad_(False)
