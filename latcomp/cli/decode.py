"""`latcomp decode`: a .lat file in, a video out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.common import (
    Device,
    Duration,
    Fill,
    Force,
    Json,
    LatInput,
    MaxPixels,
    Quiet,
    Start,
    TokenizerFolder,
    check_paths,
    input_file,
    note,
    notes,
    output_place,
    print_json,
    progress_bar,
)
from latcomp.errors import DamagedFileError


def decode(
    source: LatInput,
    target: Annotated[
        Path,
        typer.Argument(
            metavar="OUT", help="The video (.mp4, .mkv, .mov, .webm, .avi, .y4m), or - for standard output."
        ),
    ],
    fill: Fill = "auto",
    start: Start = None,
    duration: Duration = None,
    codec: Annotated[
        str | None, typer.Option(metavar="NAME", help="Video codec of the output: libx264, ffv1, ...")
    ] = None,
    crf: Annotated[
        int | None,
        typer.Option(min=0, max=63, metavar="N", help="Constant rate factor of that codec; less is better."),
    ] = None,
    format: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="Output format where the name does not tell: mp4, matroska, yuv4mpegpipe."
        ),
    ] = None,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Leave the audio out.")] = False,
    tokenizer: TokenizerFolder = None,
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:
    """Decode a .lat file into a video."""
    settings: dict[str, Any] = {
        "fill": fill, "start_seconds": start, "duration_seconds": duration, "codec": codec, "crf": crf, "format": format,
        "audio": not no_audio, "tokenizer": tokenizer, "max_pixels": max_pixels, "device": device, "force": force,
    }  # fmt: skip
    settings = {name: value for name, value in settings.items() if value is not None}
    lat = input_file(source)
    check_paths(source, target, force)

    video = output_place(target, json_on_stdout=json)

    from latcomp.codec import decode as decode_video

    with progress_bar("decoding", quiet) as progress:
        result = decode_video(lat, video, progress=progress, **settings)
    notes(result.notes, quiet)
    if not (quiet or result.damage):
        note(
            f"{target}: {result.frames} frames, {result.width}x{result.height}, "
            f"{result.decode_seconds:.1f} s, {result.frames_per_second:.1f} fps"
        )
    if json:
        names = ("frames", "width", "height", "decode_seconds", "frames_per_second", "device")
        print_json({name: getattr(result, name) for name in names})
    if result.damage:
        more = f" (and {len(result.damage) - 1} more)" if len(result.damage) > 1 else ""
        raise DamagedFileError(
            f"{source} is damaged: {result.damage[0]}{more}; what could be decoded was written, {result.frames} frames"
        )
