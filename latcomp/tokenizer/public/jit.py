"""Cosmos tokenizers as NVIDIA publishes them: `encoder.jit` and `decoder.jit`, TorchScript."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.tokenizer.public.vae import Vae

ENCODER, DECODER = "encoder.jit", "decoder.jit"


class JitVae(Vae):
    """Two TorchScript modules, kept in the number type that they were saved in: a traced module has it written into
    its operations. Raises `UsageError` for files that are no TorchScript, `UnsupportedFileError` for a tokenizer of
    discrete tokens."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.encoder, self.decoder = (_script(folder / name) for name in (ENCODER, DECODER))
        self.native = next(_floats(self.encoder), torch.float32)

    @property
    def dtype(self) -> torch.dtype:
        """The number type that the modules were saved in."""
        return self.native

    def use(self, dtype: torch.dtype) -> None:
        """Nothing: they compute as they were saved."""

    def encode(self, pixels: Tensor) -> Tensor:  # noqa: D102
        found: Any = self.encoder(pixels)
        first: Tensor = found[0] if isinstance(found, tuple | list) else found
        if not torch.is_floating_point(first):
            raise UnsupportedFileError(
                f"{ENCODER} gives discrete tokens (a DV tokenizer): latents must be continuous, take a CV one"
            )
        return first

    def decode(self, latents: Tensor) -> Tensor:  # noqa: D102
        found: Any = self.decoder(latents)
        pixels: Tensor = found[0] if isinstance(found, tuple | list) else found
        return pixels


def _script(path: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        try:
            return torch.jit.load(str(path), map_location="cpu").eval()
        except (RuntimeError, ValueError) as error:
            raise UsageError(f"{path} is no TorchScript: {str(error).splitlines()[0]:.120}") from None


def _floats(module: nn.Module) -> Iterator[torch.dtype]:
    """Number types of a module's weights."""
    for values in (*module.parameters(), *module.buffers()):
        if values.is_floating_point():
            yield values.dtype
