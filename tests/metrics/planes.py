"""Planes of luma through a meter, as a comparison gives them."""

from __future__ import annotations

import numpy as np

from latcomp.metrics.meter import FramePair, Measured, Meter


def measured(meter: Meter, reference: list[np.ndarray], test: list[np.ndarray]) -> Measured:
    """What a meter makes of these frames; it is closed."""
    try:
        for a, b in zip(reference, test, strict=True):
            meter.add(FramePair(a, b, a, b))
        return meter.finish()
    finally:
        meter.close()
