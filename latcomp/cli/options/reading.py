"""Options of the commands that read .lat files: their tokenizer, and bounds on what a file may claim.

The messages of exit code 7 name the bound that was passed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.options.panels import DEVICE

if TYPE_CHECKING:
    from latcomp.container import Limits


def _most(least: int, help: str) -> Any:
    """An option that takes a whole number from `least` on, among those of the device and the limits."""
    return typer.Option(min=least, metavar="N", rich_help_panel=DEVICE, show_default=False, help=help)


MaxPixels = Annotated[
    int | None, _most(1, "Largest frame to accept, as width times height; 35389440 (8192 x 4320) unless given.")
]
TokenizerFolder = Annotated[
    Path | None,
    typer.Option(
        "--tokenizer",
        metavar="PATH",
        rich_help_panel=DEVICE,
        help="Folder or file of the tokenizer, for files encoded with one that is not shipped.",
    ),
]


@dataclass(frozen=True)
class ReaderOptions:
    """How a .lat file is read."""

    max_pixels: MaxPixels = None
    max_frames: Annotated[int | None, _most(1, "Most frames of a .lat file; 100000000 unless given.")] = None
    max_lost_frames: Annotated[int | None, _most(0, "Most frames that may be lost to damage; 262144 unless given.")] = (
        None
    )
    max_tokens: Annotated[
        int | None, _most(1, "Most tokens of a group, as positions times latent frames; 8388608 unless given.")
    ] = None
    max_bytes: Annotated[
        int | None,
        _most(
            1,
            "Most bytes that a group's tokens, attachments, a chunk or the header may take in memory; 2147483648, "
            "1073741824, 268435456 and 1048576 unless given.",
        ),
    ] = None
    tokenizer: TokenizerFolder = None

    @property
    def limits(self) -> Limits:
        """The limits of a reader, with those replaced that are given."""
        from latcomp.container import Limits

        given: dict[str, Any] = {
            "max_pixels": self.max_pixels,
            "max_frames": self.max_frames,
            "max_lost_frames": self.max_lost_frames,
            "max_group_tokens": self.max_tokens,
            "max_group_bytes": self.max_bytes,
            "max_chunk_bytes": self.max_bytes,
            "max_attachment_bytes": self.max_bytes,
            "max_header_bytes": self.max_bytes,
        }
        return Limits(**{name: value for name, value in given.items() if value is not None})
