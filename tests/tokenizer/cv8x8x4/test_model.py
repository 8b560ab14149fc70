"""The tokenizer: streaming equals the whole clip, causality, locality, a static scene stays unchanged."""

import pytest
import torch

from latcomp.errors import UsageError
from latcomp.tokenizer.cv8x8x4.config import TokenizerConfig, macs_per_pixel
from latcomp.tokenizer.cv8x8x4.model import Tokenizer

KINDS = ("dense", "depthwise")


def small(kind: str) -> Tokenizer:
    torch.manual_seed(3)
    config = TokenizerConfig(
        channels=8, encoder_width=32, encoder_blocks=2, decoder_width=32, decoder_blocks=3, block=kind
    )
    model = Tokenizer(config)
    for parameter in model.parameters():  # zero-initialised exits would hide everything behind them
        torch.nn.init.normal_(parameter, std=0.05)
    return model.eval().requires_grad_(False)


def clip(frames: int, height: int = 32, width: int = 48) -> torch.Tensor:
    return torch.rand(1, 3, frames, height, width, generator=torch.Generator().manual_seed(5)) * 2 - 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [4, 8, 20])
def test_encoding_in_pieces_gives_the_latents_of_the_whole_clip(kind: str, piece: int) -> None:
    model, pixels = small(kind), clip(40)
    whole, _ = model.encode(pixels)
    state, found = None, []
    for start in range(0, 40, piece):
        latents, state = model.encode(pixels[:, :, start : start + piece], state)
        found.append(latents)
    assert torch.allclose(torch.cat(found, dim=2), whole, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("piece", [1, 2, 5])
def test_decoding_in_pieces_gives_the_frames_of_the_whole_clip(kind: str, piece: int) -> None:
    model = small(kind)
    latents, _ = model.encode(clip(40))
    whole, _ = model.decode(latents)
    state, found = None, []
    for start in range(0, 10, piece):
        pixels, state = model.decode(latents[:, :, start : start + piece], state)
        found.append(pixels)
    assert torch.allclose(torch.cat(found, dim=2), whole, atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_latents_do_not_depend_on_later_frames(kind: str) -> None:
    model, pixels = small(kind), clip(24)
    changed = pixels.clone()
    changed[:, :, 12:] = -changed[:, :, 12:]
    before, after = model.encode(pixels)[0], model.encode(changed)[0]
    assert torch.allclose(before[:, :, :3], after[:, :, :3], atol=1e-6)
    assert not torch.allclose(before[:, :, 3:], after[:, :, 3:], atol=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_a_static_scene_gives_unchanged_latents_from_the_first_on(kind: str) -> None:
    model = small(kind)
    still = clip(4)[:, :, :1].expand(-1, -1, 24, -1, -1)
    latents, _ = model.encode(still)
    assert torch.allclose(latents, latents[:, :, :1].expand_as(latents), atol=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_far_motion_leaves_a_latent_alone(kind: str) -> None:
    model, pixels = small(kind), clip(16, 96, 96)
    moved = pixels.clone()
    moved[..., :8, :8] = -moved[..., :8, :8]
    difference = (model.encode(pixels)[0] - model.encode(moved)[0]).abs().amax((0, 1, 2))
    assert difference[0, 0] > 1e-3
    assert difference[8:, 8:].max() == 0


def test_shapes_that_do_not_divide_are_refused_by_name() -> None:
    model = small("dense")
    for shape in ((1, 3, 5, 32, 32), (1, 3, 4, 33, 32), (1, 1, 4, 32, 32)):
        with pytest.raises(UsageError):
            model.encode(torch.zeros(shape))
    with pytest.raises(UsageError):
        model.decode(torch.zeros(1, 3, 1, 4, 4))


@pytest.mark.parametrize("kind", KINDS)
def test_counted_multiply_adds_are_those_of_the_layers(kind: str) -> None:
    """The printed figure must follow the architecture, so it is counted a second time from the weights."""
    model = small(kind)
    for part, claimed in zip((model.encoder, model.decoder), macs_per_pixel(model.config), strict=True):
        counted = sum(p.numel() for n, p in part.named_parameters() if p.dim() == 4 and not n.endswith("rate"))
        assert counted / 256 == pytest.approx(claimed)


def test_the_default_tokenizer_fits_two_cores() -> None:
    encoder, decoder = macs_per_pixel(TokenizerConfig())
    assert encoder <= 6000
    assert decoder <= 14000
