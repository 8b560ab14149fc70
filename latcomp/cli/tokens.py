"""`latcomp tokens`: what a .lat file holds, as arrays for training and analysis."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from latcomp.cli.common import Force, LatInput, Quiet, check_paths, input_file, note, readable_bytes
from latcomp.errors import UsageError

FORMATS = (".npz", ".safetensors")


def tokens(
    source: LatInput,
    target: Annotated[Path, typer.Argument(metavar="OUT", help="A .npz or .safetensors file.")],
    force: Force = False,
    quiet: Quiet = False,
) -> None:
    """Write kept tokens, keep mask and dense latents as arrays.

    tokens (N, C): the kept ones in order t, y, x; mask (T, h, w): which those are; latents (1, C, T, h, w): with every dropped
    position filled.
    """
    if target.suffix.lower() not in FORMATS:
        raise UsageError(f"{target} must end in {' or '.join(FORMATS)}")
    lat = input_file(source)
    check_paths(source, target, force)

    import numpy as np

    from latcomp.codec import open_lat
    from latcomp.files import output_file

    with open_lat(lat) as file:
        mask = np.asarray(file.mask, dtype=np.bool_)  # (T, h, w)
        latents = np.ascontiguousarray(file.latents(), dtype=np.float32)  # (1, C, T, h, w)
        header = file.header
    # filling never alters a kept token, so the dense latents hold them all
    arrays: dict[str, Any] = {
        "tokens": np.ascontiguousarray(latents[0].transpose(1, 2, 3, 0)[mask]),
        "mask": mask,
        "latents": latents,
    }
    with output_file(target, force) as path, path.open("wb") as out:
        if target.suffix.lower() == ".npz":
            np.savez(out, **arrays)
        else:
            from safetensors.numpy import save

            metadata = {"tokenizer": header.tokenizer["name"], "tokenizer_sha256": header.tokenizer["sha256"]}
            out.write(save(arrays, metadata=metadata))
    if not quiet:
        note(
            f"{target}: {len(arrays['tokens'])} tokens of {mask.size}, {readable_bytes(target.stat().st_size)}"
        )
