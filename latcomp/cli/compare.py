"""`latcomp compare`: how close a video or .lat file comes to its reference."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from latcomp.cli.choices import MODES, completes, one_of
from latcomp.cli.common import (
    STANDARD,
    Device,
    Fill,
    Force,
    Json,
    Quiet,
    TokenizerFolder,
    finite_between,
    input_file,
    note,
    notes,
    open_seekable_lat,
    print_json,
)
from latcomp.cli.compare_outputs import Pictures, check_outputs, open_pictures
from latcomp.cli.direction import refuse_wrong_order
from latcomp.cli.limits import MaxBytes, MaxFrames, MaxLostFrames, MaxPixels, MaxTokens, limits_from
from latcomp.cli.progress import progress_bar
from latcomp.errors import DamagedFileError, UsageError
from latcomp.printable import printable

SHOWN = "What is compared and shown"

if TYPE_CHECKING:
    from latcomp.video import Frame


def compare(
    reference: Annotated[Path, typer.Argument(metavar="REF", help="The original video, or - for standard input.")],
    test: Annotated[Path, typer.Argument(metavar="TEST", help="A video or a .lat file, or - for standard input.")],
    fill: Fill = "auto",
    deinterlace: Annotated[
        bool,
        typer.Option(
            "--deinterlace",
            rich_help_panel=SHOWN,
            help="Make one whole frame of each interlaced one of REF, as encode --deinterlace does.",
        ),
    ] = False,
    video_track: Annotated[
        int | None,
        typer.Option(
            "--video-track",
            min=0,
            metavar="N",
            rich_help_panel=SHOWN,
            help="Which video track of REF, from 0; unless given, as ffmpeg chooses.",
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
            callback=one_of(MODES),
            autocompletion=completes(MODES),
            metavar="side|difference",
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
            help="How much --mode difference is amplified: 8 unless given, 2 to 32 are usual.",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="OUT",
            rich_help_panel=SHOWN,
            help="Also plot PSNR and SSIM of every frame (.png or .svg). Needs matplotlib: pip install "
            "'latcomp\\[report]'.",
        ),
    ] = None,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    max_frames: MaxFrames = None,
    max_lost_frames: MaxLostFrames = None,
    max_tokens: MaxTokens = None,
    max_bytes: MaxBytes = None,
    tokenizer: TokenizerFolder = None,
) -> None:
    """Measure a video or .lat file against the original: PSNR, SSIM, MS-SSIM, bits per pixel."""
    if str(reference) == STANDARD == str(test):
        raise UsageError("only one of the two can be standard input")
    refuse_wrong_order(reference, test)
    pictures = check_outputs(reference, test, video, mode, amplify, plot, force, json)
    original = input_file(reference)

    with _open_test(test) as file:
        if _is_lat(file):
            from latcomp.codec.decode import decode_frames
            from latcomp.container import scan

            limits = limits_from(max_pixels, max_frames, max_lost_frames, max_tokens, max_bytes)
            summary = scan(file, limits)
            size_bytes = summary.bytes_total - summary.bytes_audio
            file.seek(0)
            settings: dict[str, Any] = {"fill": fill, "device": device, "tokenizer": tokenizer}
            frames = decode_frames(file, limits=limits, **settings)
        else:
            size_bytes = _video_bytes(file, str(test))
            file.seek(0)
            frames = _video_frames(file, max_pixels)
        figures, seconds = _measure(
            original, frames, size_bytes, max_pixels, pictures, quiet, deinterlace, video_track, keep_going
        )
    if plot is not None:
        from latcomp.bench.compare_plot import save_comparison_plot

        save_comparison_plot(figures, seconds, printable(f"{test.name} against {reference.name}"), plot, force)
    if not quiet:
        note(
            f"{test}: {figures['frames']} frames, PSNR {figures['psnr_y']:.2f} dB (Y) {figures['psnr_rgb']:.2f} dB "
            "(RGB), "
            f"SSIM {figures['ssim_y']:.4f}, MS-SSIM {figures['ms_ssim_y']:.4f}, {figures['bpp']:.4f} bpp"
        )
    if json:
        print_json(figures)


def _measure(
    original: Path | BinaryIO,
    frames: Iterator[Frame],
    size_bytes: int,
    max_pixels: int | None,
    pictures: Pictures,
    quiet: bool,
    deinterlace: bool,
    video_track: int | None,
    keep_going: bool,
) -> tuple[dict[str, Any], list[float]]:
    """(figures of `compare --json`, time of each frame in seconds); writes the pictures on the way.

    Raises `UsageError` naming both when frame counts or sizes differ.
    """
    from latcomp.bench.metrics import VideoComparison
    from latcomp.codec.progress import Progress
    from latcomp.limits import DEFAULT_MAX_PIXELS
    from latcomp.video import Frame, open_video

    counts = [0, 0]
    seconds: list[float] = []
    with ExitStack() as stack:
        bound = max_pixels or DEFAULT_MAX_PIXELS
        reader = stack.enter_context(
            open_video(
                original,
                audio=False,
                max_pixels=bound,
                deinterlace=deinterlace,
                video_track=video_track,
                keep_going=keep_going,
            )
        )
        shown = open_pictures(pictures, reader.info, stack)
        progress = stack.enter_context(progress_bar("comparing", quiet))
        comparison = VideoComparison(reader.info.color.matrix)
        originals = (item for item in reader if isinstance(item, Frame))
        for wanted, found in zip_longest(originals, frames):
            counts[0] += wanted is not None
            counts[1] += found is not None
            if wanted is None or found is None:
                continue  # one of them is longer: go on to its end, so that the message can say by how much
            if wanted.pixels.shape != found.pixels.shape:
                raise UsageError(
                    f"the reference is {_size(wanted)} and the test {_size(found)}: they cannot be compared"
                )
            comparison.add(wanted.pixels, found.pixels)
            seconds.append(float(wanted.pts * reader.info.time_base))
            if shown is not None:
                shown.add(wanted, found)
            if progress is not None:
                progress(Progress(counts[0], reader.info.frames_estimate, 0, 0))
        if counts[0] != counts[1]:
            raise UsageError(f"the reference has {counts[0]} frames and the test {counts[1]}: they cannot be compared")
        figures = comparison.result(size_bytes)
    if shown is not None:
        notes(shown.notes, quiet)
        if not quiet:
            note(f"{pictures.target}: {shown.info.width}x{shown.info.height}, {pictures.words}")
    return figures, seconds


def _size(frame: Frame) -> str:
    height, width = frame.pixels.shape[:2]
    return f"{width}x{height}"


def _open_test(test: Path) -> Any:
    """The test's bytes as a seekable file; a video that cannot be opened is told as one."""
    from latcomp.errors import NotAVideoError

    if str(test) != STANDARD and test.suffix.lower() != ".lat" and not test.is_file():
        raise NotAVideoError(f"{test}: {'is not a file' if test.exists() else 'no such file'}")
    return open_seekable_lat(test, or_video=True)


