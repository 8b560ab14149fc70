"""TAEHV: small autoencoders distilled from others, for their latents (taehv, taew2_1, taew2_2, taecvx, taeltx_2).

The architecture is that of madebyollin/taehv (MIT), written anew: 2-D convolutions on each frame, blocks that also see
the frame before, and layers that join or split neighbouring frames. All of its shape follows from the weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from latcomp.errors import UsageError
from latcomp.tokenizer.public.vae import Vae, repeated

POOLS, GROWS = (2, 7, 12), (7, 13, 19)
"""Where the encoder joins frames and the decoder splits them, as places in their sequences."""
_STAGES = 3
_BLOCKS = 3  # memory blocks of a stage


@dataclass(frozen=True)
class TaehvShape:
    """What the weights of a file say of its networks."""

    channels: int
    """Of latents."""
    patch: int
    """Pixels per side that are shuffled into channels before the encoder."""
    encoder_width: int
    joins: tuple[int, ...]
    """Frames that each stage of the encoder joins."""
    widths: tuple[int, ...]
    """Of the decoder's stages, and of its end."""
    splits: tuple[int, ...]
    """Frames into which each stage of the decoder splits one."""

    @property
    def temporal(self) -> int:
        """Frames of a latent frame."""
        return math.prod(self.joins)

    @classmethod
    def of(cls, weights: Mapping[str, Tensor]) -> TaehvShape:
        """The shape of a file's networks. Raises `UsageError` for weights that are none of this architecture.

        Files made for decoders of less growth keep all of it: what is beyond the encoder's factor is not used, from the
        first stage on."""
        try:
            entry = weights["encoder.0.weight"].shape
            joins = tuple(weights[f"encoder.{at}.conv.weight"].shape[1] // entry[0] for at in POOLS)
            inputs = [weights[f"decoder.{at}.conv.weight"].shape for at in GROWS]
            widths = (*(shape[1] for shape in inputs), weights["decoder.20.weight"].shape[0])
            left, splits = math.prod(joins), []
            for rows, width in reversed([shape[:2] for shape in inputs]):
                splits.append(min(rows // width, left))
                left //= splits[-1]
            patch = math.isqrt(entry[1] // 3)
            channels = weights["decoder.1.weight"].shape[1]
        except (KeyError, IndexError, ZeroDivisionError) as error:
            raise UsageError(f"the weights are not those of a TAEHV: {error} is missing or of another shape") from None
        if left != 1 or 3 * patch * patch != entry[1]:
            raise UsageError("the weights are not those of a TAEHV: encoder and decoder do not match")
        return cls(channels, patch, entry[0], joins, widths, tuple(reversed(splits)))


class Memory(nn.Module):
    """Three convolutions over a frame and the one before, added to the frame."""

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(2 * width, width, 3, padding=1)]
        for _ in range(2):
            layers += [nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
        self.conv = nn.Sequential(*layers)

    def forward(self, frames: Tensor) -> Tensor:
        """(T, C, h, w) of the same; before the first frame there is nothing."""
        before = torch.cat([torch.zeros_like(frames[:1]), frames[:-1]])
        return functional.relu(self.conv(torch.cat([frames, before], dim=1)) + frames)


class Join(nn.Module):
    """Every `count` frames to one."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width * count, width, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(T / count, C, h, w) of (T, C, h, w)."""
        height, width = frames.shape[2:]
        joined: Tensor = self.conv(frames.reshape(-1, self.conv.in_channels, height, width))
        return joined


class Split(nn.Module):
    """Each frame to `count`."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(width, width * count, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """(T * count, C, h, w) of (T, C, h, w)."""
        split: Tensor = self.conv(frames).reshape(-1, *frames.shape[1:])
        return split


class Bound(nn.Module):
    """Latents softly bounded to 3 on either side."""

    def forward(self, latents: Tensor) -> Tensor:
        """The same shape."""
        return 3 * torch.tanh(latents / 3)


def _encoder(shape: TaehvShape) -> nn.Sequential:
    width = shape.encoder_width
    layers: list[nn.Module] = [nn.Conv2d(3 * shape.patch**2, width, 3, padding=1), nn.ReLU()]
    for count in shape.joins:
        layers += [Join(width, count), nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False)]
        layers += [Memory(width) for _ in range(_BLOCKS)]
    return nn.Sequential(*layers, nn.Conv2d(width, shape.channels, 3, padding=1))


def _decoder(shape: TaehvShape) -> nn.Sequential:
    widths = shape.widths
    layers: list[nn.Module] = [Bound(), nn.Conv2d(shape.channels, widths[0], 3, padding=1), nn.ReLU()]
    for stage in range(_STAGES):
        layers += [Memory(widths[stage]) for _ in range(_BLOCKS)]
        layers += [nn.Upsample(scale_factor=2), Split(widths[stage], shape.splits[stage])]
        layers.append(nn.Conv2d(widths[stage], widths[stage + 1], 3, padding=1, bias=False))
    return nn.Sequential(*layers, nn.ReLU(), nn.Conv2d(widths[-1], 3 * shape.patch**2, 3, padding=1))


class TaehvVae(Vae):
    """A TAEHV. Its latents are the normalised ones of the model that it was distilled from.

    As it was published: frames are completed behind the last one, and the decoder's first frames are cut off. So a
    latent frame has seen up to temporal - 1 frames more than it stands for."""

    low, high = 0.0, 1.0

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        """Raises `UsageError` for weights that are none of this architecture."""
        super().__init__()
        self.shape = TaehvShape.of(weights)
        self.lookahead = self.shape.temporal - 1
        self.encoder, self.decoder = _encoder(self.shape), _decoder(self.shape)
        own = self.state_dict()
        fitting = {
            name: values[-own[name].shape[0] :] if name in own and name.endswith(".conv.weight") else values
            for name, values in weights.items()
        }
        try:
            self.load_state_dict(fitting)
        except RuntimeError as error:
            raise UsageError(f"the weights are not those of a TAEHV: {str(error).splitlines()[-1].strip()}") from None

    def encode(self, pixels: Tensor) -> Tensor:  # noqa: D102
        full = repeated(pixels, -pixels.shape[2] % self.shape.temporal)
        return torch.stack([self._each(self.encoder, self._shuffled(clip)) for clip in full])

    def decode(self, latents: Tensor) -> Tensor:  # noqa: D102
        shuffle = nn.PixelShuffle(self.shape.patch)
        clips = [shuffle(self.decoder(clip.transpose(0, 1))).transpose(0, 1) for clip in latents]
        return torch.stack(clips)[:, :, self.shape.temporal - 1 :]

    def normalisation(self) -> tuple[Tensor, Tensor]:
        """Latents are normalised ones already."""
        return torch.zeros(1), torch.ones(1)

    def _shuffled(self, clip: Tensor) -> Tensor:
        """(T, C, h, w) of pixels (3, T, H, W)."""
        return functional.pixel_unshuffle(clip.transpose(0, 1), self.shape.patch)

    @staticmethod
    def _each(network: nn.Module, frames: Tensor) -> Tensor:
        """(C, T, h, w) of what a network makes of frames (T, C, h, w)."""
        made: Tensor = network(frames)
        return made.transpose(0, 1)
