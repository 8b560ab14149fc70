"""What the codec knows of a tokenizer: its specification, the protocol it is called by, and the frame rule.

Imports no torch: a file is held against its tokenizer's specification where none is loaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, Self, runtime_checkable

from latcomp.errors import UsageError
from latcomp.latents.frame_rule import FrameRule

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True)
class TokenizerSpec:
    """Everything that is outside of a tokenizer known of it. `tests/tokenizer/test_contract.py` holds each member
    against what running the tokenizer shows. Raises `UsageError` for values that no tokenizer has."""

    name: str
    """As people call it."""
    channels: int
    """Latent channels C."""
    spatial: int
    """Pixels per side of the square that one token stands for."""
    temporal: int
    """Frames that a latent frame stands for."""
    first_frames: int
    """Frames that the first latent frame of a stream stands for: `temporal` for tokenizers that take every latent frame
    alike, 1 for most public ones (1 + 4k frames)."""
    channel_step: tuple[float, ...]
    """Quantiser step of each channel at step scale 1, C numbers."""
    channel_scale: tuple[float, ...]
    """Scale that makes a change in one channel comparable to a change in another, C numbers: the temporal difference is
    taken of latents divided by it."""
    decoder_reach: int | None = None
    """Latent frames, its own counted, that a decoded latent frame depends on; None: on all since the stream's start, as
    where the tokenizer `restarts`."""
    conditioned: bool = False
    """Whether the decoder heeds a `DecoderCondition`."""
    pixel_range: tuple[float, float] = (-1.0, 1.0)
    """Values of black and white."""
    dtype: str = "float32"
    """Number type that the encoder takes and computes in, by torch's name. Latents are float32 outside of it."""
    exact_streaming: bool = True
    """Whether a stream in pieces gives what one call gives, within 1e-5 of the latents' size. Where it does not, each
    group is a segment and goes through encoder and decoder in one call without a state."""
    transient: int = 0
    """Latent frames at a stream's start that change though the scene does not: they have to be kept whole."""
    movable: bool = False
    """Whether it is a `MovableTokenizer`, whose streams can follow a moving camera."""
    steps_known: bool = False
    """Whether `channel_step` and `channel_scale` stand in its configuration, as where it was trained with a quantiser,
    so that whoever reads a file has them. Where they do not, `channel_step` says how large one channel's step is beside
    another's, and at a guess their common size: an encoder fits that to the latents, and each file says its steps."""
    space: str | None = None
    """What its latents are, in the words of a file that was made of latents: 'raw', 'normalised' or 'scaled'; None: not
    said. Latents of another space are not decoded."""
    period: int = 1
    """Latent frames after which the latents of a still scene repeat; 1: each is as the one before."""
    chunk: int = 1
    """Latent frames that go through the networks together, as where a norm spans them: a stream's first call takes
    1 + k * chunk of them and later ones k * chunk. A tokenizer takes other counts too and completes them by repetition,
    but only as the last call of a stream."""

    def __post_init__(self) -> None:
        if min(self.channels, self.spatial, self.temporal, self.period) < 1 or self.transient < 0:
            raise UsageError(f"tokenizer {self.name!r}: channels, factors and period must be 1 or more")
        if not 1 <= self.first_frames <= self.temporal:
            raise UsageError(
                f"tokenizer {self.name!r}: its first latent frame cannot stand for {self.first_frames} frames"
            )
        if self.chunk < 1 or (self.chunk > 1 and self.first_frames == self.temporal > 1):
            raise UsageError(f"tokenizer {self.name!r}: a chunk of {self.chunk} needs a first latent frame of its own")
        if self.restarts and self.decoder_reach is not None:
            raise UsageError(f"tokenizer {self.name!r}: what a first latent frame decodes to has no reach")
        if {len(self.channel_step), len(self.channel_scale)} != {self.channels}:
            raise UsageError(f"tokenizer {self.name!r}: {self.channels} steps and scales are needed, one a channel")

    @property
    def rule(self) -> FrameRule:
        """The frame rule of a stream."""
        return FrameRule(self.temporal, self.first_frames)

    @property
    def restarts(self) -> bool:
        """Whether the encoder must start anew where a segment does, as the decoder always does: a first latent frame
        that differs from the others can only be decoded as a first one."""
        return self.first_frames != self.temporal or self.transient > 0 or not self.exact_streaming

    @property
    def pixels_per_token(self) -> int:
        """Pixels of all frames that a token stands for."""
        return self.spatial * self.spatial * self.temporal

    def latent_frames(self, frames: int) -> int:
        """Latent frames of a stream of so many frames."""
        return self.rule.latent_frames(frames)

    def frames(self, latent_frames: int) -> int:
        """Frames that a stream of so many latent frames decodes to."""
        return self.rule.frames(latent_frames)

    def whole_chunks(self, most: int, start: bool) -> int:
        """Latent frames of the longest call of up to `most` that leaves no chunk unfinished; that of one chunk where
        none fits. start: whether the call begins a stream."""
        first = int(start and self.chunk > 1)
        return first + max((most - first) // self.chunk, 1) * self.chunk

    def place(self, latent_frame: int) -> slice:
        """The frames of a stream that a latent frame stands for."""
        return self.rule.place(latent_frame)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """(h, w): rows and columns of positions of a picture."""
        return -(-height // self.spatial), -(-width // self.spatial)

    def padding(self, frames: int, height: int, width: int, start: bool = True) -> tuple[int, int, int]:
        """(frames at the end, rows at the bottom, columns at the right) by which pixels must grow before `encode` takes
        them. start: whether they begin a stream."""
        rule = self.rule if start else self.rule.inside
        return rule.missing(frames), -height % self.spatial, -width % self.spatial


@dataclass(frozen=True)
class DecoderCondition:
    """What a decoder may be told of the quantiser behind the latents, so that it smooths more where they are coarse."""

    step_scale: float
    """Scale of the quantiser's steps."""
    step_halvings: Tensor | None = None
    """(B, T, h, w): how many times the step behind each token was halved; None: never."""


@runtime_checkable
class VideoTokenizer(Protocol):
    """A frozen, causal video tokenizer. What `encode` and `decode` return as state goes into the next call of the same
    stream; None starts one."""

    @property
    def spec(self) -> TokenizerSpec:
        """What is known of it."""

    def encode(self, pixels: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Latents (B, C, T, h, w) float32 of pixels (B, 3, frames, spatial*h, spatial*w) in `spec.pixel_range`, and the
        state to encode on from.

        At a stream's start T latent frames take `spec.frames(T)` frames, later on `temporal*T`. Raises `UsageError` for
        pixels that do not divide so."""

    def decode(
        self, latents: Tensor, state: Any = None, condition: DecoderCondition | None = None
    ) -> tuple[Tensor, Any]:
        """Pixels in `spec.pixel_range` of latents (B, C, T, h, w), as many frames as `encode` would take for them, and
        the state to decode on from.

        condition: of the quantiser; None stands for latents that were not quantised. A tokenizer whose specification
        does not say `conditioned` does not look at it. Raises `UsageError` when the channels do not match."""

    def to(self, device: torch.device) -> Self:
        """The tokenizer on a device, in the memory layout that it likes best."""


@runtime_checkable
class MovableTokenizer(VideoTokenizer, Protocol):
    """One whose streams can follow a moving camera; its specification says `movable`."""

    def move(self, state: Any, down: int, right: int, grid: tuple[int, int]) -> Any:
        """The state of an encoding or decoding stream that goes on over another box of positions: one of (rows,
        columns) whose corner lies so many positions down and to the right of the last one's. A position that is new in
        it begins as the nearest one of the last."""


@runtime_checkable
class FrameTokenizer(VideoTokenizer, Protocol):
    """One that takes and gives frames as video has them, which spares passes over pixels as floats. Its results are
    those of `encode` and `decode` of one clip with `latcomp.tokenizer.pixels` around them."""

    def encode_frames(self, frames: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Latents (1, C, T, h, w) of RGB frames (frames, spatial*h, spatial*w, 3) uint8, and the state to encode on
        from."""

    def decode_frames(
        self, latents: Tensor, state: Any = None, condition: DecoderCondition | None = None
    ) -> tuple[Tensor, Any]:
        """RGB frames (frames, spatial*h, spatial*w, 3) uint8 of latents (1, C, T, h, w), and the state to decode on
        from."""
