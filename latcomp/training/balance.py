"""Channels of a tokenizer scaled by what an error of a step costs in each of them.

The rate term that shapes a tokenizer knows less than the coder of the files: it leaves steps finer than pays where
values are large and often coded, and coarser where they are mostly zero. How much of an error comes through is measured
by the decoder's gradients (Hutchinson's estimate of the norm of its Jacobian, the columns of one channel at a time), in
luma and chroma. Only the units of the latents change: encoder and decoder are scaled against each other."""

from __future__ import annotations

import copy
from collections.abc import Mapping

import torch
from torch import Tensor

from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.training.crops import BT601

BALANCE = "balance"
"""The fact of a finished tokenizer that says by how much its steps were made larger than they were trained."""
EXPONENT = 0.2
"""Of a channel's sensitivity, by which its step shrinks. 0.15 to 0.35 are about as good, and better than 0.5, by which
an error of a step would cost the same everywhere: what is mostly zero has hardly any error to shrink."""
PLANES = (1.0, 2.2, 1.65)
"""Weights of squared errors of luma, Cb and Cr, of full range: chroma twice as in the mean over R, G and B, which takes
0.4 % more bits at equal PSNR-Y than that mean's own weights and 1.5 % fewer at equal PSNR of RGB."""
LOG_SCALES = (-1.5, 0.0)  # log2 of the inverse step scales that are measured at
PROBES = 2  # of each crop and scale


def sensitivities(tokenizer: Tokenizer, crops: list[Tensor], seed: int = 0) -> Tensor:
    """(C,) what an error of a step in each channel costs, as a multiple of their geometric mean: squared error of
    pixels, weighted by `PLANES`, through the decoder, of latents quantised at `LOG_SCALES`.

    crops: pixels (B, 3, T, H, W) in [-1, 1] each, on the tokenizer's device."""
    generator = torch.Generator().manual_seed(seed)
    mixed = torch.tensor(PLANES).sqrt().view(3, 1) * torch.tensor(BT601)  # (planes, RGB)
    total = torch.zeros(len(LOG_SCALES), tokenizer.config.channels, dtype=torch.float64)
    for pixels in crops:
        with torch.no_grad():
            latents = tokenizer.encode(pixels)[0]
        for row, log_scale in zip(total, LOG_SCALES, strict=True):
            values = (torch.round(latents * 2**log_scale) / 2**log_scale).requires_grad_()
            told = latents.new_full((len(latents),), log_scale)
            for _ in range(PROBES):
                output, _ = tokenizer.decoder(values, told)
                signs = torch.randint(0, 2, output.shape, generator=generator).to(output) * 2 - 1
                probe = torch.einsum("pc,bpthw->bcthw", mixed.to(output), signs)
                (gradient,) = torch.autograd.grad((output * probe).sum(), values)
                row += gradient.double().square().sum((0, 2, 3, 4)).cpu()
    logs = total.clamp_min(1e-30).log()
    return torch.exp((logs - logs.mean(1, keepdim=True)).mean(0)).float()


def balancing(tokenizer: Tokenizer, crops: list[Tensor], seed: int = 0) -> Tensor:
    """(C,) by how much the step of each channel is to grow, see `sensitivities`."""
    factors: Tensor = sensitivities(tokenizer, crops, seed) ** -EXPONENT
    return factors


def rescaled(tokenizer: Tokenizer, factors: Tensor) -> Tokenizer:
    """A copy of the tokenizer whose steps are `factors` (C,) times as large: its latents are smaller by as much, and
    decode to the same pixels.
    """
    found = copy.deepcopy(tokenizer)
    found.load_state_dict(rescaled_state(tokenizer.state_dict(), factors))
    return found


def rescaled_state(state: Mapping[str, Tensor], factors: Tensor) -> dict[str, Tensor]:
    """The same of a state dictionary."""
    found = {}
    for name, value in state.items():
        own = factors.to(value)
        if name.startswith(("encoder.linear.", "encoder.trunk.leave.")):
            value = value / own.view(-1, *[1] * (value.dim() - 1))
        elif name == "decoder.linear.weight":
            value = value * own.view(1, -1, 1, 1)
        elif name == "decoder.input_scale":
            value = value / own
        found[name] = value
    return found
