"""The optimiser: Muon for the matrices of the network, Adam for everything else.

Muon orthogonalises the momentum of each matrix by a Newton-Schulz iteration (Jordan et al.,
https://kellerjordan.github.io/posts/muon/), scaled so that its updates have the root mean square of Adam's (Liu et al.,
arXiv 2502.16982): one learning rate serves both."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from latcomp.devices import decodes_in_bf16

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic, from the post above


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrices with singular values near 1, (..., n, m) from (..., n, m), in bf16 arithmetic where the
    machine has it: one that has not takes ten times as long for it as for fp32."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16() if decodes_in_bf16(matrix.device) else matrix.float()
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.mT
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    found: Tensor = (x.mT if tall else x).to(matrix.dtype)
    return found


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, for weights of two or more dimensions (convolutions as (out, in * k * k))."""

    def __init__(
        self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0
    ) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    by_shape.setdefault(parameter.flatten(1).shape, []).append(parameter)
            for shape, parameters in by_shape.items():
                self._step_of(shape, parameters, group)

    def _step_of(self, shape: torch.Size, parameters: list[nn.Parameter], group: dict[str, Any]) -> None:
        """One update of parameters whose matrices are of one shape: on a GPU many small products take as long as one of
        all of them.
        """
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        weights: list[Tensor] = list(parameters)
        buffers = [self.state[p].setdefault("momentum_buffer", torch.zeros_like(p)) for p in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        nesterov = torch._foreach_lerp(gradients, buffers, group["momentum"])
        updates = orthogonalise(torch.stack([value.flatten(1) for value in nesterov]))
        if group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - group["lr"] * group["weight_decay"])
        rate = group["lr"] * 0.2 * max(shape) ** 0.5
        torch._foreach_add_(weights, [u.view_as(p) for u, p in zip(updates, parameters, strict=True)], alpha=-rate)


def split_parameters(modules: Iterable[nn.Module], apart: set[int]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices for Muon, the rest for Adam). Depthwise kernels, vectors and parameters whose id is in `apart` are the
    rest.
    """
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in modules:
        for parameter in module.parameters():
            flat = parameter.flatten(1) if parameter.dim() >= 2 else None
            is_matrix = flat is not None and min(flat.shape) >= 32 and id(parameter) not in apart
            (matrices if is_matrix else rest).append(parameter)
    return matrices, rest
