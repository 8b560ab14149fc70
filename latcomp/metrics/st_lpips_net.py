"""The network of ST-LPIPS (shift-tolerant LPIPS) with the layers of AlexNet.

A. Ghildyal, F. Liu, "Shift-tolerant Perceptual Similarity Metric", ECCV 2022, arXiv 2207.13686. It is LPIPS (R. Zhang
et al., CVPR 2018, arXiv 1801.03924) on an AlexNet whose strides were replaced: the first convolution has none, and each
subsampling by two goes through a binomial blur (R. Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML
2019) whose padding reaches past the border by the whole filter. Its figures are not those of LPIPS.

About 31 GMAC for a picture of 854x480. Comparing two takes 1 kB of memory for each pixel of one."""

from __future__ import annotations

import torch
from torch.nn import functional as F

_BLUR = (1.0, 2.0, 1.0)
_TINY = 1e-10  # keeps a position without any feature from being divided by 0
_CONVOLUTIONS = (
    # name of its weights, padding, whether a maximum over 3x3 and a blur come before it
    ("net.slice2.5", 2, True),
    ("net.slice3.9", 1, True),
    ("net.slice4.11", 1, False),
    ("net.slice5.13", 1, False),
)


class StLpipsNet:
    """Distance of two pictures by the features of five layers.

    weights: tensors by the names of the published file. device: where to compute."""

    def __init__(self, weights: dict[str, torch.Tensor], device: torch.device) -> None:
        self._weights = {name: tensor.float().to(device) for name, tensor in weights.items()}
        self._device = device

    @torch.inference_mode()
    def distance(self, reference: torch.Tensor, test: torch.Tensor) -> float:
        """0 for equal pictures, about 0.1 for strong compression. Both: (H, W, 3) uint8 RGB of one size."""
        total = 0.0
        first, second = self.features(reference), self.features(test)
        for layer, (a, b) in enumerate(zip(first, second, strict=True)):
            difference = (_unit(a) - _unit(b)).square()  # (1, C, h, w)
            total += float(F.conv2d(difference, self._weights[f"lin{layer}.model.1.weight"]).mean())
        return total

    @torch.inference_mode()
    def features(self, picture: torch.Tensor) -> list[torch.Tensor]:
        """(1, C, h, w) fp32 after each of the five convolutions of a picture (H, W, 3) uint8 RGB."""
        values = picture.to(self._device).permute(2, 0, 1).unsqueeze(0).float() / 127.5 - 1  # (1, 3, H, W), -1 to 1
        values = (values - self._weights["scaling_layer.shift"]) / self._weights["scaling_layer.scale"]
        values = values.contiguous(memory_format=torch.channels_last)  # a third faster on CPUs
        # the blur comes before the rectifier here, behind it everywhere else
        found = [F.relu(_halved(self._convolved(values, "net.slice1.0", 2)))]
        for name, padding, smaller in _CONVOLUTIONS:
            before = _halved(F.max_pool2d(found[-1], 3, 1)) if smaller else found[-1]
            found.append(F.relu(self._convolved(before, name, padding)))
        return found

    def _convolved(self, values: torch.Tensor, name: str, padding: int) -> torch.Tensor:
        return F.conv2d(values, self._weights[f"{name}.weight"], self._weights[f"{name}.bias"], padding=padding)


def _halved(values: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) blurred, and every other row and column of it."""
    channels = values.shape[1]
    line = torch.tensor(_BLUR, device=values.device)
    blur = torch.outer(line, line) / line.sum() ** 2
    padded = F.pad(values, (2, 2, 2, 2), mode="reflect")
    return F.conv2d(padded, blur.expand(channels, 1, 3, 3), stride=2, groups=channels)


def _unit(features: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) with vectors of length 1 at every position."""
    return features / (features.square().sum(1, keepdim=True).sqrt() + _TINY)
