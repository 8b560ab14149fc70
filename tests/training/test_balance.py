"""Protects: balancing changes the units of a tokenizer's latents and nothing that it decodes."""

from __future__ import annotations

import torch

from latcomp.tokenizer.cv8x8x4.config import TokenizerConfig
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.training.balance import EXPONENT, PLANES, balancing, rescaled, sensitivities
from latcomp.training.crops import BT601

CHANNELS = 6


def tokenizer() -> Tokenizer:
    """A small one whose channels differ in how much they show, two hundred times at most."""
    torch.manual_seed(0)
    made = Tokenizer(
        TokenizerConfig(
            name="small", channels=CHANNELS, encoder_width=16, encoder_blocks=1, decoder_width=16, decoder_blocks=1
        )
    )
    with torch.no_grad():
        for layer in (made.encoder.trunk.leave, made.decoder.trunk.leave):
            layer.weight.normal_(std=0.05)
        made.decoder.linear.weight *= torch.logspace(-1, 1, CHANNELS).view(1, -1, 1, 1)
    return made.requires_grad_(False)


def crops() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.rand(1, 3, 8, 32, 32, generator=generator) * 2 - 1 for _ in range(2)]


def noise_of(made: Tokenizer, channel: int) -> float:
    """Weighted squared error of luma and chroma that noise of a step in one channel makes."""
    latents = torch.round(made.encode(crops()[0])[0])
    noise = torch.zeros_like(latents)
    noise[:, channel] = torch.rand(latents[:, 0].shape, generator=torch.Generator().manual_seed(2)) - 0.5
    told = torch.zeros(1)
    error = made.decoder(latents + noise, told)[0] - made.decoder(latents, told)[0]
    planes = torch.einsum("pc,bcthw->bpthw", torch.tensor(BT601), error)
    return float((planes.square() * torch.tensor(PLANES).view(1, 3, 1, 1, 1)).mean())


def test_sensitivities_are_what_noise_does_to_pixels() -> None:
    made = tokenizer()
    found = sensitivities(made, crops())
    measured = torch.tensor([noise_of(made, channel) for channel in range(CHANNELS)])
    measured /= measured.log().mean().exp()
    assert torch.allclose(found.log(), measured.log(), atol=0.3)
    assert found.max() > 100 * found.min()


def test_a_balanced_tokenizer_decodes_to_the_same_pixels_from_steps_that_cost_more_alike() -> None:
    made = tokenizer()
    after = rescaled(made, balancing(made, crops()))
    for pixels in crops():
        latents, other = made.encode(pixels)[0], after.encode(pixels)[0]
        told = torch.zeros(1)
        assert torch.allclose(made.decoder(latents, told)[0], after.decoder(other, told)[0], atol=1e-5)
        assert not torch.allclose(latents, other, rtol=0.1)
    before, then = (sensitivities(one, crops()).log() for one in (made, after))
    assert abs(float(then.std() / before.std()) - (1 - 2 * EXPONENT)) < 0.1
    assert torch.equal(made.decoder.input_scale, tokenizer().decoder.input_scale), (
        "the one that was given stays as it was"
    )


def test_larger_steps_make_smaller_latents() -> None:
    made, factors = tokenizer(), torch.tensor([1.0, 2.0, 1.0, 0.5, 1.0, 1.0])
    other = rescaled(made, factors)
    pixels = crops()[0]
    assert torch.allclose(made.encode(pixels)[0], other.encode(pixels)[0] * factors.view(1, -1, 1, 1, 1), atol=1e-5)
