"""Options that say how to encode, of `latcomp encode` and `latcomp batch`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from latcomp.cli.choices import CAMERAS, CODINGS, OPTIMISES, REFERENCES, tokenizer_names, word_of
from latcomp.cli.options.panels import PART, QUALITY
from latcomp.cli.options.shared import NoAudio

if TYPE_CHECKING:
    from latcomp.codec.settings import EncodeSettings
    from latcomp.video import Damage


def _quality(*names: str, help: str, **settings: Any) -> Any:
    """An option of the panel on quality."""
    return typer.Option(*names, rich_help_panel=QUALITY, help=help, **settings)


def _part(*names: str, help: str, **settings: Any) -> Any:
    """An option of the panel on what is read of the video."""
    return typer.Option(*names, rich_help_panel=PART, help=help, **settings)


@dataclass(frozen=True)
class EncodeOptions:
    """What is stored of a video, and by which tokenizer. The ranges of numbers are those of `EncodeSettings`."""

    quality: Annotated[
        float | None,
        _quality(
            "-Q",
            "--quality",
            metavar="0..10",
            help="Quality: 0 gives the smallest file, 10 the best picture. 5 unless given; 3 to 7 are usual, and each "
            "step makes the file about 1.4 times larger.",
        ),
    ] = None
    target_bpp: Annotated[
        float | None,
        _quality(
            "--target-bpp",
            metavar="B",
            help="Target bits per pixel, audio excluded (met within 3 %). Replaces --quality. 0.02 to 0.4 are usual.",
        ),
    ] = None
    min_psnr: Annotated[
        float | None,
        _quality(
            "--min-psnr",
            metavar="DB",
            help="Smallest file whose frames reach this PSNR-Y, as the mean of each segment. Replaces --quality. 28 to "
            "38 are usual.",
        ),
    ] = None
    threshold: Annotated[
        float | None,
        _quality(
            metavar="T",
            help="Keep tokens whose temporal L1 difference exceeds T, instead of those that --optimise chooses. 0.002 "
            "to 0.06 are usual; 0 keeps every token that changes.",
        ),
    ] = None
    keep: Annotated[
        float | None,
        _quality(
            metavar="FRACTION",
            help="Keep exactly this fraction of the tokens, those that change most. 0.1 to 0.7 are usual.",
        ),
    ] = None
    reference: Annotated[
        str,
        _quality(
            **word_of(REFERENCES),
            show_default=False,
            help="What the difference is taken against: the last kept value (default), or the previous latent frame.",
        ),
    ] = "kept"
    camera: Annotated[
        str,
        _quality(
            **word_of(CAMERAS),
            show_default=False,
            help="A moving camera: followed where that saves bits (auto, the default), or not (off), for latents that "
            "are read in frame places, as training does. --lossless does not follow it.",
        ),
    ] = "auto"
    optimise: Annotated[
        str,
        _quality(
            **word_of(OPTIMISES),
            show_default=False,
            help="What is to be least at a quality: bits (default), or tokens, for models that pay by the token; the "
            "file then has finer steps for fewer tokens, and more bits.",
        ),
    ] = "bits"
    coding: Annotated[
        str,
        _quality(
            **word_of(CODINGS),
            show_default=False,
            help="Entropy coding of the tokens: context (default, smallest where the tokenizer has a prior), zstd "
            "alone, or adaptive, which learns from what was coded before and needs no prior.",
        ),
    ] = "context"
    lossless: Annotated[
        bool, _quality("--lossless", help="Store kept tokens bit-exactly, for research: very large files.")
    ] = False
    tokenizer: Annotated[
        str | None,
        _quality(
            "--tokenizer",
            autocompletion=tokenizer_names,
            metavar="NAME|PATH",
            help="A tokenizer that latcomp models lists, or the folder or file of another one, a published one too.",
        ),
    ] = None

    @property
    def settings(self) -> EncodeSettings:
        """The settings of the library. Raises `UsageError` for values out of range and ones that exclude each other."""
        from latcomp.codec.settings import EncodeSettings

        return EncodeSettings(**{name: value for name, value in vars(self).items() if name != "tokenizer"})


@dataclass(frozen=True)
class SourceOptions:
    """How a video is read."""

    no_audio: NoAudio = False
    deinterlace: Annotated[
        bool | None,
        _part(
            "--deinterlace/--no-deinterlace",
            show_default=False,
            help="Deinterlace (FFmpeg's bwdif, one frame of each), or encode the fields woven as they are stored. "
            "Required for interlaced video.",
        ),
    ] = None
    video_track: Annotated[
        int | None,
        _part(
            "--video-track",
            min=0,
            metavar="N",
            help="Video track to read, from 0; unless given, the one that ffmpeg chooses: the default one, else the "
            "largest, never a cover picture.",
        ),
    ] = None
    keep_going: Annotated[
        bool,
        _part(
            "--keep-going",
            help="Encode what can be decoded of a damaged video, which is refused otherwise; a frame that cannot be "
            "decoded repeats the one before.",
        ),
    ] = False


def damage_words(name: str, damage: Sequence[Damage]) -> str:
    """A line on a source that was damaged and encoded all the same."""
    more = f" (and {len(damage) - 1} more)" if len(damage) > 1 else ""
    return f"{name} is damaged: {damage[0]}{more}; what could be decoded was encoded"
