"""The options that say how to encode, shared by `latcomp encode` and `latcomp batch`."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from latcomp.cli.common import finite_between
from latcomp.errors import UsageError

Quality = Annotated[
    float | None,
    typer.Option(
        "-Q", "--quality", callback=finite_between(0, 10), metavar="0..10",
        help="The one knob: 0 is the smallest file, 10 the best picture; 5 unless given.",
    ),
]  # fmt: skip
Threshold = Annotated[
    float | None,
    typer.Option(
        callback=finite_between(0), metavar="T",
        help="Keep a token when its temporal L1 difference exceeds this; 0 keeps all that change at all.",
    ),
]  # fmt: skip
Keep = Annotated[
    float | None,
    typer.Option(callback=finite_between(0, 1, open_low=True), metavar="FRACTION", help="Keep this share of the tokens."),
]
TargetBpp = Annotated[
    float | None,
    typer.Option(
        "--target-bpp", callback=finite_between(0, open_low=True), metavar="B",
        help="Make the file this many bits a pixel, audio not counted, within 3 %.",
    ),
]  # fmt: skip
MinPsnr = Annotated[
    float | None,
    typer.Option(
        "--min-psnr", callback=finite_between(0, 60, open_low=True), metavar="DB",
        help="Make the smallest file whose decoded frames have at least this PSNR-Y on the mean of each segment.",
    ),
]  # fmt: skip
Lossless = Annotated[bool, typer.Option("--lossless", help="Store kept tokens bit-exactly; for research.")]
Reference = Annotated[
    str,
    typer.Option(
        metavar="kept|previous",
        help="What the difference is taken against: the last kept value, or the previous latent frame.",
    ),
]
Coding = Annotated[
    str,
    typer.Option(
        metavar="context|zstd", help="How tokens become bytes: under what is known of them, or by zstd alone; the tokens are the same."
    ),
]
TokenizerChoice = Annotated[
    str | None, typer.Option("--tokenizer", metavar="NAME|PATH", help="A tokenizer at hand (see latcomp models) or its folder.")
]
NoAudio = Annotated[bool, typer.Option("--no-audio", help="Leave the audio out.")]


def chosen_settings(
    *, quality: float | None, threshold: float | None, keep: float | None, target_bpp: float | None, min_psnr: float | None,
    lossless: bool, reference: str, coding: str,
) -> dict[str, Any]:  # fmt: skip
    """Fields of `EncodeSettings` by name, those that were given. Raises `UsageError` for settings that exclude each other."""
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
    settings = {
        "coding": coding, "quality": quality, "threshold": threshold, "keep": keep, "target_bpp": target_bpp,
        "min_psnr": min_psnr, "reference": reference, "lossless": lossless,
    }  # fmt: skip
    return {name: value for name, value in settings.items() if value is not None}
