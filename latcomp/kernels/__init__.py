"""Exact integer arithmetic for networks of whole numbers: a reference in numpy, and faster ways that give the same
integers.

Activations are whole numbers from 0 to 127, weights from -127 to 127. Every way but numpy's own is checked where it
runs before it is used, and which one is used is nowhere written down: a file does not depend on it."""

from latcomp.kernels.choice import conforms, fastest
from latcomp.kernels.floats import FLOATS, Floats
from latcomp.kernels.gather import gather, neighbours
from latcomp.kernels.layer import ACTIVATION_MAX, WEIGHT_SHIFT, Kernels, Layer, activations_of
from latcomp.kernels.reference import REFERENCE, Reference
from latcomp.kernels.signs import SignedTable, both_signs

__all__ = [
    "ACTIVATION_MAX",
    "FLOATS",
    "REFERENCE",
    "WEIGHT_SHIFT",
    "Floats",
    "Kernels",
    "Layer",
    "Reference",
    "SignedTable",
    "activations_of",
    "both_signs",
    "conforms",
    "fastest",
    "gather",
    "neighbours",
]
