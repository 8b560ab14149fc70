"""`latcomp tokens`: what a .lat file holds, as arrays for training and analysis."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.common import (
    Device,
    Fill,
    Force,
    LatInput,
    Quiet,
    TokenizerFolder,
    check_paths,
    note,
    open_seekable_lat,
)
from latcomp.cli.limits import MaxBytes, MaxFrames, MaxLostFrames, MaxPixels, MaxTokens, limits_from
from latcomp.errors import DamagedFileError, UsageError

FORMATS = (".npz", ".safetensors")


def tokens(
    source: LatInput,
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The arrays: a .npz or .safetensors file.")],
    fill: Fill = "auto",
    force: Force = False,
    quiet: Quiet = False,
    device: Device = "auto",
    max_pixels: MaxPixels = None,
    max_frames: MaxFrames = None,
    max_lost_frames: MaxLostFrames = None,
    max_tokens: MaxTokens = None,
    max_bytes: MaxBytes = None,
    tokenizer: TokenizerFolder = None,
) -> None:
    """Write kept tokens, keep mask and dense latents as arrays.

    Arrays: tokens (N, C), the kept ones in order t, y, x; mask (T, h, w), which those are; latents (1, C, T, h, w),
    every dropped position filled."""
    suffix = target.suffix.lower()
    if suffix not in FORMATS:
        raise UsageError(f"{target} must end in {' or '.join(FORMATS)}")
    check_paths(source, target, force)

    import numpy as np

    from latcomp.container import check
    from latcomp.files import output_file
    from latcomp.latfile import open_lat
    from latcomp.models import faults_of, prior_finder
    from latcomp.printable import utf8

    limits = limits_from(max_pixels, max_frames, max_lost_frames, max_tokens, max_bytes)
    with open_seekable_lat(source) as file:
        # with a group missing, mask and latents would no longer tell which frame they belong to
        for problem in check(file, limits, prior_finder(tokenizer), partial(faults_of, tokenizer=tokenizer)):
            raise DamagedFileError(f"{source} is damaged: {problem}")
        file.seek(0)
        with open_lat(file, fill=fill, device=device, limits=limits, tokenizer=tokenizer) as lat:
            header, mask = lat.header, lat.mask
            latents = lat.latents().cpu().numpy()
    # filling never alters a kept token, so the dense latents hold them all
    kept = np.ascontiguousarray(latents[0].transpose(1, 2, 3, 0)[mask])
    arrays: dict[str, Any] = {"tokens": kept, "mask": mask, "latents": np.ascontiguousarray(latents)}
    with output_file(target, force) as path, path.open("wb") as out:
        if suffix == ".npz":
            np.savez(out, **arrays)
        else:
            from safetensors.numpy import save

            metadata = {"tokenizer": utf8(header.tokenizer["name"]), "tokenizer_sha256": header.tokenizer["sha256"]}
            out.write(save(arrays, metadata=metadata))
    if not quiet:
        from latcomp.report.terminal import bytes_text

        note(f"{target}: {len(kept)} tokens of {mask.size}, {bytes_text(target.stat().st_size)}")
