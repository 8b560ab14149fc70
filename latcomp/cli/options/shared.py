"""Options of several commands: files, device, fill, the chosen time, and what is written where."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.choices import DEVICES, FILLS, completes, did_you_mean, word_of
from latcomp.cli.clock import WORDS, seconds_of
from latcomp.cli.options.panels import DEVICE, OUTPUT, PART, QUALITY


def _device_name(value: str) -> str:
    if not re.fullmatch(r"auto|cpu|cuda(:\d{1,3})?", value):
        raise typer.BadParameter(
            f"{value!r} is not a device{did_you_mean(value, list(DEVICES)) or ': choose auto, cpu, cuda or cuda:N'}"
        )
    return value


LatInput = Annotated[Path, typer.Argument(metavar="IN.lat", help="The .lat file, or - for standard input.")]
LatInputs = Annotated[
    list[Path], typer.Argument(metavar="IN.lat...", help="The .lat files, or - for standard input.", show_default=False)
]
Force = Annotated[bool, typer.Option("-f", "--force", rich_help_panel=OUTPUT, help="Replace an existing output.")]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", rich_help_panel=OUTPUT, help="Print nothing but errors.")]
Json = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=OUTPUT, help="Print the figures as one JSON object on standard output."),
]
Device = Annotated[
    str,
    typer.Option(
        callback=_device_name,
        autocompletion=completes(DEVICES),
        metavar="NAME",
        rich_help_panel=DEVICE,
        show_default=False,
        help="auto (default: a GPU if there is one), cpu, cuda or cuda:N.",
    ),
]
Start = Annotated[
    float | None,
    typer.Option(
        parser=seconds_of,
        metavar="TIME",
        rich_help_panel=PART,
        help=f"Begin at this time: {WORDS}, counted from the first frame.",
    ),
]
Duration = Annotated[
    float | None,
    typer.Option(parser=seconds_of, metavar="TIME", rich_help_panel=PART, help=f"Stop after this time: {WORDS}."),
]
NoAudio = Annotated[bool, typer.Option("--no-audio", rich_help_panel=PART, help="Leave the audio out.")]
Fill = Annotated[
    str,
    typer.Option(
        **word_of(FILLS),
        rich_help_panel=QUALITY,
        show_default=False,
        help="How dropped positions are filled: by a network (lit), by the last kept value (hold), or as the encoder "
        "chose (auto, the default).",
    ),
]


@dataclass(frozen=True)
class OutputOptions:
    """What may be replaced and what is printed."""

    force: Force = False
    quiet: Quiet = False
    json: Json = False
