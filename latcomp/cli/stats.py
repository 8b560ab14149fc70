"""`latcomp stats`: what a .lat file holds and what it costs: for people, as JSON or CSV, as a plot, as a page with a
player.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.panels import OUTPUT
from latcomp.cli.options.reading import ReaderOptions
from latcomp.cli.options.shared import Device, LatInputs, OutputOptions
from latcomp.cli.places import check_paths, input_file, lat_input, output_place
from latcomp.cli.several import each_file
from latcomp.cli.standard import STANDARD, error_console, note, print_json, say, shown_name, text_output
from latcomp.errors import DamagedFileError, UsageError
from latcomp.output import same_file
from latcomp.printable import bytes_text, utf8
from latcomp.sources import open_seekable, open_source

if TYPE_CHECKING:
    from latcomp.codec.page import PageResult

SHOWN = "What is shown"


@takes_groups
def stats(
    sources: LatInputs,
    groups: Annotated[
        bool, typer.Option("--groups", rich_help_panel=SHOWN, help="Also show a row for each group.")
    ] = False,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            rich_help_panel=SHOWN,
            help="Also plot kept tokens and bytes over time (.png or .svg). Needs matplotlib: pip install "
            "'latcomp\\[report]'.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT.html",
            rich_help_panel=SHOWN,
            help="Also write a page with figures, curves and a player that lays the keep mask over the frames. It "
            "decodes the file.",
        ),
    ] = None,
    video: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            rich_help_panel=SHOWN,
            help="Show the frames of this video on the page, instead of decoded ones.",
        ),
    ] = None,
    as_csv: Annotated[
        bool,
        typer.Option(
            "--csv",
            rich_help_panel=OUTPUT,
            help="Print a CSV row for each group on standard output, with the columns of groups in --json.",
        ),
    ] = False,
    *,
    output: OutputOptions,
    device: Device = "auto",
    reader: ReaderOptions,
) -> None:
    """Show what .lat files hold and cost.

    Several files are a row each, with --groups a block each; with --json an object on a line with its path, with --csv
    rows with the path in front. One that fails does not stop the others; the exit code is then that of the first one
    that failed."""
    _check_options(sources, output, as_csv, plot, html, video)

    show = _Show(len(sources) > 1, json=output.json, as_csv=as_csv, groups=groups, quiet=output.quiet)

    def tell(source: Path) -> DamagedFileError | None:
        from latcomp.container import scan
        from latcomp.report.series import group_rows
        from latcomp.report.stats import stats_dict

        page: PageResult | None = None
        with (open_source if html is None else open_seekable)(lat_input(source)) as file:
            summary = scan(file, reader.limits)
            figures, rows = stats_dict(summary), group_rows(summary)
            name = shown_name(source) if str(source) == STANDARD else source.name
            if plot is not None:
                from latcomp.report.plot import save_plot

                save_plot(figures, rows, name, plot, output.force)
            if html is not None:
                file.seek(0)
                page = _page(file, name, html, video, figures["frames"], output, device, reader)
        show.file(source, figures)
        if not output.quiet:
            if plot is not None:
                note(f"{plot}: kept tokens and bytes of {len(rows)} groups")
            if page is not None and str(html) != STANDARD:
                note(f"{html}: {page.frames_shown} of {page.frames} frames, {bytes_text(page.bytes_total)}")
        damage = [*figures["damage"], *(() if page is None else page.damage)]
        if damage:
            return DamagedFileError(
                f"{shown_name(source)} is damaged: {damage[0]}; the figures are those of what could be read"
            )
        return None

    try:
        each_file(sources, tell, output.json)
    finally:
        show.end()


def _page(
    file: BinaryIO,
    name: str,
    target: Path,
    video: Path | None,
    frames: int,
    output: OutputOptions,
    device: str,
    reader: ReaderOptions,
) -> PageResult:
    """Write the page of a file."""
    from latcomp.codec.page import write_page

    with _page_progress(frames, output.quiet) as progress:
        return write_page(
            file,
            output_place(target),
            video=None if video is None else input_file(video),
            name=name,
            device=device,
            tokenizer=reader.tokenizer,
            limits=reader.limits,
            force=output.force,
            progress=progress,
        )


@contextmanager
def _page_progress(frames: int, quiet: bool) -> Iterator[Callable[[int], None] | None]:
    """A function that shows how many frames are done on a terminal, or None when nobody watches."""
    console = error_console()
    if quiet or not console.is_terminal:
        yield None
        return
    with console.status("reading") as status:
        yield lambda done: status.update(f"{done} of {frames} frames")


def _check_options(
    sources: Sequence[Path], to: OutputOptions, as_csv: bool, plot: Path | None, html: Path | None, video: Path | None
) -> None:
    """Refuse, before any work, options that exclude each other and outputs that cannot or may not be written."""
    source = sources[0]
    for option, output in (("--plot", plot), ("--html", html)):
        if output is not None and len(sources) > 1:
            raise UsageError(f"{option} shows one file, and {len(sources)} are given: give one")
    if to.json and as_csv:
        raise UsageError("--json and --csv exclude each other: give one")
    if video is not None and html is None:
        raise UsageError("--video gives the frames of a page: give --html as well")
    if plot is not None:
        from latcomp.report.plot import check_plot

        check_plot(plot)
        check_paths(source, plot, to.force)
    if html is None:
        return
    if as_csv and str(html) == STANDARD:
        raise UsageError("--csv and an output of - both want standard output: give the output a file name")
    output_place(html, json_on_stdout=to.json)
    check_paths(source, html, to.force)
    if plot is not None and (plot.absolute() == html.absolute() or same_file(plot, html)):
        raise UsageError(f"{html} is the output of both --plot and --html: give one another name")
    if video is not None:
        if str(video) == str(source) == STANDARD:
            raise UsageError("standard input cannot be both the .lat file and the video: give one a file name")
        for output in (html, plot):
            if output is not None:
                check_paths(video, output, to.force)


class _Show:
    """The figures of one file or several, in the form that was asked for."""

    def __init__(self, several: bool, *, json: bool, as_csv: bool, groups: bool, quiet: bool) -> None:
        self._several, self._json, self._csv, self._groups, self._quiet = several, json, as_csv, groups, quiet
        self._rows: list[tuple[str, dict[str, Any]]] = []
        self._begun = False

    def file(self, source: Path, figures: dict[str, Any]) -> None:
        """Show the next file; rows of a table wait for its end."""
        if self._json:
            print_json({"path": str(source), **figures} if self._several else figures)
        elif self._csv:
            _print_csv(figures["groups"], utf8(str(source)) if self._several else None, names=not self._begun)
        elif not self._quiet and self._several and not self._groups:
            self._rows.append(
                (shown_name(source), {name: value for name, value in figures.items() if name != "groups"})
            )
        elif not self._quiet:
            from latcomp.report.terminal import print_stats

            if self._several:
                if self._begun:
                    say("")
                say(f"{shown_name(source)}:")
            print_stats(figures, error_console(), groups=self._groups)
        self._begun = True

    def end(self) -> None:
        """Show the table, where there is one."""
        if self._rows:
            from latcomp.report.terminal import print_stats_of_several

            print_stats_of_several(self._rows, error_console())


def _print_csv(groups: Sequence[dict[str, Any]], path: str | None, *, names: bool) -> None:
    """A line a group, as `groups` of `--json` has them, true and false as there; a line of names before, and the path
    in front of each.
    """
    from latcomp.report.series import COLUMNS

    front = [] if path is None else [path]
    with text_output() as out:
        writer = csv.writer(out, lineterminator="\n")
        if names:
            writer.writerow([*(["path"] if front else []), *COLUMNS])
        for group in groups:
            values = [
                str(value).lower() if isinstance(value, bool) else value for value in map(group.__getitem__, COLUMNS)
            ]
            writer.writerow([*front, *values])
