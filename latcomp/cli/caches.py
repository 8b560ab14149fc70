"""`latcomp import` and `latcomp export`: caches of latents to folders of .lat files and back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from latcomp.cli.batch_display import Board
from latcomp.cli.choices import CACHES, ESTIMATORS, LAYOUTS, MOMENTS, SPACES, word_of
from latcomp.cli.exit_codes import exit_code
from latcomp.cli.messages import in_flags, message_of
from latcomp.cli.options.panels import DEVICE, OUTPUT, QUALITY
from latcomp.cli.options.shared import Quiet
from latcomp.cli.standard import note, print_json
from latcomp.printable import bytes_text, counted

if TYPE_CHECKING:
    from latcomp.datasets.caches.outcome import CacheOutcome, CacheSummary, Watch

UNSAID = "Latents of files that do not say what they are"
_SETTINGS_OF_NOTES = ("max_rmse", "moments", "space", "estimator", "layout", "lossless")

Jobs = Annotated[
    int,
    typer.Option(
        min=1,
        max=1024,
        metavar="N",
        rich_help_panel=DEVICE,
        show_default=False,
        help="Files at a time, each in a process: 1 unless given. One a core is usual.",
    ),
]
LineJson = Annotated[
    bool,
    typer.Option("--json", rich_help_panel=OUTPUT, help="Print a line of JSON on standard output when each file ends."),
]


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="CACHE", help="A folder with its subfolders, one file, or the metadata.db of diffusion-pipe."
        ),
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT_DIR", help="The folder for the .lat files; it gets the same subfolders.")
    ],
    quality: Annotated[
        float | None,
        typer.Option(
            "-Q",
            "--quality",
            metavar="0..10",
            rich_help_panel=QUALITY,
            help="Quality: 0 gives the smallest files, 10 the least error. 5 unless given; 5 to 8 are usual.",
        ),
    ] = None,
    max_rmse: Annotated[
        float | None,
        typer.Option(
            "--max-rmse",
            metavar="FRACTION",
            rich_help_panel=QUALITY,
            help="Smallest files whose latents are within this root mean square error, as a fraction of their standard "
            "deviation. Replaces --quality. 0.02 to 0.1 are usual.",
        ),
    ] = None,
    lossless: Annotated[
        bool, typer.Option("--lossless", rich_help_panel=QUALITY, help="Store latents bit-exactly.")
    ] = False,
    moments: Annotated[
        str,
        typer.Option(
            **word_of(MOMENTS),
            rich_help_panel=QUALITY,
            show_default=False,
            help="Of moments keep mean and log variance (all, the default), or the mean (mean): half the size.",
        ),
    ] = "all",
    space: Annotated[
        str | None,
        typer.Option(
            **word_of(SPACES),
            rich_help_panel=UNSAID,
            help="As the tokenizer gives them (raw unless given), normalised by channel, or scaled by one factor.",
        ),
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option(
            **word_of(ESTIMATORS),
            rich_help_panel=UNSAID,
            help="The mode of the posterior (mode unless given), or a sample of it.",
        ),
    ] = None,
    layout: Annotated[
        str | None,
        typer.Option(
            **word_of(LAYOUTS, "CFHW|FCHW|..."),
            rich_help_panel=UNSAID,
            help="The order of the axes, with B for a batch; CFHW or BCFHW unless given.",
        ),
    ] = None,
    jobs: Jobs = 1,
    force: Annotated[
        bool,
        typer.Option(
            "-f",
            "--force",
            rich_help_panel=OUTPUT,
            help="Replace intact .lat files that were made with other settings.",
        ),
    ] = False,
    quiet: Quiet = False,
    json: LineJson = False,
) -> None:
    """Turn a cache of latents into a folder of .lat files, 5 to 20 times smaller.

    Caches of musubi-tuner, diffusion-pipe, the LTX trainer, ComfyUI (.latent), finetrainers, and plain .safetensors and
    .pt files. No tokenizer is needed. What is beside the latents in a file comes along bit-exactly; latcomp export
    gives the trainer its files back.

    Files that are there, intact and with these settings, are skipped. One that fails does not stop the others; the exit
    code is then that of the first one that failed, in the order of names."""
    from latcomp.datasets.caches.importing import import_cache

    def run(watch: Watch) -> CacheSummary:
        return import_cache(
            source,
            target,
            quality=quality,
            max_rmse=max_rmse,
            lossless=lossless,
            moments=moments,
            space=space,
            estimator=estimator,
            layout=layout,
            jobs=jobs,
            force=force,
            watch=watch,
        )

    _run(run, target, quiet, json)


def export(
    sources: Annotated[
        list[Path], typer.Argument(metavar="LAT...", help="The .lat files, or folders of them.", show_default=False)
    ],
    target: Annotated[
        Path, typer.Argument(metavar="OUT_DIR", help="The folder for the trainer's files.", show_default=False)
    ],
    form: Annotated[
        str,
        typer.Option(
            "--as",
            **word_of(CACHES, "TRAINER"),
            rich_help_panel=OUTPUT,
            show_default=False,
            help="musubi, diffusion-pipe, ltx, comfyui, finetrainers or plain.",
        ),
    ],
    jobs: Jobs = 1,
    force: Annotated[
        bool,
        typer.Option(
            "-f", "--force", rich_help_panel=OUTPUT, help="Replace files that are there, a diffusion-pipe cache aside."
        ),
    ] = False,
    quiet: Quiet = False,
    json: LineJson = False,
) -> None:
    """Turn .lat files back into a cache that a trainer reads.

    What latcomp import made of this trainer's cache becomes it again, with its names, keys, metadata, types and all
    other tensors. What came from elsewhere is written as the trainer does, where it keeps latents of that kind.

    Files that are there, whole and no older than their .lat file, are skipped. One that fails does not stop the others;
    the exit code is then that of the first one that failed, in the order of names."""
    from latcomp.datasets.caches.exporting import export_cache

    _run(
        lambda watch: export_cache(sources, target, form=form, jobs=jobs, force=force, watch=watch), target, quiet, json
    )


def _run(run: Callable[[Watch], CacheSummary], target: Path, quiet: bool, json: bool) -> None:
    """Import or export, told file by file and in sum. Ends with the exit code of the first file that failed."""
    with Board(None, quiet, json) as board:

        def watch(outcome: CacheOutcome) -> None:
            board.finish(outcome.source)
            if outcome.error is not None:
                note(f"error: {message_of(outcome.error)}")
            if json:
                print_json(outcome.to_json(exit_code, message_of))

        summary = run(watch)
    if not quiet:
        _tell(summary, target)
    if summary.first_error is not None:
        raise typer.Exit(exit_code(summary.first_error))


def _tell(summary: CacheSummary, target: Path) -> None:
    for text, number in summary.notes.items():
        words = in_flags(text, _SETTINGS_OF_NOTES)
        note(f"note: {words}" + (f" ({counted(number, 'file')})" if number > 1 else ""))
    there = summary.done + summary.skipped
    parts = [f"{target}: {counted(there, 'file')}"]
    if there and summary.bytes_source:
        parts.append(f"{bytes_text(summary.bytes_source)} are now {bytes_text(summary.bytes_total)}")
    parts += [
        f"{number} {word}" for number, word in ((summary.skipped, "skipped"), (summary.failed, "failed")) if number
    ]
    note(", ".join(parts))
