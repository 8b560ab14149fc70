"""Protects: a way of multiplying is used only where it gives the right integers and is the fastest, and torch is not
imported for it unasked."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field

import numpy as np
import pytest

from latcomp.kernels import FLOATS, REFERENCE, Kernels, Layer, choice, conforms, fastest


@dataclass(frozen=True)
class Wrong:
    """Kernels with a fault of a kind that libraries have, or had."""

    fault: str

    @property
    def name(self) -> str:
        return self.fault

    def layer(self, weight: np.ndarray, bias: np.ndarray) -> Layer:
        if self.fault == "missing":
            raise AttributeError("no such operator")
        return WrongLayer(self.fault, weight, REFERENCE.layer(weight, bias))


@dataclass(frozen=True)
class WrongLayer:
    fault: str
    weight: np.ndarray
    right: Layer = field(repr=False)

    def sums(self, x: np.ndarray) -> np.ndarray:
        if self.fault == "cannot":
            raise RuntimeError("not implemented for this type")
        found = self.right.sums(x)
        if self.fault == "16 bits":
            return np.clip(found, -(2**15), 2**15 - 1)
        if self.fault == "bfloat16":
            return (found.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)
        return found

    def activations(self, x: np.ndarray) -> np.ndarray:
        if self.fault == "to even":
            return np.clip(np.rint(self.right.sums(x) / 256), 0, 127).astype(np.uint8)
        return self.right.activations(x)


FAULTS = ["missing", "cannot", "16 bits", "bfloat16", "to even"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_way_that_is_not_exact_is_not_used(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not conforms(Wrong(fault))
    monkeypatch.setattr(choice, "OneDnn", lambda: Wrong(fault))
    monkeypatch.setattr(choice, "IntMm", lambda _: Wrong(fault))
    for device in ("cpu", "cuda:0"):
        assert fastest.__wrapped__(device) is FLOATS


def test_the_fastest_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exact way may be a slow one: a product of bytes where the processor has no instruction for it."""
    monkeypatch.setattr(choice, "OneDnn", lambda: REFERENCE)
    for seconds in ({FLOATS: 1.0, REFERENCE: 2.0}, {FLOATS: 2.0, REFERENCE: 1.0}):
        monkeypatch.setattr(choice, "seconds_of", lambda able, seconds=seconds: [seconds[one] for one in able])
        best: Kernels = min(seconds, key=seconds.__getitem__)
        assert fastest.__wrapped__("cpu") == best


def test_it_is_chosen_once() -> None:
    assert fastest("cpu") is fastest("cpu")
    assert conforms(fastest("cpu"))


def test_only_the_choice_imports_torch() -> None:
    code = (
        "import sys, numpy, latcomp.kernels as k; k.FLOATS.layer(numpy.ones((2, 2), 'i1'), numpy.zeros(2, 'i4'))"
        ".sums(numpy.ones((1, 2), 'u1')); assert 'torch' not in sys.modules; k.fastest(); assert 'torch' in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
