"""`latcomp encode`: a video in, a .lat file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.direction import refuse_pictures, refuse_wrong_way_to_encode
from latcomp.cli.folders import made_folder, output_in
from latcomp.cli.options.encoding import EncodeOptions, SourceOptions, damage_words
from latcomp.cli.options.expand import takes_groups
from latcomp.cli.options.reading import MaxPixels
from latcomp.cli.options.shared import Device, Duration, OutputOptions, Start
from latcomp.cli.places import check_paths, input_file, output_place
from latcomp.cli.progress import progress_bar
from latcomp.cli.standard import note, notes, print_json
from latcomp.imports import kept_imports
from latcomp.printable import bytes_text
from latcomp.suffixes import LAT


@takes_groups
def encode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Any video that FFmpeg reads, or - for standard input.")],
    target_word: Annotated[
        str,
        typer.Argument(
            metavar="OUT.lat", help="The .lat file, a folder for it (DIR/ is made), or - for standard output."
        ),
    ],
    what: EncodeOptions,
    start: Start = None,
    duration: Duration = None,
    *,
    video_options: SourceOptions,
    output: OutputOptions,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
) -> None:
    """Encode a video into a .lat file."""
    settings = what.settings
    target = output_in(target_word, source, LAT)
    refuse_wrong_way_to_encode(source, target)
    refuse_pictures(source)
    video = input_file(source)
    with made_folder(target_word, target):
        check_paths(source, target, output.force)
        lat = output_place(target, json_on_stdout=output.json)
        with progress_bar("encoding", output.quiet) as progress:
            with kept_imports():
                from latcomp.codec.encode import encode as encode_video
                from latcomp.limits import DEFAULT_MAX_PIXELS

            result = encode_video(
                video,
                lat,
                tokenizer=what.tokenizer,
                start_seconds=start,
                duration_seconds=duration,
                audio=not video_options.no_audio,
                device=device,
                force=output.force,
                max_pixels=max_pixels or DEFAULT_MAX_PIXELS,
                deinterlace=video_options.deinterlace,
                video_track=video_options.video_track,
                keep_going=video_options.keep_going,
                progress=progress,
                **vars(settings),
            )
    notes(result.notes, output.quiet)
    if result.damage and not output.quiet:
        note(damage_words(str(source), result.damage))
    if not output.quiet:
        figures = result.stats
        note(
            f"{target}: {figures['frames']} frames, {100 * figures['keep_ratio']:.1f} % of tokens kept, "
            f"{bytes_text(figures['bytes_total'])}, {figures['bpp']:.4f} bpp, {result.frames_per_second:.1f} fps"
        )
    if output.json:
        print_json(
            {
                **result.stats,
                "encode_seconds": result.encode_seconds,
                "frames_per_second": result.frames_per_second,
                "device": result.device,
                "damage": [each.to_json() for each in result.damage],
            }
        )
