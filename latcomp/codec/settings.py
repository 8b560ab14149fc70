"""Settings of an encoding and of a decoding. They are checked here and nowhere else; no torch."""

from __future__ import annotations

from dataclasses import dataclass

from latcomp.checks import check_flag, check_text, check_whole, check_word, checked_number
from latcomp.errors import UsageError
from latcomp.latents.profile import CONSTANT_MAX, QUALITY_MAX
from latcomp.latents.time_window import TimeWindow

DEFAULT_QUALITY = 5.0
GROUP_LATENT_FRAMES = 8
SEGMENT_GROUPS = 8
SEGMENT_BYTES = 2**29
"""Of latents and frames that a search for a target may hold: larger pictures have shorter segments."""
STEPS_MOST_OFF = 4.0
"""How many times larger or smaller than a tokenizer's own guess steps that are fitted may be: a film may begin with
nothing but black."""
NUMBER_MOST = 1e30  # what a header may say of a threshold and of bits per pixel
PSNR_MOST = 60.0  # dB; more than this no tokenizer gives

CODINGS = ("context", "zstd", "adaptive")
REFERENCES = ("kept", "previous")
CAMERAS = ("auto", "off")
FILLS = ("auto", "lit", "hold")
OPTIMISES = ("bits", "tokens")
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
    camera: str = "auto"
    """'auto': a moving camera is followed where that saves bits; 'off': frames stay where they are, as they must for
    latents that others read in frame places.
    """
    optimise: str = "bits"
    """What is to be least at a quality: 'bits', or 'tokens', by finer steps for fewer of them. By neither where a
    threshold or a budget of tokens decides.
    """
    coding: str = "context"
    """'context': masks and tokens under the tokenizer's prior, or under contexts where it has none; 'zstd': by zstd
    alone; 'adaptive': without a prior, by what was coded before in the segment.
    """
    lookahead_lambda: float | None = None
    """Bits that a squared error of one step squared is worth where values that will be held choose their steps; 0: one
    step for all; None: the tokenizer's profile decides.
    """
    rdo_lambda: float | None = None
    """The same for rounding by rate and distortion; 0 rounds plainly."""
    lossless: bool = False
    """Store float32 latents bit for bit, for research."""

    def __post_init__(self) -> None:
        self._number("quality", 0, QUALITY_MAX, "choose 0 (small) to 10 (exact)")
        self._number("threshold", 0, NUMBER_MOST, f"choose 0 to {NUMBER_MOST:g} (0.002 to 0.06 is usual)")
        self._number("keep", 0, 1, "choose a share above 0 and up to 1, such as 0.3", above=True)
        self._number("target_bpp", 0, NUMBER_MOST, "choose more than 0 bits per pixel, such as 0.08", above=True)
        psnr = f"choose more than 0 and up to {PSNR_MOST:g} dB, such as 34"
        self._number("min_psnr", 0, PSNR_MOST, psnr, above=True)
        for name in ("lookahead_lambda", "rdo_lambda"):
            self._number(name, 0, CONSTANT_MAX, f"choose 0 to {CONSTANT_MAX:g}")
        check_word("coding", self.coding, CODINGS)
        check_word("reference", self.reference, REFERENCES)
        check_word("camera", self.camera, CAMERAS)
        check_word("optimise", self.optimise, OPTIMISES)
        check_flag("lossless", self.lossless)
        self._check_together()

    def _number(self, name: str, low: float, high: float, advice: str, *, above: bool = False) -> None:
        """Take a number that was given as Python's own. Raises what `checked_number` does; None passes."""
        value = getattr(self, name)
        if value is not None:
            object.__setattr__(self, name, checked_number(name, value, low, high, advice, above=above))

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
        for name in ("threshold", "keep"):
            if self.optimise != "bits" and getattr(self, name) is not None:
                raise UsageError(
                    f"optimise {self.optimise} and {name} exclude each other: {name} decides which tokens are kept",
                    settings=("optimise", name),
                )
        if self.optimise != "bits" and self.lossless:
            raise UsageError(
                f"lossless and optimise {self.optimise} exclude each other: exact latents keep all that changes",
                settings=("lossless", "optimise"),
            )
        if self.lossless and self.quality is not None:
            raise UsageError("lossless and quality exclude each other: give one", settings=("lossless", "quality"))

    @property
    def learns(self) -> bool:
        """Whether tokens are coded by what was coded before, and the header has to require that."""
        return self.coding == "adaptive" and not self.lossless

    @property
    def takes_a_prior(self) -> bool:
        """Whether tokens are coded under the tokenizer's prior, where there is one."""
        return self.coding != "adaptive" and not self.lossless

    @property
    def weighs(self) -> bool:
        """Whether tokens are kept by what they save and cost, instead of by a threshold or a budget."""
        return self.threshold is None and self.keep is None and self.reference == "kept" and not self.lossless

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
        for name in ("codec", "format"):
            if getattr(self, name) is not None:
                check_text(name, getattr(self, name))
        if self.crf is not None:
            check_whole("crf", self.crf, 0, "choose a whole number, 0 (best) or more")
        check_flag("audio", self.audio)
        TimeWindow.of(self.start_seconds, self.duration_seconds)

    @property
    def window(self) -> TimeWindow:
        """The chosen time."""
        return TimeWindow.of(self.start_seconds, self.duration_seconds)


def check_fill(fill: object) -> None:
    """Raise `UsageError` for a way of filling that is not known."""
    check_word("fill", fill, FILLS)
