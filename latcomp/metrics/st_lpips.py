"""ST-LPIPS of a few frames of a video, spread evenly: it is slow, and says much the same of neighbours."""

from __future__ import annotations

import numpy as np

from latcomp.checks import check_whole
from latcomp.errors import UsageError
from latcomp.metrics.meter import FramePair, Measured, check_size
from latcomp.metrics.sample import EvenSample
from latcomp.metrics.st_lpips_weights import load_weights

LABEL = "st-lpips(alex)"
"""How it is named beside its figures, which are not those of LPIPS."""


class StLpips:
    """Measures ST-LPIPS on `frames` frames, 0 for all of them, on a device as `pick_device` names it.

    Up to twice as many frames of both videos are held in memory, none with 0. Raises `UsageError` where the weights
    are not there."""

    def __init__(self, frames: int, device: str = "auto") -> None:
        check_whole("st_lpips_frames", frames, 0, "choose a number of frames, 0 for all of them")
        from latcomp.devices import pick_device
        from latcomp.metrics.st_lpips_net import StLpipsNet

        self._net = StLpipsNet(load_weights(), pick_device(device))
        self._sample: EvenSample[tuple[np.ndarray, np.ndarray] | None] | None = EvenSample(frames) if frames else None
        self._found: list[float | None] = []

    def add(self, pair: FramePair) -> None:
        """Take the next frame. Raises `UsageError` when it is too small."""
        if not self._found:
            check_size("st-lpips", pair.reference)
        if self._sample is None:
            self._found.append(self._distance(pair.reference, pair.test))
            return
        # copies: a frame may be a view of a whole group
        held = (pair.reference.copy(), pair.test.copy()) if self._sample.takes_next else None
        self._sample.add(held)
        self._found.append(None)

    def finish(self) -> Measured:
        """The mean over the frames that were measured, and each of them."""
        for number, held in [] if self._sample is None else self._sample.chosen():
            if held is not None:
                self._found[number] = self._distance(*held)
        there = [value for value in self._found if value is not None]
        if not there:
            raise UsageError("there is no frame to compare")
        return Measured(float(np.mean(there)), self._found)

    def close(self) -> None:
        """Nothing is to be closed."""

    def _distance(self, reference: np.ndarray, test: np.ndarray) -> float:
        import torch

        from latcomp.devices import exact_fp32

        with exact_fp32():
            first, second = (torch.from_numpy(np.ascontiguousarray(one)) for one in (reference, test))
            return self._net.distance(first, second)
