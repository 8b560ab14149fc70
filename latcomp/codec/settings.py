"""Settings of an encoding and of a decoding. They are checked here and nowhere else; no torch."""

from __future__ import annotations

import math
from dataclasses import dataclass

from latcomp.errors import UsageError
from latcomp.latents.profile import QUALITY_MAX
from latcomp.latents.time_window import TimeWindow

DEFAULT_QUALITY = 5.0
GROUP_LATENT_FRAMES = 8
SEGMENT_GROUPS = 8
SEGMENT_BYTES = 2**29
"""Of latents and frames that a search for a target may hold: larger pictures have shorter segments."""
PSNR_MOST = 60.0  # dB; more than this no tokenizer gives

CODINGS = ("context", "zstd")
REFERENCES = ("kept", "previous")
FILLS = ("auto", "lit", "hold")
_BOUNDS = ("threshold", "keep", "target_bpp", "min_psnr")
"""What decides how many tokens are kept; one at most."""


@dataclass(frozen=True)
class EncodeSettings:
    """How to encode. Raises `UsageError` for values out of range and for settings that exclude each other."""

    quality: float | None = None
    """0 (small) to 10 (exact); None: `DEFAULT_QUALITY`, or what a target decides."""
    threshold: float | None = None
    """Temporal L1 difference above which a token is kept; None takes the quality's own."""
    keep: float | None = None
    """Share of the tokens of a segment to keep, instead of a threshold."""
    target_bpp: float | None = None
    """Bits per pixel of the file without its audio, instead of a quality."""
    min_psnr: float | None = None
    """Least mean PSNR-Y of a segment's decoded frames in dB, instead of a quality."""
    reference: str = "kept"
    """What the temporal difference is taken against: 'kept', the last kept value, or 'previous', the last latent
    frame.
    """
    coding: str = "context"
    """'context': masks and tokens under the tokenizer's prior; 'zstd': by zstd alone."""
    lookahead_lambda: float | None = None
    """Bits that a squared error of one step squared is worth where values that will be held choose their steps; 0: one
    step for all; None: the tokenizer's profile decides.
    """
    rdo_lambda: float | None = None
    """The same for rounding by rate and distortion; 0 rounds plainly."""
    lossless: bool = False
    """Store float32 latents bit for bit, for research."""

    def __post_init__(self) -> None:
        _check("quality", self.quality, 0, QUALITY_MAX, "choose 0 (small) to 10 (exact)")
        _check("threshold", self.threshold, 0, math.inf, "choose 0 or more (0.002 to 0.06 is usual)")
        _check("keep", self.keep, 0, 1, "choose a share above 0 and up to 1, such as 0.3", above=True)
        _check(
            "target_bpp", self.target_bpp, 0, math.inf, "choose more than 0 bits per pixel, such as 0.08", above=True
        )
        psnr = f"choose more than 0 and up to {PSNR_MOST:g} dB, such as 34"
        _check("min_psnr", self.min_psnr, 0, PSNR_MOST, psnr, above=True)
        for name in ("lookahead_lambda", "rdo_lambda"):
            _check(name, getattr(self, name), 0, math.inf, "choose 0 or more")
        _check_word("coding", self.coding, CODINGS)
        _check_word("reference", self.reference, REFERENCES)
        self._check_together()

    def _check_together(self) -> None:
        given = [name for name in _BOUNDS if getattr(self, name) is not None]
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other: give one", settings=tuple(given))
        if self.lossless and self.searches:
            raise UsageError(
                f"lossless and {given[0]} exclude each other: exact latents leave a target nothing to choose",
                settings=("lossless", given[0]),
            )
        if self.searches and self.quality is not None:
            raise UsageError(
                f"quality and {given[0]} exclude each other: the target decides how good the file is",
                settings=("quality", given[0]),
            )
        if self.lossless and self.quality is not None:
            raise UsageError("lossless and quality exclude each other: give one", settings=("lossless", "quality"))

    @property
    def searches(self) -> bool:
        """Whether steps are searched for a target instead of following from the quality."""
        return self.target_bpp is not None or self.min_psnr is not None

    @property
    def quality_in_force(self) -> float:
        """The quality that was given, else the default one."""
        return DEFAULT_QUALITY if self.quality is None else self.quality


@dataclass(frozen=True)
class DecodeSettings:
    """How to decode into a video. Raises `UsageError` for values out of range."""

    fill: str = "auto"
    """What dropped positions are filled by: 'lit', 'hold' (the last kept value), or 'auto', as the encoder chose."""
    start_seconds: float | None = None
    """Where to begin, counted from the first frame."""
    duration_seconds: float | None = None
    """How much to decode; None: to the end."""
    codec: str | None = None
    """Video codec of the output; None: what its format usually has."""
    crf: int | None = None
    """Constant rate factor of that codec; None: its default here. Checked against the codec when the output opens."""
    format: str | None = None
    """mp4, mkv, mov, webm, avi or y4m; None: what the suffix of the target says."""
    audio: bool = True
    """Whether the audio is written as well."""

    def __post_init__(self) -> None:
        check_fill(self.fill)
        TimeWindow.of(self.start_seconds, self.duration_seconds)

    @property
    def window(self) -> TimeWindow:
        """The chosen time."""
        return TimeWindow.of(self.start_seconds, self.duration_seconds)


def check_fill(fill: str) -> None:
    """Raise `UsageError` for a way of filling that is not known."""
    _check_word("fill", fill, FILLS)


def _check(name: str, value: float | None, low: float, high: float, advice: str, *, above: bool = False) -> None:
    """Raise `UsageError` unless a number is finite and from `low` (above it with `above`) to `high`; None passes."""
    if value is None or (math.isfinite(value) and (low < value if above else low <= value) and value <= high):
        return
    raise UsageError(f"{name} {value:g} is out of range: {advice}", settings=(name,))


def _check_word(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raise `UsageError` unless a word is one of those known."""
    if value not in known:
        raise UsageError(
            f"{name} {value!r} is unknown: choose {', '.join(known[:-1])} or {known[-1]}", settings=(name,)
        )
