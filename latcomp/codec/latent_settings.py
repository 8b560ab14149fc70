"""How latents are to be encoded: settings, and what is said of their tokenizer. Checked here; no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from latcomp.checks import check_flag, check_word, checked_number
from latcomp.codec.settings import CODINGS, DEFAULT_QUALITY, NUMBER_MOST
from latcomp.container.header_fields import ESTIMATORS, SPACES
from latcomp.errors import UsageError
from latcomp.latents.frame_rule import FrameRule
from latcomp.latents.profile import QUALITY_MAX

RATE_MOST = 1_000_000  # frames per second; denominators up to this too
_WHOLE = ("channels", "spatial", "temporal", "first_frames", "transient")
_TEXT = ("name", "sha256", "fingerprint")


@dataclass(frozen=True)
class LatentSettings:
    """How to encode latents. Raises `UsageError` for values out of range and for settings that exclude each other."""

    quality: float | None = None
    """0 (small) to 10 (exact); None: the default one, unless `max_rmse` or `lossless` is given."""
    max_rmse: float | None = None
    """Most that the root mean square error may be, over the latents' standard deviation, instead of a quality."""
    lossless: bool = False
    """Every number comes back bit for bit."""
    threshold: float | None = 0.0
    """Temporal L1 difference, in whole steps and as a mean over channels, above which a token is kept. 0 drops what
    repeats and nothing else; None takes the quality's own."""
    keep: float | None = None
    """Share of the tokens to keep, instead of a threshold."""
    coding: str = "adaptive"
    """'adaptive': by what was coded before, values rounded by what they cost; 'context': by contexts that are fitted to
    each group; 'zstd': by zstd alone."""
    space: str = "raw"
    """What the numbers are: 'raw' as the tokenizer's encoder gives them, 'normalised' by each channel's mean and
    deviation, 'scaled' by one factor."""
    estimator: str = "mode"
    """What they are of the encoder's distribution: its 'mode', a 'sample', or its 'moments' (mean and log variance)."""

    def __post_init__(self) -> None:
        self._number("quality", 0, QUALITY_MAX, "choose 0 (small) to 10 (exact)")
        self._number("max_rmse", 0, 1, "choose a share above 0 and up to 1, such as 0.03", above=True)
        self._number("threshold", 0, NUMBER_MOST, f"choose 0 to {NUMBER_MOST:g}")
        self._number("keep", 0, 1, "choose a share above 0 and up to 1, such as 0.3", above=True)
        check_flag("lossless", self.lossless)
        check_word("coding", self.coding, CODINGS)
        check_word("space", self.space, SPACES)
        check_word("estimator", self.estimator, ESTIMATORS)
        ways = ("quality", "max_rmse", *(("lossless",) if self.lossless else ()))
        given = tuple(name for name in ways if getattr(self, name) is not None)
        if len(given) > 1:
            raise UsageError(f"{' and '.join(given)} exclude each other: give one", settings=given)
        if self.keep is not None and self.threshold:
            raise UsageError("threshold and keep exclude each other: give one", settings=("threshold", "keep"))
        if self.lossless and (self.keep is not None or self.threshold != 0):
            raise UsageError(
                "lossless and dropped tokens exclude each other: leave threshold and keep out",
                settings=("lossless", "threshold", "keep"),
            )

    def _number(self, name: str, low: float, high: float, advice: str, *, above: bool = False) -> None:
        value = getattr(self, name)
        if value is not None:
            object.__setattr__(self, name, checked_number(name, value, low, high, advice, above=above))

    @property
    def learns(self) -> bool:
        """Whether tokens are coded by what was coded before, and the header has to require that."""
        return self.coding == "adaptive" and not self.lossless

    @property
    def quality_in_force(self) -> float | None:
        """The quality; None where something else decides."""
        if self.lossless or self.max_rmse is not None:
            return None
        return DEFAULT_QUALITY if self.quality is None else self.quality


@dataclass(frozen=True)
class NamedTokenizer:
    """What is known of the tokenizer of latents. Raises `UsageError` for what cannot be."""

    name: str
    channels: int
    spatial: int
    """Pixels per side of the square that one token stands for."""
    temporal: int
    """Frames of a latent frame."""
    first_frames: int
    """Frames of the first one."""
    transient: int = 0
    """Latent frames at the start that are kept whole."""
    sha256: str | None = None
    """Of its weights, where they are known."""
    fingerprint: str | None = None
    """Of its weights and configuration, where these are known."""
    channel_step: tuple[float, ...] | None = None
    """Relative steps of the channels; None: all alike."""

    @classmethod
    def of(cls, said: Mapping[str, Any], channels: int) -> NamedTokenizer:
        """That of a mapping: `name`, `spatial`, `temporal`, and where they are known `first_frames` (else `temporal`),
        `transient`, `channels`, `sha256`, `fingerprint` and `channel_step`. channels: those of the latents. What else
        stands in it is passed over."""
        if not isinstance(said, Mapping):
            raise UsageError(f"tokenizer {said!r:.60} is no mapping")
        values: dict[str, Any] = {"channels": channels, "first_frames": said.get("temporal"), "transient": 0}
        values |= {name: said[name] for name in (*_WHOLE, *_TEXT) if said.get(name) is not None}
        for name in ("name", "spatial", "temporal"):
            if name not in values:
                raise UsageError(f"tokenizer: {name} is missing")
        for name in _WHOLE:
            if not isinstance(values[name], int) or values[name] < (0 if name == "transient" else 1):
                raise UsageError(f"tokenizer: {name} {values[name]!r:.40} is no count")
        if values["channels"] != channels:
            raise UsageError(f"tokenizer: channels {values['channels']}, the latents have {channels}")
        steps = said.get("channel_step")
        try:
            relative = None if steps is None else tuple(float(step) for step in steps)
        except (TypeError, ValueError):
            raise UsageError(f"tokenizer: channel_step {steps!r:.60} is no list of numbers") from None
        return cls(**values, channel_step=relative)

    @property
    def rule(self) -> FrameRule:
        """Its frame rule."""
        return FrameRule(self.temporal, self.first_frames)

    def record(self) -> dict[str, Any]:
        """The header's member `tokenizer`."""
        found = {name: getattr(self, name) for name in ("name", "sha256", "fingerprint") if getattr(self, name)}
        found |= {name: getattr(self, name) for name in ("channels", "spatial", "temporal")}
        return found if self.first_frames == self.temporal else {**found, "first_frames": self.first_frames}


def rate_of(fps: Any) -> Fraction | None:
    """Frames per second as a fraction; None where they are not known. Raises `UsageError` for what is no rate."""
    if fps is None:
        return None
    advice = f"choose above 0 and up to {RATE_MOST}, such as 24"
    number = checked_number("fps", fps, 0, RATE_MOST, advice, above=True)
    found = Fraction(fps if isinstance(fps, int | Fraction) else number).limit_denominator(1001)
    if not found:
        raise UsageError(f"fps {number:g} is out of range: {advice}", settings=("fps",))
    return found
