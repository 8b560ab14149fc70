"""Options of `latcomp bench`: clips, qualities, and where figures and plots go."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.choices import completes, list_of
from latcomp.cli.options.numbers import finite_between
from latcomp.cli.options.shared import Force, Quiet
from latcomp.cli.places import check_paths
from latcomp.cli.standard import STANDARD, print_json
from latcomp.errors import UsageError
from latcomp.metrics.choice import FURTHER_METRICS, METRICS
from latcomp.output import output_file


def groups_of(options: list[str] | None) -> dict[str, tuple[str, ...]]:
    """Names of clips by the name of their group."""
    return {
        name.strip(): tuple(part.strip() for part in members.split(","))
        for name, _, members in (text.partition("=") for text in options or ())
    }


def keep_list(value: str) -> str:
    """The list as it is, when it holds shares above 0 and up to 1. Raises `BadParameter`."""
    try:
        keeps = [float(part) for part in value.split(",")]
    except ValueError:
        keeps = []
    if not keeps or not all(0 < keep <= 1 for keep in keeps):
        raise typer.BadParameter(f"{value!r} is not a list of shares: write 0.2,0.3,0.5")
    return value


def numbers(value: str) -> list[float]:
    """The numbers of a list with commas, each once. Raises `BadParameter`."""
    try:
        found = [float(part) for part in value.split(",")]
    except ValueError:
        found = []
    if not found or not all(math.isfinite(number) for number in found):
        raise typer.BadParameter(f"{value!r} is not a list of numbers: write 1,3,5")
    return list(dict.fromkeys(found))


def quality_list(value: str) -> str:
    """The list as it is, when it holds qualities from 0 to 10. Raises `BadParameter`."""
    for quality in numbers(value):
        finite_between(0, 10)(quality)
    return value


def _plot_file(value: Path | None) -> Path | None:
    if value is not None and value.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise typer.BadParameter(f"{value} is no plot: give it a name that ends in .png, .svg or .pdf")
    return value


Clips = Annotated[list[Path], typer.Argument(metavar="CLIP...", help="Videos to measure on.")]
JsonFile = Annotated[
    Path | None,
    typer.Option("--json", metavar="OUT.json", help="Write the figures to this file, - for standard output."),
]
PlotFile = Annotated[
    Path | None, typer.Option("--plot", callback=_plot_file, metavar="OUT.png", help="Plot what was measured.")
]
TokenizerName = Annotated[
    str | None,
    typer.Option(
        "--tokenizer", metavar="NAME|PATH", help="A tokenizer that latcomp models lists, or the folder of one."
    ),
]
Square = Annotated[
    int | None,
    typer.Option(
        "--square", min=16, metavar="SIDE", help="Scale clips to this shorter side and crop the square in the middle."
    ),
]


def _group_list(value: list[str] | None) -> list[str] | None:
    for text in value or ():
        name, _, clips = text.partition("=")
        if not name.strip() or not all(part.strip() for part in clips.split(",")):
            raise typer.BadParameter(f"{text!r} is not a group: write NAME=clip,clip")
    return value


Groups = Annotated[
    list[str] | None,
    typer.Option(
        "--group",
        callback=_group_list,
        metavar="NAME=CLIP,...",
        help="Clips that get a mean of their own; may be repeated.",
    ),
]
FurtherMetrics = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        callback=list_of({name: METRICS[name] for name in FURTHER_METRICS}),
        autocompletion=completes({name: METRICS[name] for name in FURTHER_METRICS}),
        metavar="NAME,...",
        help="Metrics to measure beside PSNR and MS-SSIM, of vmaf, xpsnr, st-lpips. vmaf and st-lpips: pip install "
        "'latcomp\\[metrics]'.",
    ),
]
BenchQuality = Annotated[
    float,
    typer.Option("-Q", "--quality", callback=finite_between(0, 10), metavar="0..10", help="Quality to measure at."),
]
BenchQualities = Annotated[
    str,
    typer.Option("-Q", "--quality", callback=quality_list, metavar="Q,Q,...", help="Qualities to measure latcomp at."),
]


@dataclass(frozen=True)
class FiguresOptions:
    """Where the figures of a benchmark go."""

    json: JsonFile = None
    force: Force = False
    quiet: Quiet = False

    def check(self, clips: list[Path], *modules: str) -> None:
        """Refuse, before any work, clips that are no files and outputs that exist, cannot be written or are clips.

        Raises `UsageError` and `OutputError`; `UsageError` also when one of the modules, of the extra `report`, is
        missing."""
        from latcomp.report.extras import need_report_extra

        need_report_extra(*modules)
        for clip in clips:
            if str(clip) != STANDARD and not clip.is_file():
                raise UsageError(f"{clip} is not a file")
            for output in self._outputs():
                check_paths(clip, output, self.force)

    def write(self, figures: dict[str, Any]) -> None:
        """Write the figures where they were asked for."""
        if str(self.json) == STANDARD:
            print_json(figures)
        else:
            self.write_so_far(figures)

    def write_so_far(self, figures: dict[str, Any]) -> None:
        """Write the figures to their file, if there is one: a long run that is cut short leaves what it had."""
        if self.json is not None and str(self.json) != STANDARD:
            with output_file(self.json, force=True) as temporary:
                temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")

    def _outputs(self) -> list[Path]:
        return [] if self.json is None else [self.json]


@dataclass(frozen=True)
class PlottedOptions(FiguresOptions):
    """Where the figures and the plot of a benchmark go."""

    plot: PlotFile = None

    def check(self, clips: list[Path], *modules: str) -> None:
        """As `FiguresOptions.check`, and for the plot what plots need."""
        super().check(clips, *modules, *([] if self.plot is None else ["matplotlib"]))

    def _outputs(self) -> list[Path]:
        return [*super()._outputs(), *([] if self.plot is None else [self.plot])]
