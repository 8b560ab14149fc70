"""Options that raise or lower what a reader of .lat files accepts; the messages of exit code 7 name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.commands import DEVICE

if TYPE_CHECKING:
    from latcomp.container import Limits


def _most(least: int, help: str) -> Any:
    """An option that takes a whole number from `least` on, among those of the device and the limits."""
    return typer.Option(min=least, metavar="N", rich_help_panel=DEVICE, show_default=False, help=help)


MaxPixels = Annotated[
    int | None, _most(1, "Largest frame to accept, as width times height; 35389440 (8192 x 4320) unless given.")
]
MaxFrames = Annotated[int | None, _most(1, "Most frames of a .lat file; 100000000 unless given.")]
MaxLostFrames = Annotated[int | None, _most(0, "Most frames that damage may have taken from it; 262144 unless given.")]
MaxTokens = Annotated[
    int | None, _most(1, "Most tokens of a group, as positions times latent frames; 8388608 unless given.")
]
MaxBytes = Annotated[
    int | None,
    _most(
        1,
        "Most bytes that a group's tokens, a chunk or the header may take in memory; 2147483648, 268435456 and 1048576 "
        "unless given.",
    ),
]


def limits_from(
    max_pixels: int | None,
    max_frames: int | None,
    max_lost_frames: int | None,
    max_tokens: int | None,
    max_bytes: int | None,
) -> Limits:
    """The limits of a reader, with those replaced that are given."""
    from latcomp.container import Limits

    given: dict[str, Any] = {
        "max_pixels": max_pixels,
        "max_frames": max_frames,
        "max_lost_frames": max_lost_frames,
        "max_group_tokens": max_tokens,
        "max_group_bytes": max_bytes,
        "max_chunk_bytes": max_bytes,
        "max_header_bytes": max_bytes,
    }
    return Limits(**{name: value for name, value in given.items() if value is not None})
