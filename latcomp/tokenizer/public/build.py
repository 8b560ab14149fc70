"""The tokenizer of a published autoencoder's files, under the specification that running it shows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.tokenizer.public.adapter import Habits, PublicTokenizer
from latcomp.tokenizer.public.load import load_vae
from latcomp.tokenizer.public.probe import Probe, run_probe
from latcomp.tokenizer.public.sources import Source
from latcomp.tokenizer.public.vae import Vae


def build_tokenizer(source: Source, kept: Probe | None, keep: Callable[[Probe], None]) -> PublicTokenizer:
    """kept: what was measured of it before, None to measure it; keep: takes what is measured then.

    Raises `UnsupportedFileError` for one that cannot be used, `UsageError` for files that do not fit together."""
    vae = load_vae(source)
    normalisation = _normalisation(source, vae)
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
    for values in normalisation or ():
        if len(values) not in (1, kept.spec.channels):
            raise UsageError(
                f"{source.place}: the configuration has statistics of {len(values)} channels, the weights "
                f"{kept.spec.channels}"
            )
    spec = replace(kept.spec, name=source.name)
    return PublicTokenizer(vae.to(torch.device("cpu")), spec, Habits(kept.least, kept.multiple), normalisation)


def _normalisation(source: Source, vae: Vae) -> tuple[Tensor, Tensor] | None:
    """What its configuration says of the latents' mean and deviation. Raises `UsageError` for what are no such numbers:
    whatever is divided by them would be lost."""
    try:
        found = vae.normalisation()
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise UsageError(f"{source.place}: the configuration's statistics of latents are no numbers: {error}") from None
    if found is None:
        return None
    mean, deviation = found
    if not (torch.isfinite(mean).all() and torch.isfinite(deviation).all() and (deviation > 0).all()):
        raise UsageError(
            f"{source.place}: the configuration's statistics of latents make no sense: means must be finite, "
            "deviations above zero"
        )
    return mean, deviation
