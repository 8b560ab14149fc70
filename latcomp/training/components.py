"""The principal components of 8x8x4 patches: where the tokenizer's linear path starts."""

from __future__ import annotations

import numpy as np
import torch
from einops import rearrange
from torch import Tensor

from latcomp.tokenizer.cv8x8x4.config import SPATIAL, TEMPORAL
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.training.clips import Clip
from latcomp.training.crops import BT601, random_crop, to_rgb

CHROMA_WEIGHT = 0.25  # weight of each chroma plane's squared error against luma's
UNIT_STEP = 56.0  # quantiser step at step scale 1, in 8-bit grey levels of an orthonormal transform


def colour_transform() -> Tensor:
    """(3, 3) from RGB to the colour space where the training's distortion is plain squared error."""
    weights = torch.tensor([1.0, CHROMA_WEIGHT**0.5, CHROMA_WEIGHT**0.5])
    return torch.tensor(BT601) * weights[:, None]


def luma_chroma(error: Tensor) -> list[Tensor]:
    """The planes (B, T, H, W) of an RGB error (B, 3, T, H, W) in the space of `colour_transform`.

    The weights are plain numbers: a tensor of them would have to be sent to a GPU, which waits for it.
    """
    rows = colour_transform().tolist()
    return [
        sum((weight * error[:, c] for c, weight in enumerate(row[1:], 1)), start=row[0] * error[:, 0]) for row in rows
    ]


def start_from_components(tokenizer: Tokenizer, clips: list[Clip], seed: int, crops: int) -> Tensor:
    """Set the linear paths of encoder and decoder to the leading components; returns each channel's standard deviation
    (C,).
    """
    patches = []
    for item in range(crops):
        rgb = to_rgb(random_crop(clips, seed, 1_000_000, item, 8, 64)[None])
        found = rearrange(rgb, "1 c (t pt) (h ph) (w pw) -> (t h w) c (pt ph pw)", pt=TEMPORAL, ph=SPATIAL, pw=SPATIAL)
        patches.append(found)
    transform = colour_transform()
    x = torch.cat(patches) * 127.5  # (N, 3, values of a patch and plane) in grey levels
    coded = torch.einsum("dc,ncp->ndp", transform, x).flatten(1).double()  # (N, 768)
    values, vectors = np.linalg.eigh(((coded.T @ coded) / coded.shape[0]).numpy())
    channels = tokenizer.config.channels
    basis = torch.from_numpy(vectors[:, ::-1][:, :channels].copy()).T.float()  # (C, 768), strongest first
    per_pixel = basis.unflatten(1, (3, -1))  # (C, 3, values of a patch and plane)
    analysis = torch.einsum("kdp,dc->kcp", per_pixel, transform).flatten(1) * (127.5 / UNIT_STEP)
    synthesis = torch.einsum("kdp,cd->kcp", per_pixel, torch.linalg.inv(transform)).flatten(1) * (UNIT_STEP / 127.5)
    with torch.no_grad():
        tokenizer.encoder.linear.weight.copy_(analysis[:, :, None, None])
        tokenizer.decoder.linear.weight.copy_(synthesis.T[:, :, None, None])
        for layer in (tokenizer.encoder.linear, tokenizer.decoder.linear):
            if layer.bias is not None:
                layer.bias.zero_()
        size = torch.from_numpy(np.sqrt(values[::-1][:channels].copy())).float() / UNIT_STEP
        tokenizer.decoder.input_scale.copy_(size)
    return size
