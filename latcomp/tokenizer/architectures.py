"""The kinds of tokenizers that a configuration can name, and what makes a specification or a network of it.

Networks are imported when one is built: what a file says of its tokenizer is checked without torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from latcomp.errors import UnsupportedFileError
from latcomp.tokenizer.base import TokenizerSpec
from latcomp.tokenizer.cv8x8x4 import config as cv8x8x4

Members = Mapping[str, Any]
"""The object in a config.json."""


@dataclass(frozen=True)
class Architecture:
    """One kind of tokenizer. Each function takes the members of a configuration, and raises `KeyError`, `TypeError` or
    `ValueError` for members that it does not know or misses."""

    spec: Callable[[Members], TokenizerSpec]
    """The specification; imports no torch."""
    build: Callable[[Members], Any]
    """The network, a `VideoTokenizer` and an `nn.Module`, without its weights."""
    macs_per_pixel: Callable[[Members], tuple[float, float]] | None = None
    """Multiply-adds per pixel of encoder and decoder, imports no torch; None where they are not counted."""


def _build_cv8x8x4(members: Members) -> Any:
    from latcomp.tokenizer.cv8x8x4.model import Tokenizer

    return Tokenizer(cv8x8x4.TokenizerConfig.of(members))


ARCHITECTURES = {
    cv8x8x4.ARCHITECTURE: Architecture(
        lambda members: cv8x8x4.TokenizerConfig.of(members).spec,
        _build_cv8x8x4,
        lambda members: cv8x8x4.macs_per_pixel(cv8x8x4.TokenizerConfig.of(members)),
    )
}
"""By the configuration's member `architecture`; a configuration without it is of the first one."""


def architecture_of(members: Members) -> Architecture:
    """The architecture of a configuration. Raises `UnsupportedFileError` for one that is not known."""
    name = members.get("architecture", cv8x8x4.ARCHITECTURE)
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise UnsupportedFileError(f"the tokenizer's architecture {name!r:.40} is not known: use a newer latcomp")
    return ARCHITECTURES[name]
