"""Latents back out of a .lat file, in the type and layout that they were given in. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from latcomp.codec.arguments import checks_arguments
from latcomp.codec.kept_values import KeptValues
from latcomp.codec.latent_array import restored
from latcomp.codec.places import moves, no_frame_places
from latcomp.container import Attachment, Group, Header, Limits, LostGroups, PackedAttachment, Reader
from latcomp.container.walk import NO_FRAMES
from latcomp.errors import DamagedFileError, UsageError
from latcomp.latents import hold
from latcomp.latents.held import HeldGroup
from latcomp.latents.steps import Steps
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.models import prior_finder
from latcomp.sources import open_source, source_name


class HeldLatents:
    """The groups of a file that says its own steps, or has exact latents: filled by hold, without its tokenizer."""

    def __init__(self, header: Header) -> None:
        """Raises `UsageError` for a file whose steps are its tokenizer's."""
        steps = None if header.steps is None else Steps.from_json(header.steps)
        if steps is None and header.coding != "lossless":
            raise UsageError(f"the steps of this file are those of its tokenizer {header.tokenizer['name']!r}")
        self._values = KeptValues(header, np.ones(header.channels, np.float32) if steps is None else steps.step)

    def next(self, group: Group) -> HeldGroup:
        """The next group."""
        memory, tokens, _ = self._values.take(group)
        return hold(memory, tokens, group.mask, group.halvings, group.view)


@dataclass(frozen=True)
class LatentsInfo:
    """What a file says of the latents that it was made of."""

    tokenizer: dict[str, Any]
    """`name`, `channels`, `spatial`, `temporal`, `first_frames`; `sha256` and `fingerprint` where they were known."""
    space: str
    """'raw', 'normalised' or 'scaled'."""
    estimator: str
    """'mode', 'sample' or 'moments'."""
    layout: str
    """'CFHW' or 'BCFHW'."""
    dtype: str
    """'float32', 'float16' or 'bfloat16'."""
    architecture: str | None
    """The id that a trainer knows the model by."""
    frames: int
    height: int
    width: int
    fps: Fraction | None
    """Frames per second; None where they were not known."""
    lossless: bool
    """Whether the latents are those that were given bit for bit."""
    attachments: tuple[Attachment, ...]
    """What was carried along, in file order."""

    @classmethod
    def of(cls, header: Header, frames: int, attachments: tuple[Attachment, ...] = ()) -> LatentsInfo:
        """That of a header. Raises `UsageError` for a file that was made of a video."""
        said = header.latents
        if said is None:
            raise UsageError(
                "made of a video: latcomp.open(...).latents() gives its latents, latcomp tokens saves them"
            )
        rate = header.average_rate
        return cls(
            {**header.tokenizer, "first_frames": header.rule_of(key=True).first},
            said["space"],
            said["estimator"],
            said["layout"],
            said["dtype"],
            said.get("architecture"),
            frames,
            header.height,
            header.width,
            None if rate is None or not rate[0] else Fraction(*rate),
            header.coding == "lossless",
            attachments,
        )


@checks_arguments
def decode_latents(
    source: str | Path | BinaryIO, *, max_pixels: int = DEFAULT_MAX_PIXELS, limits: Limits | None = None
) -> tuple[np.ndarray, LatentsInfo]:
    """(latents, what is known of them) of a .lat file that `encode_latents` made.

    source: a path or a binary file object, which may be a pipe. The latents are (C, T, h, w) or (1, C, T, h, w), as
    they were given, float16 or float32; those of bfloat16 are float32 numbers that are all bfloat16. Dropped tokens
    have their last kept value. limits: what the file may claim; those of `Limits` and `max_pixels` unless given.

    Raises `UsageError` for a file that was made of a video, `DamagedFileError` for any damage: what a cache gives must
    be what was put in; and `UnsupportedFileError` and `LimitError` as a reader does."""
    with open_source(source) as file:
        reader = Reader(file, limits or Limits(max_pixels=max_pixels), prior_finder())
        LatentsInfo.of(reader.header, 0)
        held = HeldLatents(reader.header)
        parts, attachments, frames = [], [], 0
        for item in reader:
            if isinstance(item, LostGroups) or reader.damage:
                break
            if isinstance(item, PackedAttachment):
                attachments.append(item.unpack())
            elif isinstance(item, Group):
                if moves(item):
                    raise no_frame_places("latents have", "read them with latcomp.open(...)")
                parts.append(held.next(item).held)
                frames += len(item.pts)
        if reader.damage or not parts:
            raise DamagedFileError(f"{source_name(source)} is damaged: {(*reader.damage, NO_FRAMES)[0]}")
    info = LatentsInfo.of(reader.header, frames, tuple(attachments))
    return restored(np.concatenate(parts, axis=1), info.dtype, info.layout), info
