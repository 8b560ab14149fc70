"""A coding profile: what the encoder's constants are for one tokenizer, in `profile.json` beside its weights.

Nothing here is needed to read a file, as a file says the steps that it took from here, so a profile is not part of a
model's fingerprint: it can be fitted anew (`latcomp train profile`) without a file becoming unreadable.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from latcomp.checks import checked_number
from latcomp.errors import UsageError
from latcomp.latents.step_scale import ADJUST_MAX, ADJUST_MIN, SCALE_MAX, SCALE_MIN, StepScale
from latcomp.latents.steps import STEP_MAX, STEP_MIN, Steps

PROFILE = "profile.json"
QUALITY_MAX = 10.0
CONSTANT_MIN, CONSTANT_MAX = 1e-6, 1e6
"""Of a scale, share or lambda: beyond these float32 arithmetic overflows, and nothing is gained."""
_ABOVE_ZERO = (
    "scale_at_zero",
    "quality_octave",
    "dropped_changes",
    "fewest_tokens_scale",
    "rounding",
    "complexity_bits",
    "octaves_of_bits",
    "decibels_per_octave",
    "cut_share",
    "cut_rise",
    "cut_share_new",
)
_NOT_BELOW = (
    "hysteresis",
    "absolute_share",
    "lookahead_lambda",
    "rdo_lambda",
    "token_price",
    "fewest_tokens_price",
    "complexity_strength",
    "lit_share",
    "hold_share",
)
_WHOLE = ("coarsest_adjust", "finest_adjust")
_OF_CHANNELS = ("channel_step", "channel_scale")


@dataclass(frozen=True)
class CodingProfile:
    """Constants of an encoder; the defaults are those fitted for cv8x8x4. Raises `UsageError` for values no encoder can
    work with."""

    scale_at_zero: float = 3.75
    """Step scale of quality 0."""
    quality_octave: float = 2.5
    """Qualities over which the step scale halves."""
    dropped_changes: float = 1.44
    """Whole steps, summed over channels, by which a token may be off and still be dropped: the default threshold."""
    token_price: float = 2.5
    """Squared steps, summed over channels and latent frames, that a token must save to be kept, where a prior codes it;
    0: the threshold decides."""
    fewest_tokens_price: float = 16.0
    """The same for the fewest tokens at a quality instead of the fewest bits,"""
    fewest_tokens_scale: float = 0.6
    """and by how much the steps are then scaled, so that the quality stays the same."""
    rounding: float = 0.5
    """Values further than this from zero or an integer, in steps, round up: less is a dead zone."""
    hysteresis: float = 0.15
    """Share of a step by which a value must move beyond rounding before its symbol changes."""
    absolute_share: float = 1 / 12
    """Share of channels that must change for a token to be coded on its own instead of as a delta."""
    lookahead_lambda: float = 3.0
    """Bits that a squared error of one step squared is worth for one latent frame, where held values choose steps."""
    rdo_lambda: float = 20.0
    """The same where kept values are rounded by rate and distortion; 0 rounds plainly."""
    complexity_bits: float = 6.4
    """Bits per token of a segment whose steps are not adjusted by its content: a usual clip's."""
    complexity_strength: float = 0.5
    """Exponent of complexity: 0 is a constant step, 1 a constant rate (x264's qcomp is 0.6, or 0.4 counted so)."""
    complexity_full_until: float = 5.0
    """Quality up to which the adjustment is whole; it fades from there on,"""
    complexity_none_from: float = 10.0
    """and is none from this one on."""
    cut_share: float = 1.1
    """A scene cut: bits of the change over bits of the latent frame alone from which the one before does not help,"""
    cut_rise: float = 1.6
    """and how many times the scene's usual change it must also be, so that fast motion is no cut."""
    cut_share_new: float = 1.3
    """The first bound where the scene has no earlier change to compare with."""
    lit_share: float = 0.75
    """The LIT's squared error over hold's below which a group is filled by the LIT: where nothing moves hold's error is
    mostly rounding, which the tokenizer's decoder smooths better than the LIT's correction of the same size."""
    hold_share: float = 0.7
    """Where hold's mean squared error at dropped positions is below this share of the error at kept ones, little was
    lost and the LIT is not tried: on training clips it was never chosen below 1.08, and hold lay below 0.47 wherever
    only unchanged tokens were dropped."""
    coarsest_adjust: int = 80
    """Adjustments of step scale 1 that a search for a target may take, in 32nds of an octave: 5.7,"""
    finest_adjust: int = -96
    """and 1/8, the range the decoder was trained with and a little beyond."""
    octaves_of_bits: float = 1.1
    """First guess of a search: how many octaves larger files get when the steps are halved,"""
    decibels_per_octave: float = 2.6
    """and how many dB better the picture gets."""
    channel_step: tuple[float, ...] = ()
    """Quantiser step of each channel at step scale 1, C numbers, for a tokenizer whose configuration has none,"""
    channel_scale: tuple[float, ...] = ()
    """and what a difference in each channel is divided by. Both empty: an encoder fits them to the latents."""
    fitted: dict[str, Any] = field(default_factory=dict, compare=False)
    """Where the constants come from: clips, date, and the table of what was tried."""

    def __post_init__(self) -> None:
        for one in fields(self):
            self._check(one.name, getattr(self, one.name))
        if self.channel_step or self.channel_scale:
            Steps(self.channel_step, self.channel_scale)
        if self.rounding > 0.5:
            raise UsageError("a coding profile needs a rounding above 0 and up to 0.5")
        if self.complexity_full_until >= self.complexity_none_from:
            raise UsageError("a coding profile needs a complexity_full_until below its complexity_none_from")
        if not ADJUST_MIN <= self.finest_adjust < self.coarsest_adjust <= ADJUST_MAX:
            raise UsageError(
                f"a coding profile needs a finest_adjust below its coarsest_adjust, {ADJUST_MIN} to {ADJUST_MAX}"
            )
        finest = self.step_scale(QUALITY_MAX).value
        if not SCALE_MIN <= finest <= SCALE_MAX:
            raise UsageError(
                f"a coding profile needs step scales of {SCALE_MIN:g} to {SCALE_MAX:g} at all qualities: "
                f"scale_at_zero and quality_octave make {finest:g} of quality {QUALITY_MAX:g}"
            )

    @staticmethod
    def _check(name: str, value: Any) -> None:
        """Raise `UsageError` when a member has not its type, or no size that any encoder can work with."""
        if name == "fitted":
            if not isinstance(value, dict):
                raise UsageError("a coding profile needs a fitted that is an object")
        elif name in _OF_CHANNELS:
            if not isinstance(value, tuple):
                raise UsageError(f"a coding profile needs a {name} that is a list of numbers")
            for number in value:
                checked_number(name, number, STEP_MIN, STEP_MAX, f"choose {STEP_MIN:g} to {STEP_MAX:g}")
        elif name in _WHOLE:
            if not isinstance(value, int) or isinstance(value, bool):
                raise UsageError(f"a coding profile needs a {name} that is a whole number")
        else:
            low = CONSTANT_MIN if name in _ABOVE_ZERO else 0.0 if name in _NOT_BELOW else -CONSTANT_MAX
            advice = f"a coding profile needs a number from {low:g} to {CONSTANT_MAX:g}"
            checked_number(name, value, low, CONSTANT_MAX, advice)

    @property
    def steps(self) -> Steps | None:
        """The steps of the channels; None where it has none."""
        return Steps(self.channel_step, self.channel_scale) if self.channel_step else None

    def step_scale(self, quality: float) -> StepScale:
        """The step scale of a quality from 0 to 10. Raises `UsageError` outside the range."""
        if not 0 <= quality <= QUALITY_MAX:
            raise UsageError(f"quality {quality:g} is out of range: choose 0 (small) to 10 (exact)")
        return StepScale(self.scale_at_zero * 2.0 ** (-quality / self.quality_octave))

    def threshold(self, scale: StepScale, channels: int) -> float:
        """The temporal L1 difference, a mean over channels, above which a token is kept by default."""
        return self.dropped_changes / channels * scale.value

    @classmethod
    def load(cls, folder: Path) -> CodingProfile:
        """The profile in a tokenizer's folder; the defaults where there is none. Raises `UsageError` for a file that is
        not one."""
        path = folder / PROFILE
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return cls()
        except (OSError, ValueError, RecursionError) as error:
            raise UsageError(f"{path} cannot be read as a coding profile: {error}") from None
        if not isinstance(found, dict):
            raise UsageError(f"{path} is no coding profile: it is no JSON object")
        for name in found.keys() - {one.name for one in fields(cls)}:
            raise UsageError(f"{path} is no coding profile of this version: {name!r:.60} is not known")
        for name in _OF_CHANNELS:
            if isinstance(found.get(name), list):
                found[name] = tuple(found[name])
        try:
            return cls(**found)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from None

    def save(self, folder: Path) -> Path:
        """Write the profile into a tokenizer's folder; returns its path."""
        path = folder / PROFILE
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(asdict(self), indent=2) + "\n", encoding="utf-8")
        partial.replace(path)  # whole or not at all; and of a link the link is replaced, not what it points to
        return path
