"""The options that say how to encode, shared by `latcomp encode` and `latcomp batch`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from latcomp.cli.choices import CODINGS, REFERENCES, completes, one_of, tokenizer_names
from latcomp.cli.commands import PART, QUALITY

if TYPE_CHECKING:
    from latcomp.video import Damage

Quality = Annotated[
    float | None,
    typer.Option(
        "-Q",
        "--quality",
        metavar="0..10",
        rich_help_panel=QUALITY,
        help="The one knob: 0 is the smallest file, 10 the best picture. 5 unless given; 3 to 7 are usual, each step "
        "is about 1.4 times "
        "the bytes.",
    ),
]
TargetBpp = Annotated[
    float | None,
    typer.Option(
        "--target-bpp",
        metavar="B",
        rich_help_panel=QUALITY,
        help="Instead: the quality that makes the file this many bits a pixel, audio not counted, within 3 %. 0.02 to "
        "0.4 are usual.",
    ),
]
MinPsnr = Annotated[
    float | None,
    typer.Option(
        "--min-psnr",
        metavar="DB",
        rich_help_panel=QUALITY,
        help="Instead: the smallest file whose frames have at least this PSNR-Y, on the mean of each segment. 28 to 38 "
        "are usual.",
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        metavar="T",
        rich_help_panel=QUALITY,
        help="Keep a token when its temporal L1 difference exceeds this, whatever the quality. 0.002 to 0.06 are "
        "usual; latcomp stats "
        "shows what a quality took. 0 keeps all that change at all.",
    ),
]
Keep = Annotated[
    float | None,
    typer.Option(
        metavar="FRACTION",
        rich_help_panel=QUALITY,
        help="Keep exactly this share of the tokens, those that change most. 0.1 to 0.7 are usual.",
    ),
]
Reference = Annotated[
    str,
    typer.Option(
        callback=one_of(REFERENCES),
        autocompletion=completes(REFERENCES),
        metavar="kept|previous",
        rich_help_panel=QUALITY,
        show_default=False,
        help="What that difference is taken against: the last kept value (default), or the previous latent frame.",
    ),
]
Coding = Annotated[
    str,
    typer.Option(
        callback=one_of(CODINGS),
        autocompletion=completes(CODINGS),
        metavar="context|zstd",
        rich_help_panel=QUALITY,
        show_default=False,
        help="How tokens become bytes: context (default, smallest), or zstd alone. The tokens are the same.",
    ),
]
Lossless = Annotated[
    bool,
    typer.Option(
        "--lossless", rich_help_panel=QUALITY, help="Store kept tokens bit-exactly, for research: very large files."
    ),
]
TokenizerChoice = Annotated[
    str | None,
    typer.Option(
        "--tokenizer",
        autocompletion=tokenizer_names,
        metavar="NAME|PATH",
        rich_help_panel=QUALITY,
        help="A tokenizer that latcomp models lists, or the folder of one.",
    ),
]
Deinterlace = Annotated[
    bool | None,
    typer.Option(
        "--deinterlace/--no-deinterlace",
        rich_help_panel=PART,
        show_default=False,
        help="Interlaced video, which is refused otherwise: make one whole frame of each (FFmpeg's bwdif), or keep its "
        "lines woven.",
    ),
]

VideoTrack = Annotated[
    int | None,
    typer.Option(
        "--video-track",
        min=0,
        metavar="N",
        rich_help_panel=PART,
        help="Which video track, from 0; unless given, as ffmpeg chooses: the default one, else the largest, never a "
        "cover picture.",
    ),
]

KeepGoing = Annotated[
    bool,
    typer.Option(
        "--keep-going",
        rich_help_panel=PART,
        help="Take what can be decoded of a damaged video, which is refused otherwise; frames that cannot be are the "
        "one before, held.",
    ),
]


def damage_words(name: str, damage: Sequence[Damage]) -> str:
    """A line on a source that was damaged and encoded all the same."""
    more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
    return f"{name} is damaged: {damage[0]}{more}; what could be decoded was encoded"
