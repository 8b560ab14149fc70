"""What `latcomp models` says of each shipped model: identity, size, cost and training."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from latcomp.models.folders import CONFIG, WEIGHTS, config_of, kind_of, shipped_folders
from latcomp.models.headers import spec_of
from latcomp.models.identity import fingerprint_of
from latcomp.models.integrity import sha256_of
from latcomp.models.registry import folders_with_weights


@dataclass(frozen=True)
class ModelCard:
    """What `latcomp models` says of one model."""

    name: str
    kind: str
    """'tokenizer', 'lit' or 'prior'."""
    path: str
    sha256: str
    """Of the weights file."""
    fingerprint: str
    """SHA-256 over weights and configuration; a .lat names its models by it."""
    bytes: int
    parameters: int
    encoder_kmac_per_pixel: float | None
    """Thousand multiply-adds per pixel of the tokenizer's encoder."""
    decoder_kmac_per_pixel: float | None
    """Thousand multiply-adds per pixel of the tokenizer's decoder, or of the LIT."""
    trained_on: str
    """Clips, steps, minutes and machine."""


def list_models() -> list[ModelCard]:
    """A card for each shipped model, in name order."""
    return [_card(folder) for folder in shipped_folders()]


def _card(folder: Path) -> ModelCard:
    from safetensors import safe_open

    path = folder / WEIGHTS
    with safe_open(path, framework="np") as file:
        parameters = sum(math.prod(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    kind = kind_of(folder)
    encoder, decoder = (None, None) if kind == "prior" else macs_per_pixel(folder)
    return ModelCard(
        config_of(folder)["name"],
        kind,
        str(folder),
        sha256_of(path),
        fingerprint_of(folder),
        path.stat().st_size,
        parameters,
        None if encoder is None else encoder / 1000,
        None if decoder is None else decoder / 1000,
        trained_in_words(folder),
    )


def macs_per_pixel(folder: Path) -> tuple[float | None, float | None]:
    """Multiply-adds per pixel of encoding and of decoding with a tokenizer, or (None, of decoding) with a LIT; None
    where they are not counted, or where the LIT's tokenizer was not found."""
    from latcomp.tokenizer.architectures import architecture_of  # what it needs imports numpy

    config = config_of(folder)
    if kind_of(folder) == "tokenizer":
        count = architecture_of(config).macs_per_pixel
        return (None, None) if count is None else count(config)
    from latcomp.inpaint.model import LitConfig, lit_macs_per_token

    for tokenizer in folders_with_weights(config["tokenizer_sha256"], "tokenizer", folder.parent):
        return None, lit_macs_per_token(LitConfig.load(folder / CONFIG)) / spec_of(tokenizer).pixels_per_token
    return None, None


def trained_in_words(folder: Path) -> str:
    """What a model's weights say of its training: clips, steps, minutes, machine, and the model it goes on from."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="np") as file:
        facts = json.loads((file.metadata() or {}).get("training", "{}"))
    if not facts:
        return "unknown"
    here = (
        f"{facts['clips_training']} clips, {facts['steps']} steps in {facts['minutes']} minutes on {facts['machine']}"
    )
    return f"{here}; its {facts['kind']} alone, after {facts['base']}" if facts.get("base") else here
