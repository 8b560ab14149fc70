"""The tokenizer of a published autoencoder's files, under the specification that running it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch

from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.tokenizer.public.adapter import Habits, PublicTokenizer
from latcomp.tokenizer.public.load import load_vae
from latcomp.tokenizer.public.probe import Probe, run_probe
from latcomp.tokenizer.public.sources import Source


def build_tokenizer(source: Source, kept: Probe | None, keep: Callable[[Probe], None]) -> PublicTokenizer:
    """kept: what was measured of it before, None to measure it; keep: takes what is measured then.

    Raises `UnsupportedFileError` for one that cannot be used, `UsageError` for files that do not fit together."""
    vae = load_vae(source)
    normalisation = vae.normalisation()
    if kept is None:
        on_gpu = vae.dtype in (torch.bfloat16, torch.float16) and torch.cuda.is_available()
        vae.to(torch.device("cuda" if on_gpu else "cpu"))
        try:
            kept = run_probe(vae, source.name, normalisation)
        except UnsupportedFileError as error:
            if vae.dtype == torch.float32 or on_gpu:
                raise
            raise UsageError(
                f"{source.place} was saved in {str(vae.dtype).removeprefix('torch.')}, which CPUs do not have all "
                f"operations for: use a GPU, or save it in float32 ({error})"
            ) from None
        keep(kept)
    spec = replace(kept.spec, name=source.name)
    return PublicTokenizer(vae.to(torch.device("cpu")), spec, Habits(kept.least, kept.multiple), normalisation)