def _is_lat(file: BinaryIO) -> bool:
    from latcomp.container import MAGIC

    start = file.read(len(MAGIC))
    file.seek(0)
    if start != MAGIC and getattr(file, "name", None) and str(file.name).lower().endswith(".lat"):
        raise DamagedFileError(f"{file.name} is not a .lat file: it does not begin like one")
    return start == MAGIC


def _video_frames(file: BinaryIO, max_pixels: int | None) -> Iterator[Frame]:
    """The frames of a video, its audio left out."""
    from latcomp.limits import DEFAULT_MAX_PIXELS
    from latcomp.video import Frame, open_video

    with open_video(file, audio=False, max_pixels=max_pixels or DEFAULT_MAX_PIXELS) as reader:
        for item in reader:
            if isinstance(item, Frame):
                yield item


def _video_bytes(file: BinaryIO, label: str) -> int:
    """Bytes of a video's coded pictures, without container and audio. Raises `NotAVideoError`."""
    import av

    from latcomp.errors import NotAVideoError
    from latcomp.video.choice import choose_video
    from latcomp.video.streams import reason_of

    try:
        with av.open(file, "r") as container:
            return sum(packet.size for packet in container.demux(choose_video(container, label)))
    except (av.FFmpegError, ValueError) as error:
        raise NotAVideoError(f"{label}: cannot be read as video: {reason_of(error)}") from None
