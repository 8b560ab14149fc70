"""Products of bytes by oneDNN, through PyTorch: half of float32's time and less, and sums become activations in the
same pass.

The operator is the one that PyTorch's compiler makes of quantised linear layers on x86 processors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latcomp.kernels.floats import FLOATS
from latcomp.kernels.layer import WEIGHT_SHIFT, Layer, largest_sum

LARGEST = 2**23 - 1  # sums that float32 holds with a half more, which is what oneDNN scales and rounds


@dataclass(frozen=True)
class OneDnnLayer:
    """See `Layer`."""

    outputs: int
    packed: Any
    """Tensor: the weights as oneDNN lays them out."""
    bias: Any
    """float32 tensor (N,)."""
    raised_bias: Any
    """float32 tensor (N,): a half more. oneDNN rounds to the nearest whole number, and halves to the even one; what
    is a half more than a whole number is never half way between two activations, and is rounded as (sum + 128) >> 8."""
    ones: Any
    zeros: Any

    def sums(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.sums`."""
        import torch

        return self._product(x, self.bias, 1.0, torch.float32, "none", np.float32)

    def activations(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.activations`."""
        import torch

        # int8 ends at 127, as activations do
        return self._product(x, self.raised_bias, float(1 << WEIGHT_SHIFT), torch.int8, "relu", np.int8).view(np.uint8)

    def _product(
        self, x: np.ndarray, bias: Any, unit: float, dtype: Any, then: str, found: np.typing.DTypeLike
    ) -> np.ndarray:
        import torch

        if not len(x):
            return np.empty((0, self.outputs), found)
        rows = torch.from_numpy(np.ascontiguousarray(x))
        product = torch.ops.onednn.qlinear_pointwise(
            rows, 1.0, 0, self.packed, self.ones, self.zeros, bias, unit, 0, dtype, then, [], ""
        )
        values: np.ndarray = product.numpy()
        return values


@dataclass(frozen=True)
class OneDnn:
    """See `Kernels`."""

    name: str = "oneDNN bytes"

    def layer(self, weight: np.ndarray, bias: np.ndarray) -> Layer:
        """See `Kernels.layer`."""
        import torch

        if largest_sum(weight, bias) > LARGEST:
            return FLOATS.layer(weight, bias)
        outputs = weight.shape[1]
        packed = torch.ops.onednn.qlinear_prepack(torch.from_numpy(np.ascontiguousarray(weight.T)), None)
        plain = torch.from_numpy(bias.astype(np.float32))
        zeros = torch.zeros(outputs, dtype=torch.int32)
        return OneDnnLayer(outputs, packed, plain, plain + 0.5, torch.ones(outputs), zeros)
