"""`latcomp compare`: how close a video or .lat file comes to its reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, BinaryIO

import typer

from latcomp.cli.choices import MODES, completes, list_of, word_of
from latcomp.cli.direction import refuse_wrong_order
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.numbers import finite_between
from latcomp.cli.options.reading import ReaderOptions
from latcomp.cli.options.shared import Device, Fill, OutputOptions
from latcomp.cli.places import check_paths, input_file, output_place
from latcomp.cli.progress import progress_bar
from latcomp.cli.standard import STANDARD, note, notes, print_json
from latcomp.errors import UsageError
from latcomp.imports import kept_imports
from latcomp.metrics.choice import DEFAULT_METRICS, DEFAULT_ST_LPIPS_FRAMES, METRICS, metrics_of
from latcomp.printable import printable

SHOWN = "What is compared and shown"

if TYPE_CHECKING:
    from latcomp.codec.compare import Comparison


@takes_groups
def compare(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="The original video, or - for standard input.")],
    test: Annotated[Path, typer.Argument(metavar="TEST", help="A video or a .lat file, or - for standard input.")],
    metrics: Annotated[
        str | None,
        typer.Option(
            callback=list_of(METRICS),
            autocompletion=completes(METRICS),
            metavar="NAME,...",
            rich_help_panel=SHOWN,
            help="What to measure, of psnr, ssim, ms-ssim (these three unless given), vmaf, xpsnr and st-lpips. vmaf "
            "and st-lpips: pip install 'latcomp\\[metrics]'.",
        ),
    ] = None,
    st_lpips_frames: Annotated[
        int | None,
        typer.Option(
            "--st-lpips-frames",
            min=0,
            metavar="N",
            rich_help_panel=SHOWN,
            help="Frames, spread evenly, that st-lpips is measured on; each takes seconds. 4 unless given, 0 for all.",
        ),
    ] = None,
    fill: Fill = "auto",
    deinterlace: Annotated[
        bool,
        typer.Option("--deinterlace", rich_help_panel=SHOWN, help="Deinterlace REF, as encode --deinterlace does."),
    ] = False,
    video_track: Annotated[
        int | None,
        typer.Option(
            "--video-track",
            min=0,
            metavar="N",
            rich_help_panel=SHOWN,
            help="Video track of REF to read, from 0; unless given, the one that ffmpeg chooses.",
        ),
    ] = None,
    keep_going: Annotated[
        bool,
        typer.Option("--keep-going", rich_help_panel=SHOWN, help="Read a damaged REF as encode --keep-going does."),
    ] = False,
    video: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            rich_help_panel=SHOWN,
            help="Also write a video that shows both (.mp4, .mkv, ...), or - for standard output.",
        ),
    ] = None,
    mode: Annotated[
        str | None,
        typer.Option(
            **word_of(MODES),
            rich_help_panel=SHOWN,
            help="What --video shows: side (default), both side by side, REF on the left; or difference, TEST less REF "
            "around mid grey.",
        ),
    ] = None,
    amplify: Annotated[
        float | None,
        typer.Option(
            callback=finite_between(0, 255, open_low=True),
            metavar="FACTOR",
            rich_help_panel=SHOWN,
            help="Amplification of --mode difference: 8 unless given, 2 to 32 are usual.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            rich_help_panel=SHOWN,
            help="Also plot the figures of every frame (.png or .svg). Needs matplotlib: pip install "
            "'latcomp\\[report]'.",
        ),
    ] = None,
    *,
    output: OutputOptions,
    device: Device = "auto",
    reader: ReaderOptions,
) -> None:
    """Measure a video or .lat file against the original: PSNR, SSIM, MS-SSIM, bits per pixel; VMAF, XPSNR, ST-LPIPS."""
    if str(reference) == STANDARD == str(test):
        raise UsageError("only one of the two can be standard input")
    chosen = DEFAULT_METRICS if metrics is None else metrics_of(metrics)
    if st_lpips_frames is not None and "st-lpips" not in chosen:
        raise UsageError("--st-lpips-frames is for st-lpips: give --metrics st-lpips as well")
    refuse_wrong_order(reference, test)
    place = _shown_place(video, mode, amplify, json_on_stdout=output.json)
    for written in (video, plot):
        if written is not None:
            check_paths(reference, written, output.force)
            check_paths(test, written, output.force)
    if plot is not None:
        from latcomp.report.compare_plot import check_plot_path
        from latcomp.report.extras import need_report_extra

        need_report_extra("matplotlib")
        check_plot_path(plot, chosen)
    original, measured = input_file(reference), input_file(test)
    with progress_bar("comparing", output.quiet) as progress:
        with kept_imports():
            from latcomp.codec.compare import compare as compare_videos
            from latcomp.report.compare_video import DEFAULT_AMPLIFY

        limits, factor = reader.limits, amplify or DEFAULT_AMPLIFY
        found = compare_videos(
            original,
            measured,
            metrics=chosen,
            st_lpips_frames=DEFAULT_ST_LPIPS_FRAMES if st_lpips_frames is None else st_lpips_frames,
            fill=fill,
            device=device,
            tokenizer=reader.tokenizer,
            deinterlace=deinterlace,
            video_track=video_track,
            keep_going=keep_going,
            max_pixels=limits.max_pixels,
            limits=limits,
            video=place,
            mode=mode or "side",
            amplify=factor,
            force=output.force,
            progress=progress,
        )
    if plot is not None:
        from latcomp.report.compare_plot import save_comparison_plot

        title = printable(f"{test.name} against {reference.name}")
        save_comparison_plot(found.to_json(), found.seconds, title, plot, output.force)
    if not output.quiet:
        _tell(test, found, video, mode, factor)
    if output.json:
        print_json(found.to_json())


def _shown_place(
    video: Path | None, mode: str | None, amplify: float | None, *, json_on_stdout: bool
) -> Path | BinaryIO | None:
    """Where the video of both goes, if one is asked for. Refuses settings that make no sense, and names of no video."""
    from latcomp.output import is_stream
    from latcomp.video import format_of_path

    if video is None and mode is not None:
        raise UsageError("--mode says what --video shows: give --video OUT as well")
    if amplify is not None and mode != "difference":
        raise UsageError("--amplify is for --mode difference: give that as well")
    if video is None:
        return None
    place = output_place(video, json_on_stdout=json_on_stdout)
    if isinstance(place, Path) and not is_stream(place):
        format_of_path(place)
    return place


def _tell(test: Path, found: Comparison, video: Path | None, mode: str | None, amplify: float) -> None:
    """The figures for people, and what the video shows."""
    notes(found.notes, quiet=False)
    if found.shown_size is not None:
        width, height = found.shown_size
        difference = f"test less reference, times {amplify:g}, around mid grey"
        note(f"{video}: {width}x{height}, {difference if mode == 'difference' else 'reference left, test right'}")
    note(f"{test}: {', '.join([f'{found.frames} frames', *_figures(found)])}")


def _figures(found: Comparison) -> list[str]:
    """What was measured, in words."""
    told = []
    if found.psnr_y is not None and found.psnr_rgb is not None:
        told.append(f"PSNR {found.psnr_y:.2f} dB (Y) {found.psnr_rgb:.2f} dB (RGB)")
    if found.ssim_y is not None:
        told.append(f"SSIM {found.ssim_y:.4f}")
    if found.ms_ssim_y is not None:
        told.append(f"MS-SSIM {found.ms_ssim_y:.4f}")
    if found.vmaf is not None:
        told.append(f"VMAF {found.vmaf:.2f}")
    if found.xpsnr is not None:
        told.append(f"XPSNR {found.xpsnr:.2f} dB (Y)")
    if found.st_lpips is not None:
        from latcomp.metrics.st_lpips import LABEL

        of = sum(value is not None for value in found.per_frame["st_lpips"])
        told.append(f"{LABEL} {found.st_lpips:.4f} ({of} {'frame' if of == 1 else 'frames'})")
    if found.bpp is not None:
        told.append(f"{found.bpp:.4f} bpp")
    return told
