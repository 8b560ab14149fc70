"""`latcomp stats`: what a .lat file holds and what it costs: for people, as JSON or CSV, as a plot, as a page with a player."""

from __future__ import annotations

import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.commands import OUTPUT
from latcomp.cli.common import (
    STANDARD,
    Device,
    Force,
    Json,
    LatInput,
    Quiet,
    TokenizerFolder,
    check_paths,
    error_console,
    note,
    open_lat,
    open_seekable_lat,
    output_place,
    print_json,
)
from latcomp.cli.limits import MaxBytes, MaxFrames, MaxLostFrames, MaxPixels, MaxTokens, limits_from
from latcomp.errors import DamagedFileError, UsageError
from latcomp.files import same_file

SHOWN = "What is shown"

if TYPE_CHECKING:
    from latcomp.report.series import GroupRow


def stats(
    source: LatInput,
    groups: Annotated[bool, typer.Option("--groups", rich_help_panel=SHOWN, help="Also show a row for each group.")] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT", rich_help_panel=SHOWN,
            help="Also plot kept tokens and bytes over time (.png or .svg). Needs matplotlib: pip install 'latcomp\\[report]'."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.html", rich_help_panel=SHOWN,
            help="Also write a page with figures, curves and a player that lays the keep mask over the frames. It decodes the file.",
        ),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(metavar="SOURCE", rich_help_panel=SHOWN, help="Show the frames of this video on the page, instead of decoded ones."),
    ] = None,
    as_csv: Annotated[
        bool,
        typer.Option("--csv", rich_help_panel=OUTPUT, help="Print a row for each group on standard output, as groups in --json has them."),
    ] = False,
    json: Json = False,
    force: Force = False,
    quiet: Quiet = False,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    max_frames: MaxFrames = None,
    max_lost_frames: MaxLostFrames = None,
    max_tokens: MaxTokens = None,
    max_bytes: MaxBytes = None,
    tokenizer: TokenizerFolder = None,
) -> None:  # fmt: skip
    """Show what a .lat file holds and costs."""
    _check_options(source, json, as_csv, plot, html, video, force)
    limits = limits_from(max_pixels, max_frames, max_lost_frames, max_tokens, max_bytes)
    from latcomp.container import scan
    from latcomp.report.series import group_rows
    from latcomp.report.stats import stats_dict

    page_damage: list[str] = []
    with (open_lat if html is None else open_seekable_lat)(source) as file:
        summary = scan(file, limits)
        figures, rows = stats_dict(summary), group_rows(summary)
        name = "standard input" if str(source) == STANDARD else source.name
        if plot is not None:
            from latcomp.report.plot import save_plot

            save_plot(figures, rows, name, plot, force)
        if html is not None:
            from latcomp.cli.stats_html import write_page

            told = write_page(
                file, figures, rows, name, html, video=video, tokenizer=tokenizer, limits=limits, device=device, force=force,
                quiet=quiet,
            )  # fmt: skip
            page_damage = told.damage
    _show(figures, rows, json=json, as_csv=as_csv, groups=groups, quiet=quiet)
    if not quiet:
        if plot is not None:
            note(f"{plot}: kept tokens and bytes of {len(rows)} groups")
        if html is not None and str(html) != STANDARD:
            note(f"{html}: {told.text}")
    damage = [*figures["damage"], *page_damage]
    if damage:
        raise DamagedFileError(f"{source} is damaged: {damage[0]}; the figures are those of what could be read")


def _check_options(
    source: Path, json: bool, as_csv: bool, plot: Path | None, html: Path | None, video: Path | None, force: bool
) -> None:
    """Refuse, before any work, options that exclude each other and outputs that cannot or may not be written."""
    if json and as_csv:
        raise UsageError("--json and --csv exclude each other: give one")
    if video is not None and html is None:
        raise UsageError("--video gives the frames of a page: give --html as well")
    if plot is not None:
        from latcomp.report.plot import check_plot

        check_plot(plot)
        check_paths(source, plot, force)
    if html is None:
        return
    if as_csv and str(html) == STANDARD:
        raise UsageError("--csv and an output of - both want standard output: give the output a file name")
    output_place(html, json_on_stdout=json)
    check_paths(source, html, force)
    if plot is not None and (plot.absolute() == html.absolute() or same_file(plot, html)):
        raise UsageError(f"{html} is the output of both --plot and --html: give one another name")
    if video is not None:
        if str(video) == str(source) == STANDARD:
            raise UsageError("standard input cannot be both the .lat file and the video: give one a file name")
        for output in (html, plot):
            if output is not None:
                check_paths(video, output, force)


def _show(figures: dict[str, Any], rows: Sequence[GroupRow], *, json: bool, as_csv: bool, groups: bool, quiet: bool) -> None:
    """The figures in the form that was asked for."""
    if json:
        print_json(figures)
    elif as_csv:
        _print_csv(figures["groups"])
    elif not quiet:
        from latcomp.report.terminal import print_stats

        print_stats(figures, error_console(), groups=groups)


def _print_csv(groups: Sequence[dict[str, Any]]) -> None:
    """A line of names and a line a group, as `groups` of `--json` has them; true and false as there."""
    from latcomp.report.series import COLUMNS

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(COLUMNS)
    for group in groups:
        writer.writerow(str(value).lower() if isinstance(value, bool) else value for value in map(group.__getitem__, COLUMNS))
