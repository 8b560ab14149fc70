"""`latcomp encode`: a video in, a .lat file out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.common import (
    Device,
    Duration,
    Force,
    Json,
    MaxPixels,
    Quiet,
    Start,
    check_paths,
    finite_between,
    input_file,
    note,
    notes,
    output_place,
    print_json,
    progress_bar,
)
from latcomp.errors import UsageError


def encode(
    source: Annotated[Path, typer.Argument(metavar="IN", help="Any video, or - for standard input.")],
    target: Annotated[Path, typer.Argument(metavar="OUT.lat", help="The .lat file, or - for standard output.")],
    quality: Annotated[
        float | None,
        typer.Option(
            "-Q", "--quality", callback=finite_between(0, 10), metavar="0..10",
            help="The one knob: 0 is the smallest file, 10 the best picture; 5 unless given.",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            callback=finite_between(0), metavar="T",
            help="Keep a token when its temporal L1 difference exceeds this; 0 keeps all that change at all.",
        ),
    ] = None,
    keep: Annotated[
        float | None,
        typer.Option(callback=finite_between(0, 1, open_low=True), metavar="FRACTION", help="Keep this share of the tokens."),
    ] = None,
    target_bpp: Annotated[
        float | None,
        typer.Option(
            "--target-bpp", callback=finite_between(0, open_low=True), metavar="B",
            help="Make the file this many bits a pixel, audio not counted, within 3 %.",
        ),
    ] = None,
    min_psnr: Annotated[
        float | None,
        typer.Option(
            "--min-psnr", callback=finite_between(0, 60, open_low=True), metavar="DB",
            help="Make the smallest file whose decoded frames have at least this PSNR-Y on the mean of each segment.",
        ),
    ] = None,
    lossless: Annotated[bool, typer.Option("--lossless", help="Store kept tokens bit-exactly; for research.")] = False,
    reference: Annotated[
        str,
        typer.Option(
            metavar="kept|previous",
            help="What the difference is taken against: the last kept value, or the previous latent frame.",
        ),
    ] = "kept",
    coding: Annotated[
        str,
        typer.Option(
            metavar="context|zstd", help="How tokens become bytes: under what is known of them, or by zstd alone; the tokens are the same."
        ),
    ] = "context",
    tokenizer: Annotated[
        str | None, typer.Option(metavar="NAME|PATH", help="A tokenizer at hand (see latcomp models) or its folder.")
    ] = None,
    start: Start = None,
    duration: Duration = None,
    no_audio: Annotated[bool, typer.Option("--no-audio", help="Leave the audio out.")] = False,
    max_pixels: MaxPixels = None,
    device: Device = "auto",
    force: Force = False,
    quiet: Quiet = False,
    json: Json = False,
) -> None:  # fmt: skip
    """Encode a video into a .lat file."""
    bounds = {"--threshold": threshold, "--keep": keep, "--target-bpp": target_bpp, "--min-psnr": min_psnr}
    given = [name for name, value in bounds.items() if value is not None]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)} exclude each other: give one")
    if quality is not None and (target_bpp is not None or min_psnr is not None):
        raise UsageError(f"--quality and {given[0]} exclude each other: the target decides the quality")
    if lossless and quality is not None:
        raise UsageError("--lossless and --quality exclude each other: give one")
    if reference not in ("kept", "previous"):
        raise UsageError(f"--reference {reference!r} is not known: choose kept or previous")
    if coding not in ("context", "zstd"):
        raise UsageError(f"--coding {coding!r} is not known: choose context or zstd")
    settings: dict[str, Any] = {
        "coding": coding, "quality": quality, "threshold": threshold, "keep": keep, "target_bpp": target_bpp,
        "min_psnr": min_psnr, "reference": reference, "lossless": lossless,
        "tokenizer": tokenizer, "start_seconds": start, "duration_seconds": duration, "audio": not no_audio,
        "max_pixels": max_pixels, "device": device, "force": force,
    }  # fmt: skip
    settings = {name: value for name, value in settings.items() if value is not None}
    video = input_file(source)
    check_paths(source, target, force)

    lat = output_place(target, json_on_stdout=json)

    from latcomp.codec import encode as encode_video

    with progress_bar("encoding", quiet) as progress:
        result = encode_video(video, lat, progress=progress, **settings)
    notes(result.notes, quiet)
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
            }
        )
