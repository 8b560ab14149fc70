"""More channels for a trained tokenizer: the new ones start with what its reconstruction still lacks.

Everything else of a wider tokenizer keeps the trained weights; new rows and columns of the networks start at zero.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn

from latcomp.tokenizer.cv8x8x4.config import PATCH_VALUES, SPATIAL, TEMPORAL
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.training.clips import Clip
from latcomp.training.components import UNIT_STEP, colour_transform
from latcomp.training.crops import random_crop, to_rgb
from latcomp.training.widen import Stack, widen

FINE = 2.25  # log2 of the inverse step scale at which the rest is measured
RIDGE = 0.5  # grey levels squared, added to every variance: keeps the regression from fitting noise


STACKS = {
    "net.0.weight": Stack(tail=1),
    "net.4.weight": Stack(runs=2),
    "net.4.bias": Stack(runs=2),
    "beside.weight": Stack(runs=2, tail=2),
    "beside_leave.weight": Stack(runs=2),
    "beside_leave.bias": Stack(runs=2),
}
"""The axes of the prior that are not just the channels."""


@torch.no_grad()
def rest_components(
    tokenizer: Tokenizer, clips: list[Clip], channels: int, seed: int, crops: int
) -> tuple[Tensor, Tensor, Tensor]:
    """(analysis (K, 768), synthesis (768, K), standard deviation (K,)) of K channels for what `tokenizer` does not
    reconstruct.

    Reduced-rank regression of the residual on the pixels: the best prediction B x of it, cut to its K leading
    directions."""
    device = next(tokenizer.parameters()).device
    transform = colour_transform().to(device)

    def patches(pixels: Tensor) -> Tensor:
        later = pixels[:, :, TEMPORAL:] * 127.5  # the first latent frame has no memory yet
        found = rearrange(
            later, "b c (t pt) (h ph) (w pw) -> (b t h w) c (pt ph pw)", pt=TEMPORAL, ph=SPATIAL, pw=SPATIAL
        )
        return torch.einsum("dc,ncp->ndp", transform, found).flatten(1).double()

    pixel_moments = torch.zeros(PATCH_VALUES, PATCH_VALUES, dtype=torch.float64, device=device)
    cross_moments = torch.zeros_like(pixel_moments)
    count = 0
    for item in range(0, crops, 4):
        pixels = to_rgb(np.stack([random_crop(clips, seed, 3_000_000, item + i, 20, 128) for i in range(4)])).to(device)
        latents = tokenizer.encode(pixels)[0]
        found = tokenizer.decoder(latents, torch.full((4,), FINE, device=device))[0]
        x = patches(pixels)
        pixel_moments += x.T @ x
        cross_moments += (x - patches(found.float())).T @ x
        count += len(x)
    pixel_moments, cross_moments = pixel_moments / count, cross_moments / count
    ridge = RIDGE * torch.eye(PATCH_VALUES, dtype=torch.float64, device=device)
    predictor = torch.linalg.solve(pixel_moments + ridge, cross_moments.T).T
    values, vectors = torch.linalg.eigh(predictor @ pixel_moments @ predictor.T)
    basis = vectors.flip(1)[:, :channels]  # (768, K), strongest first
    deviation = values.flip(0)[:channels].clamp_min(1e-6).sqrt() / UNIT_STEP
    forward = (basis.T @ predictor).float().unflatten(1, (3, -1))
    analysis = torch.einsum("kdp,dc->kcp", forward, transform).flatten(1) * (127.5 / UNIT_STEP)
    back = torch.linalg.inv(transform.cpu()).to(device)
    synthesis = torch.einsum("kdp,cd->kcp", basis.T.float().unflatten(1, (3, -1)), back).flatten(1).T * (
        UNIT_STEP / 127.5
    )
    return analysis, synthesis, deviation.float()


@torch.no_grad()
def grow(
    tokenizer: Tokenizer,
    prior: nn.Module,
    states: dict[str, dict[str, Tensor]],
    clips: list[Clip],
    seed: int,
    crops: int = 160,
) -> None:
    """Fill `tokenizer` and `prior` from the weights of narrower ones; without a prior among them, that one is left as
    it is. New channels are found from so many crops of the clips, four at a time.
    """
    before = states["tokenizer"]["encoder.linear.weight"].shape[0]
    wide = tokenizer.config.channels
    narrow = Tokenizer(replace(tokenizer.config, channels=before)).to(next(tokenizer.parameters()).device)
    narrow.load_state_dict(states["tokenizer"])
    widen(tokenizer, states["tokenizer"], {})
    if wide > before:
        analysis, synthesis, deviation = rest_components(narrow, clips, wide - before, seed, crops)
        tokenizer.encoder.linear.weight[before:] = analysis[:, :, None, None]
        for layer in (tokenizer.encoder.linear, tokenizer.encoder.trunk.leave):
            layer.get_parameter("bias")[before:] = 0
        tokenizer.decoder.linear.weight[:, before:] = synthesis[:, :, None, None]
        tokenizer.decoder.input_scale[before:] = deviation
    if "prior" not in states:
        return
    if wide > before:
        for name in ("first", "log_scale"):
            getattr(prior, name)[before:] = torch.log(deviation)
        prior.get_buffer("scale")[before:] = deviation
        prior.get_parameter("gate")[before:] = 0.5
    widen(prior, states["prior"], STACKS)
