"""`latcomp encode`: a video in, a .lat file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from latcomp.cli.common import (
    Device,
    Duration,
    Force,
    Json,
    NoAudio,
    Quiet,
    Start,
    check_paths,
    input_file,
    note,
    notes,
    output_place,
    print_json,
)
from latcomp.cli.direction import refuse_pictures, refuse_wrong_way_to_encode
from latcomp.cli.encode_options import (
    Coding,
    Deinterlace,
    Keep,
    KeepGoing,
    Lossless,
    MinPsnr,
    Quality,
    Reference,
    TargetBpp,
    Threshold,
    TokenizerChoice,
    VideoTrack,
    damage_words,
)
from latcomp.cli.folders import made_folder, output_in
from latcomp.cli.limits import MaxPixels
from latcomp.cli.progress import progress_bar
from latcomp.suffixes import LAT


def encode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Any video that FFmpeg reads, or - for standard input.")],
    target_word: Annotated[
        str,
        typer.Argument(
            metavar="OUT.lat", help="The .lat file, a folder for it (DIR/ is made), or - for standard output."
        ),
    ],
    quality: Quality = None,
    target_bpp: TargetBpp = None,
    min_psnr: MinPsnr = None,
    threshold: Threshold = None,
    keep: Keep = None,
    reference: Reference = "kept",
    coding: Coding = "context",
    lossless: Lossless = False,
    tokenizer: TokenizerChoice = None,
    start: Start = None,
    duration: Duration = None,
    no_audio: NoAudio = False,
    deinterlace: Deinterlace = None,
    video_track: VideoTrack = None,
    keep_going: KeepGoing = False,
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
) -> None:
    """Encode a video into a .lat file."""
    from latcomp.codec.settings import EncodeSettings

    settings = {
        **vars(
            EncodeSettings(
                quality=quality,
                threshold=threshold,
                keep=keep,
                target_bpp=target_bpp,
                min_psnr=min_psnr,
                lossless=lossless,
                reference=reference,
                coding=coding,
            )
        ),
        "tokenizer": tokenizer,
        "start_seconds": start,
        "duration_seconds": duration,
        "audio": not no_audio,
        "deinterlace": deinterlace,
        "video_track": video_track,
        "keep_going": keep_going,
        "max_pixels": max_pixels,
        "device": device,
        "force": force,
    }
    settings = {name: value for name, value in settings.items() if value is not None}
    target = output_in(target_word, source, LAT)
    refuse_wrong_way_to_encode(source, target)
    refuse_pictures(source)
    video = input_file(source)
    with made_folder(target_word, target):
        check_paths(source, target, force)
        lat = output_place(target, json_on_stdout=json)
        with progress_bar("encoding", quiet) as progress:
            from latcomp.codec.encode import encode as encode_video

            result = encode_video(video, lat, progress=progress, **settings)
    notes(result.notes, quiet)
    if result.damage and not quiet:
        note(damage_words(str(source), result.damage))
    if not quiet:
        from latcomp.report.terminal import bytes_text

        figures = result.stats
        note(
            f"{target}: {figures['frames']} frames, {100 * figures['keep_ratio']:.1f} % of tokens kept, "
            f"{bytes_text(figures['bytes_total'])}, {figures['bpp']:.4f} bpp, {result.frames_per_second:.1f} fps"
        )
    if json:
        print_json(
            {
                **result.stats,
                "encode_seconds": result.encode_seconds,
                "frames_per_second": result.frames_per_second,
                "device": result.device,
                "damage": [each.to_json() for each in result.damage],
            }
        )
