"""The optimiser: Muon for the matrices of the network, Adam for everything else.

Muon orthogonalises the momentum of each matrix by a Newton-Schulz iteration (Jordan et al., https://kellerjordan.github.io/posts/muon/),
scaled so that its updates have the root mean square of Adam's (Liu et al., arXiv 2502.16982): one learning rate serves both.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)  # coefficients of the quintic, from the post above


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """The nearest matrix with singular values near 1, (n, m) from (n, m), in bf16 arithmetic."""
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16()
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Momentum, orthogonalised, for weights of two or more dimensions (convolutions as (out, in * k * k))."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(list(parameters), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update of every parameter that has a gradient."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                buffer = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
                buffer.lerp_(parameter.grad, 1 - group["momentum"])
                nesterov = parameter.grad.lerp(buffer, group["momentum"])
                matrix = nesterov.flatten(1)
                update = orthogonalise(matrix).view_as(parameter)
                parameter.mul_(1 - group["lr"] * group["weight_decay"])
                parameter.add_(update, alpha=-group["lr"] * 0.2 * max(matrix.shape) ** 0.5)


def split_parameters(modules: Iterable[nn.Module], apart: set[int]) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """(matrices for Muon, the rest for Adam). Depthwise kernels, vectors and parameters whose id is in `apart` are the rest."""
    matrices: list[nn.Parameter] = []
    rest: list[nn.Parameter] = []
    for module in modules:
        for parameter in module.parameters():
            flat = parameter.flatten(1) if parameter.dim() >= 2 else None
            is_matrix = flat is not None and min(flat.shape) >= 32 and id(parameter) not in apart
            (matrices if is_matrix else rest).append(parameter)
    return matrices, rest
