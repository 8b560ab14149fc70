"""`latcomp compare`: how close a video or .lat file comes to its reference."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.common import Device, Json, Quiet


def compare(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="The original video.")],
    test: Annotated[Path, typer.Argument(metavar="TEST", help="A video or a .lat file.")],
    device: Device = "auto",
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Compare."""
