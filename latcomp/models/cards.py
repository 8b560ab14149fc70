"""What `latcomp models` says of a model: identity, size, cost and training."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from latcomp.errors import UsageError
from latcomp.models.folders import CONFIG, WEIGHTS, config_of, is_complete, kind_of, shipped_folders, weights_folder
from latcomp.models.headers import probe_of, spec_of
from latcomp.models.identity import fingerprint_of
from latcomp.models.integrity import sha256_of
from latcomp.models.profiles import notes_of
from latcomp.models.public import published, published_identity, published_sha256
from latcomp.models.registry import find_tokenizer, folders_with_weights
from latcomp.tokenizer.public.sources import Source, safetensors_header


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
    parameters: int | None
    """None where the weights are no safetensors."""
    encoder_kmac_per_pixel: float | None
    """Thousand multiply-adds per pixel of the tokenizer's encoder."""
    decoder_kmac_per_pixel: float | None
    """Thousand multiply-adds per pixel of the tokenizer's decoder, or of the LIT."""
    trained_on: str
    """Clips, steps, minutes and machine."""
    spec: dict[str, Any] | None = None
    """The members of a tokenizer's specification."""
    published: dict[str, Any] | None = None
    """What else running a published tokenizer showed."""
    notes: tuple[str, ...] = ()
    """What a person should know who encodes with a published tokenizer."""


def list_models() -> list[ModelCard]:
    """A card for each shipped model, in name order."""
    return [_card(folder) for folder in shipped_folders()]


def card_of(name_or_path: str | Path) -> ModelCard:
    """The card of one model: a shipped one by name, any in a folder, a published tokenizer in its folder or file, which
    is run where nothing is kept of it. Raises what `find_tokenizer` does."""
    for folder in (weights_folder() / str(name_or_path), Path(name_or_path)):
        if is_complete(folder):
            return _card(folder)
    place = find_tokenizer(name_or_path)
    source = published(place)
    return _card(place) if source is None else _published_card(source)


def _published_card(source: Source) -> ModelCard:
    found = probe_of(source.place)
    shown = found.to_json()
    spec = shown.pop("spec")
    identity = published_identity(source)
    return ModelCard(
        found.spec.name,
        "tokenizer",
        str(source.place),
        published_sha256(source),
        fingerprint_of(source.place),
        sum(file.stat().st_size for file in source.weights),
        _parameters(source.weights),
        None,
        None,
        "unknown",
        spec,
        {**{name: identity[name] for name in ("class", "dtype", "tiling", "frames")}, **shown},
        tuple(notes_of(source.place)),
    )


def _parameters(files: tuple[Path, ...]) -> int | None:
    """How many numbers safetensors files hold; None for others."""
    if any(file.suffix != ".safetensors" for file in files):
        return None
    headers = [safetensors_header(file) for file in files]
    shapes = [entry["shape"] for header in headers for name, entry in header.items() if name != "__metadata__"]
    return sum(math.prod(map(int, shape)) for shape in shapes)


def _card(folder: Path) -> ModelCard:
    """Raises `UsageError` for a folder whose files are none of a model of this version."""
    from safetensors import SafetensorError

    try:
        return _read_card(folder)
    except (OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
        raise UsageError(f"{folder} does not hold a model of this version: {error}") from None


def _read_card(folder: Path) -> ModelCard:
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
        asdict(spec_of(folder)) if kind == "tokenizer" else None,
    )


def macs_per_pixel(folder: Path) -> tuple[float | None, float | None]:
    """Multiply-adds per pixel of encoding and of decoding with a tokenizer, or (None, of decoding) with a LIT; None
    where they are not counted, or where the LIT's tokenizer was not found."""
    from latcomp.tokenizer.architectures import architecture_of  # what it needs imports numpy

    config = config_of(folder)
    if kind_of(folder) == "tokenizer":
        count = architecture_of(config).macs_per_pixel
        return (None, None) if count is None else count(config)
    from latcomp.inpaint.config import LitConfig, lit_macs_per_token

    for tokenizer in folders_with_weights(config["tokenizer_sha256"], "tokenizer", folder.parent):
        return None, lit_macs_per_token(LitConfig.load(folder / CONFIG)) / spec_of(tokenizer).pixels_per_token
    return None, None


def training_facts(weights: Path) -> dict[str, Any]:
    """What the file of a model's weights says of its training; empty where it says nothing."""
    from safetensors import safe_open

    with safe_open(weights, framework="np") as file:
        facts: dict[str, Any] = json.loads((file.metadata() or {}).get("training", "{}"))
    return facts


def trained_in_words(folder: Path) -> str:
    """What a model's weights say of its training: clips, steps, minutes, machine, and the model it goes on from."""
    facts = training_facts(folder / WEIGHTS)
    if not facts:
        return "unknown"
    here = (
        f"{facts['clips_training']} clips, {facts['steps']} steps in {facts['minutes']} minutes on {facts['machine']}"
    )
    return f"{here}; its {facts['kind']} alone, after {facts['base']}" if facts.get("base") else here
