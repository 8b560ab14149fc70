"""`latcomp stats`: what a .lat file holds and what it costs, without decoding it."""

from __future__ import annotations

import csv
import sys
from typing import Annotated, Any

import typer

from latcomp.cli.common import Json, LatInput, MaxPixels, error_console, limits_of, open_lat, print_json
from latcomp.errors import DamagedFileError, UsageError

GROUP_COLUMNS = ("start_seconds", "tokens_total", "tokens_kept", "bytes", "fill")


def stats(
    source: LatInput,
    max_pixels: MaxPixels = None,
    json: Json = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print a row a group as CSV on standard output.")
    ] = False,
    groups: Annotated[bool, typer.Option("--groups", help="Show a row a group as well.")] = False,
) -> None:
    """Show what a .lat file holds and costs."""
    if json and as_csv:
        raise UsageError("--json and --csv exclude each other: give one")
    from latcomp.container import scan
    from latcomp.report.stats import stats_dict

    with open_lat(source) as file:
        figures = stats_dict(scan(file, limits_of(max_pixels)))
    if json:
        print_json(figures)
    elif as_csv:
        _print_csv(figures["groups"])
    else:
        from latcomp.report.terminal import print_stats

        print_stats(figures, error_console(), groups=groups)
    if figures["damage"]:
        raise DamagedFileError(
            f"{source} is damaged: {figures['damage'][0]}; the figures are those of what could be read"
        )


def _print_csv(groups: list[dict[str, Any]]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(GROUP_COLUMNS)
    writer.writerows([group[name] for name in GROUP_COLUMNS] for group in groups)
