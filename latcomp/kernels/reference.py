"""The reference: numpy's own whole numbers. It says what every other way has to give."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from latcomp.kernels.layer import Layer, activations_of, largest_sum


@dataclass(frozen=True)
class ReferenceLayer:
    """See `Layer`."""

    weight: np.ndarray
    bias: np.ndarray

    def sums(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.sums`."""
        found: np.ndarray = x.astype(np.int32) @ self.weight.astype(np.int32) + self.bias
        return found

    def activations(self, x: np.ndarray) -> np.ndarray:
        """See `Layer.activations`."""
        return activations_of(self.sums(x))


@dataclass(frozen=True)
class Reference:
    """See `Kernels`."""

    name: str = "whole numbers"

    def layer(self, weight: np.ndarray, bias: np.ndarray) -> Layer:
        """See `Kernels.layer`."""
        largest_sum(weight, bias)
        return ReferenceLayer(weight, bias)


REFERENCE = Reference()
