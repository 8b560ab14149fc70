"""Protects: frames that go in and out as video has them give the same bits as pixels in floats, and the network that
works in place gives what the one that is trained gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from latcomp.tokenizer.base import DecoderCondition, FrameTokenizer
from latcomp.tokenizer.cv8x8x4.config import TokenizerConfig
from latcomp.tokenizer.cv8x8x4.model import Tokenizer
from latcomp.tokenizer.pixels import to_frames, to_pixels

CHANNELS, GRID = 6, (3, 5)


def tokenizer(block: str) -> Tokenizer:
    torch.manual_seed(3)
    ones = (1.0,) * CHANNELS
    config = TokenizerConfig(
        "t",
        CHANNELS,
        encoder_width=10,
        encoder_blocks=2,
        decoder_width=12,
        decoder_blocks=2,
        block=block,  # type: ignore[arg-type]
        channel_mean=(0.0,) * CHANNELS,
        channel_deviation=ones,
        channel_scale=ones,
        channel_step=ones,
    )
    made = Tokenizer(config).eval()
    for parameter in made.parameters():  # what starts at zero would hide its branch
        torch.nn.init.normal_(parameter, std=0.15)
    return made


def frames(count: int) -> torch.Tensor:
    return torch.randint(0, 256, (count, 8 * GRID[0], 8 * GRID[1], 3), dtype=torch.uint8)


@pytest.mark.parametrize("block", ["dense", "depthwise"])
@torch.inference_mode()
def test_frames_become_the_latents_of_their_pixels(block: str) -> None:
    model = tokenizer(block)
    assert isinstance(model, FrameTokenizer)
    plain: Any = None
    direct: Any = None
    for count in (8, 4):
        pictures = frames(count)
        expected, plain = model.encode(to_pixels(pictures, model.spec), plain)
        found, direct = model.encode_frames(pictures, direct)
        assert torch.equal(found, expected)
    assert all(torch.equal(a, b) for a, b in zip(direct.features, plain.features, strict=True))


@pytest.mark.parametrize("halved", [False, True], ids=["one-step", "step-a-token"])
@pytest.mark.parametrize("block", ["dense", "depthwise"])
@torch.inference_mode()
def test_latents_become_the_frames_of_their_pixels(block: str, halved: bool) -> None:
    model = tokenizer(block)
    plain: Any = None
    direct: Any = None
    for steps in (2, 1, 3):
        latents = torch.randn(1, CHANNELS, steps, *GRID)
        halvings = torch.randint(0, 3, (1, steps, *GRID)) if halved else None
        condition = DecoderCondition(0.7, halvings)
        pixels, plain = model.decode(latents, plain, condition)
        found, direct = model.decode_frames(latents, direct, condition)
        levels = found.int() - to_frames(pixels, model.spec).int()
        # sums of the last layer may round differently: a value on the edge between two levels may take either
        assert levels.abs().max() <= 1 and (levels != 0).float().mean() < 1e-3
        assert found.shape == (4 * steps, 8 * GRID[0], 8 * GRID[1], 3)


@pytest.mark.parametrize("block", ["dense", "depthwise"])
def test_the_network_that_is_trained_is_the_one_that_is_used(block: str) -> None:
    """With gradients every operation makes a new tensor; without them they work in place."""
    model = tokenizer(block)
    pixels, latents = torch.rand(2, 3, 8, 8 * GRID[0], 8 * GRID[1]) * 2 - 1, torch.randn(2, CHANNELS, 3, *GRID)
    trained = model.encode(pixels)[0].detach(), model.decode(latents)[0].detach()
    with torch.inference_mode():
        used = model.encode(pixels)[0], model.decode(latents)[0]
    for one, other in zip(trained, used, strict=True):
        assert torch.allclose(one, other, atol=1e-5)
