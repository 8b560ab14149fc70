"""Tokens, keep mask and dense latents of a .lat file as arrays for training and analysis."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from latcomp.codec.arguments import checks_arguments
from latcomp.codec.lat_file import open_lat
from latcomp.codec.places import WorldLatents, check_places
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
    """Positions of all latent frames, those that they show."""
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
    places: str = "frame",
    force: bool = False,
) -> ExportResult:
    """Write what a .lat file holds to a .npz or .safetensors file, as its suffix says.

    Arrays: `tokens` float32 (N, C), the kept ones in order t, y, x; `mask` bool (T, h, w), which those are; `latents`
    float32 (1, C, T, h, w), every dropped position filled. A .safetensors file names the tokenizer in its metadata.
    places: with 'world' there is a set of arrays for each group, whose names end in its number (`latents_0`): `tokens`,
    `mask` and `latents` over the group's window of the world, and of `WorldLatents` also `window` int64 (4,), `offsets`
    and `visible`. fill, device, tokenizer, max_pixels, limits: as for `decode`. An existing target is refused unless
    `force`.

    Raises `UsageError` for another suffix, and with 'frame' where the camera was followed; `DamagedFileError` for any
    damage: with a group missing, mask and latents would no longer tell which frame they belong to; and what `decode`
    raises."""
    check_export(target)
    check_places(places)
    limits = limits or Limits(max_pixels=max_pixels)
    with open_seekable(source) as file:
        for problem in check(file, limits, prior_finder(tokenizer), partial(faults_of, tokenizer=tokenizer)):
            raise DamagedFileError(f"{source_name(source)} is damaged: {problem}")
        file.seek(0)
        with open_lat(file, fill=fill, device=device, limits=limits, tokenizer=tokenizer) as lat:
            header = lat.header
            if places == "world":
                arrays, kept, positions = _of_world(lat.latents(places="world"))
            else:
                latents, mask = lat.latents(), lat.mask
                arrays = _arrays(latents, mask)
                kept, positions = len(arrays["tokens"]), mask.size
    with output_file(target, force) as path, path.open("wb") as out:
        if path.suffix.lower() == ".npz":
            np.savez(out, **arrays)  # type: ignore[arg-type,unused-ignore]
        else:
            from safetensors.numpy import save

            metadata = {"tokenizer": utf8(header.tokenizer["name"])}
            if "sha256" in header.tokenizer:
                metadata["tokenizer_sha256"] = header.tokenizer["sha256"]
            out.write(save(arrays, metadata=metadata))
        size = out.tell()
    return ExportResult(kept, positions, size)


def _arrays(latents: Any, mask: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of some latents (1, C, T, h, w)."""
    dense = latents.cpu().numpy()
    # filling never alters a kept token, so the dense latents hold them all
    kept = np.ascontiguousarray(dense[0].transpose(1, 2, 3, 0)[mask])
    return {"tokens": kept, "mask": mask, "latents": np.ascontiguousarray(dense)}


def _of_world(groups: list[WorldLatents]) -> tuple[dict[str, np.ndarray], int, int]:
    """(arrays named by the number of their group, kept tokens, positions)."""
    arrays: dict[str, np.ndarray] = {}
    for group in groups:
        found = _arrays(group.latents, group.mask)
        found |= {"window": np.array(group.window), "offsets": group.offsets, "visible": group.visible}
        arrays |= {f"{name}_{group.index}": values for name, values in found.items()}
    kept, positions = (sum(int(getattr(group, name).sum()) for group in groups) for name in ("mask", "visible"))
    return arrays, kept, positions
