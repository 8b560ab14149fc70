"""Products of bytes by PyTorch's int8 matrix product, on the device that is given: on GPUs their integer units."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from latcomp.kernels.layer import ACTIVATION_MAX, WEIGHT_SHIFT, Layer, largest_sum

MULTIPLE = 8  # what CUDA's product takes: columns by this number, rows by more than LEAST_ROWS
LEAST_ROWS = 16


def padded(array: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """(rows, columns): the array (n, k) with zeros behind its rows and columns; itself where it has that size."""
    if array.shape == (rows, columns):
        return array
    found = np.zeros((rows, columns), array.dtype)
    found[: array.shape[0], : array.shape[1]] = array
    return found


def up(size: int) -> int:
    """The next multiple of `MULTIPLE`."""
    return -(-size // MULTIPLE) * MULTIPLE


@dataclass(frozen=True)
class IntMmLayer:
    """See `Layer`."""

    outputs: int
    weight: Any
    """int8 tensor (K, N) on the device, padded."""
    bias: Any
    """int32 tensor (N,) on the device, padded."""

    def sums(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.sums`."""
        return self._back(self._sums(x), x)

    def activations(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.activations`."""
        import torch

        sums = self._sums(x)
        sums += 1 << (WEIGHT_SHIFT - 1)
        sums >>= WEIGHT_SHIFT
        return self._back(sums.clamp_(0, ACTIVATION_MAX).to(torch.uint8), x)

    def _sums(self, x: np.ndarray) -> Any:
        """int32 tensor (rows, N) on the device, padded."""
        import torch

        rows = padded(x, max(up(len(x)), LEAST_ROWS + MULTIPLE), len(self.weight)).view(np.int8)
        product = torch._int_mm(torch.from_numpy(np.ascontiguousarray(rows)).to(self.weight.device), self.weight)
        product += self.bias
        return product

    def _back(self, found: Any, x: np.ndarray) -> np.ndarray:
        values: np.ndarray = found[: len(x), : self.outputs].cpu().numpy()
        return values


@dataclass(frozen=True)
class IntMm:
    """See `Kernels`."""

    device: str
    """As PyTorch names it."""

    @property
    def name(self) -> str:
        """See `Kernels.name`."""
        return f"int8 product on {self.device}"

    def layer(self, weight: np.ndarray, bias: np.ndarray) -> Layer:
        """See `Kernels.layer`."""
        import torch

        largest_sum(weight, bias)
        inputs, outputs = weight.shape
        whole = torch.from_numpy(padded(weight, up(inputs), up(outputs))).to(self.device)
        # column by column: how the integer units of GPUs read a second factor
        whole = whole.t().contiguous().t()
        return IntMmLayer(outputs, whole, torch.from_numpy(padded(bias[None], 1, up(outputs))[0]).to(self.device))
