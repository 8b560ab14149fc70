"""A narrower module's weights in a wider one, where an axis follows the number of latent channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from latcomp.errors import UsageError


@dataclass(frozen=True)
class Stack:
    """How an axis that follows the number of channels is made up: `runs` times the channels, then `tail` other
    entries.
    """

    runs: int = 1
    tail: int = 0


@torch.no_grad()
def widen(target: nn.Module, state: Mapping[str, Tensor], stacks: Mapping[str, Stack]) -> None:
    """Copy a narrower module's weights into `target`, each where its channel is; new rows and columns of matrices
    become zero.
    """
    own = target.state_dict()
    for name, old in state.items():
        new = own[name]
        if new.shape == old.shape:
            new.copy_(old)
            continue
        axis = next(i for i, (a, b) in enumerate(zip(new.shape, old.shape, strict=True)) if a != b)
        stack = stacks.get(name, Stack())
        if new.dim() > 1:
            new.zero_()
        before, width = ((t.shape[axis] - stack.tail) // stack.runs for t in (old, new))
        for run in range(stack.runs):
            new.narrow(axis, run * width, before).copy_(old.narrow(axis, run * before, before))
        if stack.tail:
            new.narrow(axis, new.shape[axis] - stack.tail, stack.tail).copy_(
                old.narrow(axis, old.shape[axis] - stack.tail, stack.tail)
            )


def widen_all(
    modules: Mapping[str, nn.Module], found: Mapping[str, Mapping[str, Tensor]], stacks: Mapping[str, Stack]
) -> None:
    """Fill the modules whose weights were found, of equal shape or narrower ones; others stay as they are.

    Raises `UsageError` for weights that do not fit.
    """
    for name, weights in found.items():
        try:
            widen(modules[name], weights, stacks)
        except (KeyError, RuntimeError, ValueError):
            raise UsageError(f"the checkpoint's {name} is of another shape: choose its preset") from None
