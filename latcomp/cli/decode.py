"""`latcomp decode`: a .lat file in, a video out."""

from __future__ import annotations

from typing import Annotated

import typer

from latcomp.cli.choices import CODECS, FORMATS, completes
from latcomp.cli.direction import refuse_wrong_way_to_decode
from latcomp.cli.folders import made_folder, output_in
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.panels import OUTPUT, QUALITY
from latcomp.cli.options.reading import ReaderOptions
from latcomp.cli.options.shared import Device, Duration, Fill, LatInput, NoAudio, OutputOptions, Start
from latcomp.cli.places import check_paths, lat_input, output_place
from latcomp.cli.progress import progress_bar
from latcomp.cli.several import about
from latcomp.cli.standard import note, notes, print_json
from latcomp.errors import DamagedFileError
from latcomp.imports import kept_imports


@takes_groups
def decode(
    source: LatInput,
    target_word: Annotated[
        str,
        typer.Argument(
            metavar="OUT",
            help="The video: .mp4, .mkv, .mov, .webm, .avi or .y4m, a folder for it (DIR/ is made), or - for standard "
            "output.",
        ),
    ],
    fill: Fill = "auto",
    crf: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=63,
            metavar="N",
            rich_help_panel=QUALITY,
            help="Constant rate factor of the video codec; lower is better and larger. 14 for libx264 unless given, 10 "
            "to 23 are usual.",
        ),
    ] = None,
    start: Start = None,
    duration: Duration = None,
    no_audio: NoAudio = False,
    codec: Annotated[
        str | None,
        typer.Option(
            autocompletion=completes(CODECS),
            metavar="NAME",
            rich_help_panel=OUTPUT,
            help="Video codec: libx264 (H.264), libx265, libsvtav1, libvpx-vp9, ffv1 (lossless), rawvideo, or another "
            "of FFmpeg's. "
            "What the format usually has, unless given.",
        ),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            autocompletion=completes(FORMATS),
            metavar="NAME",
            rich_help_panel=OUTPUT,
            help="mp4, mkv, mov, webm, avi or y4m. What the suffix of OUT says, unless given; mkv into a pipe.",
        ),
    ] = None,
    *,
    output: OutputOptions,
    device: Device = "auto",
    reader: ReaderOptions,
) -> None:
    """Decode a .lat file into a video."""
    target = output_in(target_word, source, _suffix_in_folder(format, codec))
    refuse_wrong_way_to_decode(source, target)
    lat = lat_input(source)
    with about(source), made_folder(target_word, target):
        check_paths(source, target, output.force)
        video = output_place(target, json_on_stdout=output.json)
        with progress_bar("decoding", output.quiet) as progress:
            with kept_imports():
                from latcomp.codec.decode import decode as decode_video

            result = decode_video(
                lat,
                video,
                tokenizer=reader.tokenizer,
                device=device,
                force=output.force,
                limits=reader.limits,
                progress=progress,
                fill=fill,
                start_seconds=start,
                duration_seconds=duration,
                codec=codec,
                crf=crf,
                format=format,
                audio=not no_audio,
            )
    notes(result.notes, output.quiet)
    if not (output.quiet or result.damage):
        note(
            f"{target}: {result.frames} frames, {result.width}x{result.height}, "
            f"{result.decode_seconds:.1f} s, {result.frames_per_second:.1f} fps"
        )
    if output.json:
        names = ("frames", "width", "height", "decode_seconds", "frames_per_second", "device")
        print_json({name: getattr(result, name) for name in names})
    if result.damage:
        more = f" (and {len(result.damage) - 1} more)" if len(result.damage) > 1 else ""
        raise DamagedFileError(
            f"{source} is damaged: {result.damage[0]}{more}; what could be decoded was written, {result.frames} frames"
        )


def _suffix_in_folder(format: str | None, codec: str | None) -> str:
    """The suffix of a video that is put into a folder: that of the format, else mp4 where it can hold the codec."""
    if format is None:
        return ".mkv" if codec in ("ffv1", "rawvideo", "raw") else ".mp4"
    from latcomp.video.formats import choose_format

    return f".{choose_format(format, None).name}"
