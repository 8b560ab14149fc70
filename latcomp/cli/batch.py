"""`latcomp batch`: a folder of videos in, the same folder of .lat files out."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.batch_display import Board, print_summary
from latcomp.cli.choices import ENGINES, word_of
from latcomp.cli.exit_codes import exit_code
from latcomp.cli.messages import SETTINGS_OF_NOTES, in_flags, message_of
from latcomp.cli.options.encoding import EncodeOptions, SourceOptions, damage_words
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.panels import OUTPUT
from latcomp.cli.options.reading import MaxPixels
from latcomp.cli.options.shared import Device, Quiet
from latcomp.cli.standard import note, notes, print_json
from latcomp.printable import bytes_text

WHERE = "How many at a time, and where"

if TYPE_CHECKING:
    from latcomp.batch import Event, Outcome


@takes_groups
def batch(
    source: Annotated[
        Path, typer.Argument(metavar="SRC_DIR", help="The folder of videos, searched with its subfolders.")
    ],
    target: Annotated[
        Path, typer.Argument(metavar="DST_DIR", help="The folder for the .lat files; it gets the same subfolders.")
    ],
    jobs: Annotated[
        int,
        typer.Option(
            min=1,
            max=1024,
            metavar="N",
            rich_help_panel=WHERE,
            show_default=False,
            help="Files to encode at a time, each in a process: 1 unless given. One per 2 to 4 cores is usual.",
        ),
    ] = 1,
    engine: Annotated[
        str,
        typer.Option(
            **word_of(ENGINES),
            rich_help_panel=WHERE,
            show_default=False,
            help="Where to encode: on this machine (default), or a Ray cluster (needs pip install 'latcomp\\[ray]').",
        ),
    ] = "local",
    *,
    what: EncodeOptions,
    video_options: SourceOptions,
    keep_suffix: Annotated[
        bool,
        typer.Option(
            "--keep-suffix",
            rich_help_panel=OUTPUT,
            help="Name outputs a.mp4.lat instead of a.lat: for folders that hold both a.mp4 and a.mkv.",
        ),
    ] = False,
    force: Annotated[
        bool,
        typer.Option(
            "-f",
            "--force",
            rich_help_panel=OUTPUT,
            help="Replace intact .lat files that were encoded with other settings.",
        ),
    ] = False,
    quiet: Quiet = False,
    json: Annotated[
        bool,
        typer.Option(
            "--json", rich_help_panel=OUTPUT, help="Print a line of JSON on standard output when each file ends."
        ),
    ] = False,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
) -> None:
    """Encode a folder of videos into a folder of .lat files.

    Outputs that exist, intact and with these settings, are skipped; damaged ones, and ones older than their video, are
    re-encoded. A file that fails does not stop the others; the exit code is then that of the first one that failed, in
    the order of names."""
    settings = what.settings

    from latcomp.batch import FAILED, BatchSettings, Outcome, Step, Task, make_plan, run_batch

    plan = make_plan(source, target, keep_suffix)
    notes(plan.notes, quiet)
    outcomes: list[Outcome] = []

    with Board(len(plan.tasks), quiet, json) as board:

        def watch(event: Event) -> None:
            if isinstance(event, Step):
                board.step(event.task.name, event.frames, event.frames_total)
                return
            outcomes.append(event)
            board.finish(event.task.name)
            _tell(event, quiet)
            if json:
                print_json(_json_of(event))

        for folder, error in plan.unreadable:
            watch(Outcome(Task(-1, str(folder), folder, target), FAILED, error))
        chosen = BatchSettings(
            settings,
            what.tokenizer,
            audio=not video_options.no_audio,
            max_pixels=max_pixels,
            device=device,
            force=force,
            deinterlace=video_options.deinterlace,
            video_track=video_options.video_track,
            keep_going=video_options.keep_going,
        )
        run_batch(plan.tasks, chosen, jobs, engine, watch)
    if not quiet:
        print_summary(outcomes, board.seconds)
    failed = sorted(
        (outcome for outcome in outcomes if outcome.error is not None), key=lambda outcome: outcome.task.index
    )
    if failed and failed[0].error is not None:
        raise typer.Exit(exit_code(failed[0].error))


def _tell(outcome: Outcome, quiet: bool) -> None:
    """A line for people on a file that was encoded or failed, and its notes; those that were skipped only count in the
    summary.
    """
    name = outcome.task.name
    if outcome.error is not None:
        text = message_of(outcome.error)
        note(f"error: {text}" if name in text else f"error: {name}: {text}")
        return
    if quiet or outcome.status == "skipped" or outcome.figures is None:
        return

    for line in (in_flags(text, SETTINGS_OF_NOTES) for text in outcome.notes):
        note(f"note: {line}" if name in line or str(outcome.task.target) in line else f"note: {name}: {line}")
    if outcome.damage:
        note(damage_words(name, outcome.damage))
    figures = outcome.figures
    note(
        f"{outcome.task.target}: {figures['frames']} frames, {100 * figures['keep_ratio']:.1f} % of tokens kept, "
        f"{bytes_text(figures['bytes_total'])}, {figures['bpp']:.4f} bpp, "
        f"{figures['frames'] / max(outcome.seconds, 1e-9):.1f} fps"
    )


def _json_of(outcome: Outcome) -> dict[str, Any]:
    """The object of one file; its figures are null where it failed."""
    figures = outcome.figures or {}
    return {
        "source": str(outcome.task.source),
        "target": str(outcome.task.target),
        "status": outcome.status,
        "error": None if outcome.error is None else message_of(outcome.error),
        "exit_code": 0 if outcome.error is None else exit_code(outcome.error),
        "bytes": figures.get("bytes_total"),
        "bpp": figures.get("bpp"),
        "frames": figures.get("frames"),
        "width": figures.get("width"),
        "height": figures.get("height"),
        "duration_seconds": figures.get("duration_seconds"),
        "keep_ratio": figures.get("keep_ratio"),
        "seconds": outcome.seconds,
        "notes": list(outcome.notes),
        "damage": [each.to_json() for each in outcome.damage],
    }
