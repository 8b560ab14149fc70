"""Latents without pixels to .lat: what a trainer cached becomes a file, with no tokenizer at hand. No torch."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO

from latcomp import __version__
from latcomp.checks import check_target, check_text, check_whole
from latcomp.codec.latent_array import LatentArray
from latcomp.codec.latent_coder import LatentCoder, SelectedLatents
from latcomp.codec.latent_settings import LatentSettings, NamedTokenizer, rate_of
from latcomp.codec.result import EncodeResult
from latcomp.codec.settings import GROUP_LATENT_FRAMES
from latcomp.container import Attachment, Header, Writer
from latcomp.errors import UsageError
from latcomp.output import output_stream
from latcomp.report.stats import stats_dict
from latcomp.video.info import FALLBACK_RATE, RANGE_LIMITED, ColorTags, VideoInfo, default_matrix


def encode_latents(
    latents: Any,
    target: str | Path | BinaryIO,
    *,
    tokenizer: Mapping[str, Any],
    frames: int | None = None,
    width: int | None = None,
    height: int | None = None,
    fps: float | Fraction | None = None,
    dtype: str | None = None,
    layout: str | None = None,
    architecture: str | None = None,
    attachments: Iterable[Attachment] = (),
    force: bool = False,
    **settings: Any,
) -> EncodeResult:
    """Encode latents of one clip, as one stream of a tokenizer's encoder gave them, into a .lat file.

    latents: array or torch tensor (C, T, h, w) or (1, C, T, h, w) of float32, float16 or bfloat16; an array of bfloat16
    is one of float32 with `dtype='bfloat16'`. target: a path or a binary file object, written forward only; an existing
    path is refused unless `force`. tokenizer: what is known of it, see `NamedTokenizer.of`: `name`, `spatial` and
    `temporal`; `first_frames` (1 for 1 + 4k frames), `transient`, `sha256`, `fingerprint` and `channel_step` where they
    are known. frames, height, width: of the video, in frames and pixels; None: as many as the latents stand for. fps:
    frames per second, None where they are not known. layout: 'CFHW' or 'BCFHW', None as the latents are. architecture:
    the id that a trainer knows the model by. attachments: arrays to be carried along. settings: fields of
    `LatentSettings` (quality, max_rmse, lossless, threshold, keep, coding, space, estimator).

    The steps are fitted to the latents by `fit_steps` and stored. `relative_rmse` of the result is measured on what
    `decode_latents` gives back. Raises `UsageError` for arguments that do not fit each other or the latents, and for an
    error that cannot be met; `LimitError` for more than a file holds; `OutputError` when the target cannot be
    written."""
    check_target("target", target)
    chosen = LatentSettings(**settings)
    began = time.monotonic()
    array = LatentArray.of(latents, dtype, layout)
    named = NamedTokenizer.of(tokenizer, len(array.values))
    coder = LatentCoder(array, named, chosen)
    rate = rate_of(fps)
    count, rows, columns = _size(array, named, frames, height, width)
    if architecture is not None:
        check_text("architecture", architecture)
    said = {"space": chosen.space, "estimator": chosen.estimator, "layout": array.layout, "dtype": array.dtype}
    if architecture is not None:
        said["architecture"] = architecture
    selected = coder.selected()
    header = _header(coder, selected, said, (rows, columns), rate)
    with ExitStack() as stack:
        file = stack.enter_context(output_stream(target, force)) if isinstance(target, str | Path) else target
        with Writer(file, header, coding=chosen.coding) as writer:
            for group in coder.groups(selected, count):
                writer.write_group(group)
            for attachment in attachments:
                writer.write_attachment(attachment)
            summary = writer.close()
    seconds = time.monotonic() - began
    stats = stats_dict(summary)
    return EncodeResult(stats, seconds, count / max(seconds, 1e-9), "cpu", (), relative_rmse=selected.relative_rmse)


def _size(
    array: LatentArray, tokenizer: NamedTokenizer, frames: int | None, height: int | None, width: int | None
) -> tuple[int, int, int]:
    """(frames, height, width) of the video that latents stand for. Raises `UsageError` for a size of which they are
    none."""
    _, steps, rows, columns = array.values.shape
    found = []
    for name, given, most in (
        ("frames", frames, tokenizer.rule.frames(steps)),
        ("height", height, rows * tokenizer.spatial),
        ("width", width, columns * tokenizer.spatial),
    ):
        if given is not None:
            check_whole(name, given, 1, "give that of the video")
        found.append(most if given is None else given)
    count, tall, wide = found
    if not tokenizer.rule.fits(count, steps):
        raise UsageError(f"frames {count} do not make {steps} latent frames of this tokenizer", settings=("frames",))
    for name, side, places in (("height", tall, rows), ("width", wide, columns)):
        if -(-side // tokenizer.spatial) != places:
            raise UsageError(
                f"{name} {side} does not make {places} positions of {tokenizer.spatial} pixels", settings=(name,)
            )
    return count, tall, wide


def _header(
    coder: LatentCoder, selected: SelectedLatents, said: dict[str, str], size: tuple[int, int], rate: Fraction | None
) -> Header:
    """The file's header. size: (height, width) in pixels; rate: frames per second, None where it is not known."""
    settings, tokenizer = coder.settings, coder.tokenizer
    info = VideoInfo(
        width=size[1],
        height=size[0],
        time_base=1 / (rate or FALLBACK_RATE),
        average_rate=rate,
        sample_aspect_ratio=Fraction(1),
        rotation_degrees=0,
        color=ColorTags(matrix=default_matrix(size[0]), range=RANGE_LIMITED),
    )
    requires = (*(("first_frames",) if tokenizer.first_frames != tokenizer.temporal else ()),)
    requires += ("latents",) if coder.steps is None else ("steps", "latents")
    requires += ("adaptive",) if settings.learns else ()
    return Header(
        **info.to_header_fields(),
        tokenizer=tokenizer.record(),
        lit=None,
        quality=settings.quality_in_force,
        step_scale=selected.scale.value,
        coding="lossless" if settings.lossless else "int",
        threshold=selected.threshold,
        keep=settings.keep,
        reference="kept",
        group_latent_frames=GROUP_LATENT_FRAMES,
        segment_groups=len(coder.starts),
        created_by=f"latcomp {__version__}",
        requires=requires,
        steps=None if coder.steps is None else coder.steps.to_json(),
        latents=said,
    )
