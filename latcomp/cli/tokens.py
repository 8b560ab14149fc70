"""`latcomp tokens`: what a .lat file holds, as arrays for training and analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.choices import PLACES, word_of
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.panels import OUTPUT
from latcomp.cli.options.reading import ReaderOptions
from latcomp.cli.options.shared import Device, Fill, Force, LatInput, Quiet
from latcomp.cli.places import check_paths, lat_input
from latcomp.cli.several import about
from latcomp.cli.standard import note
from latcomp.errors import UsageError
from latcomp.printable import bytes_text


@takes_groups
def tokens(
    source: LatInput,
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The arrays: a .npz or .safetensors file.")],
    fill: Fill = "auto",
    places: Annotated[
        str,
        typer.Option(
            **word_of(PLACES),
            rich_help_panel=OUTPUT,
            show_default=False,
            help="Where positions are: on the frame's own grid (frame, the default), which files of a moving camera "
            "have not, or in the world (world): arrays for each group, with its number behind their names.",
        ),
    ] = "frame",
    force: Force = False,
    quiet: Quiet = False,
    device: Device = "auto",
    *,
    reader: ReaderOptions,
) -> None:
    """Write kept tokens, keep mask and dense latents as arrays.

    Arrays: tokens (N, C), the kept ones in order t, y, x; mask (T, h, w), which those are; latents (1, C, T, h, w),
    every dropped position filled.

    With --places world these are of each group over a window of the world, with window (top, left, rows, columns),
    which positions are visible, and the offsets (dy, dx) of its frames in pixels."""
    if target.suffix.lower() not in (".npz", ".safetensors"):
        raise UsageError(f"{target} must end in .npz or .safetensors")
    check_paths(source, target, force)

    from latcomp.codec.export import export

    with about(source):
        made = export(
            lat_input(source),
            target,
            fill=fill,
            device=device,
            tokenizer=reader.tokenizer,
            limits=reader.limits,
            places=places,
            force=force,
        )
    if not quiet:
        note(f"{target}: {made.tokens} tokens of {made.positions}, {bytes_text(made.bytes_total)}")
