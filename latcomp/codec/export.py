"""Tokens, keep mask and dense latents of a .lat file as arrays for training and analysis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from latcomp.codec.arguments import checks_arguments
from latcomp.codec.lat_file import open_lat
from latcomp.container import Limits, check
from latcomp.errors import DamagedFileError, UsageError
from latcomp.limits import DEFAULT_MAX_PIXELS
from latcomp.models import faults_of, prior_finder
from latcomp.output import output_file
from latcomp.printable import utf8
from latcomp.sources import open_seekable, source_name

FORMATS = (".npz", ".safetensors")


@dataclass(frozen=True)
class ExportResult:
    """What an export wrote."""

    tokens: int
    """Kept tokens."""
    positions: int
    """Positions of all latent frames."""
    bytes_total: int


def check_export(target: str | Path) -> None:
    """Raise `UsageError` when the name of an export does not end in .npz or .safetensors."""
    if Path(target).suffix.lower() not in FORMATS:
        raise UsageError(f"{target} must end in {' or '.join(FORMATS)}")


@checks_arguments
def export(
    source: str | Path | BinaryIO,
    target: str | Path,
    *,
    fill: str = "auto",
    device: str = "auto",
    tokenizer: str | Path | None = None,
    max_pixels: int = DEFAULT_MAX_PIXELS,
    limits: Limits | None = None,
    force: bool = False,
) -> ExportResult:
    """Write what a .lat file holds to a .npz or .safetensors file, as its suffix says.

    Arrays: `tokens` float32 (N, C), the kept ones in order t, y, x; `mask` bool (T, h, w), which those are; `latents`
    float32 (1, C, T, h, w), every dropped position filled. A .safetensors file names the tokenizer in its metadata.
    fill, device, tokenizer, max_pixels, limits: as for `decode`. An existing target is refused unless `force`.

    Raises `UsageError` for another suffix, `DamagedFileError` for any damage: with a group missing, mask and latents
    would no longer tell which frame they belong to; and what `decode` raises."""
    check_export(target)
    limits = limits or Limits(max_pixels=max_pixels)
    with open_seekable(source) as file:
        for problem in check(file, limits, prior_finder(tokenizer), partial(faults_of, tokenizer=tokenizer)):
            raise DamagedFileError(f"{source_name(source)} is damaged: {problem}")
        file.seek(0)
        with open_lat(file, fill=fill, device=device, limits=limits, tokenizer=tokenizer) as lat:
            header, mask = lat.header, lat.mask
            latents = lat.latents().cpu().numpy()
    # filling never alters a kept token, so the dense latents hold them all
    kept = np.ascontiguousarray(latents[0].transpose(1, 2, 3, 0)[mask])
    arrays: dict[str, Any] = {"tokens": kept, "mask": mask, "latents": np.ascontiguousarray(latents)}
    with output_file(target, force) as path, path.open("wb") as out:
        if path.suffix.lower() == ".npz":
            np.savez(out, **arrays)
        else:
            from safetensors.numpy import save

            metadata = {"tokenizer": utf8(header.tokenizer["name"]), "tokenizer_sha256": header.tokenizer["sha256"]}
            out.write(save(arrays, metadata=metadata))
        size = out.tell()
    return ExportResult(len(kept), mask.size, size)
