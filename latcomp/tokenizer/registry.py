"""The models at hand: folders with config.json, model.safetensors and a model card, found by name, path or hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from latcomp.devices import device_failure
from latcomp.errors import DamagedFileError, UnsupportedFileError, UsageError
from latcomp.tokenizer.identity import fingerprint, header_faults

if TYPE_CHECKING:
    from torch import nn

    from latcomp.container.header import Header
    from latcomp.container.prior import Prior
    from latcomp.inpaint.model import Lit
    from latcomp.tokenizer.model import Tokenizer

    Network = TypeVar("Network", bound=nn.Module)

DEFAULT_TOKENIZER = "cv8x8x4"
DEFAULT_LIT = "lit-cv8x8x4"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
KINDS = {"tokenizer": "tokenizer", "lit": "LIT", "prior": "prior"}
"""Kinds of models, and how messages call them."""
# beside the shipped models, as `sha256sum */config.json */model.safetensors` writes it; what it lists must be so
SUMS = "SHA256SUMS"


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
    """Thousand multiply-adds a pixel of the tokenizer's encoder."""
    decoder_kmac_per_pixel: float | None
    """Thousand multiply-adds a pixel of the tokenizer's decoder, or of the LIT."""
    trained_on: str
    """Clips, steps, minutes and machine."""


def weights_folder() -> Path:
    """The folder of shipped models: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "weights"
    return inside if inside.is_dir() else package.parent / "weights"


@lru_cache(maxsize=32)
def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _listed(path: Path, found: str) -> bool:
    """Whether a file of a shipped model has the SHA-256 that the shipped list asks for; any file that it does not list
    has.
    """
    folder, listed = path.parent, weights_folder() / SUMS
    if folder.resolve().parent != weights_folder().resolve() or not listed.is_file():
        return True
    lines = (line.split(maxsplit=1) for line in listed.read_text(encoding="utf-8").splitlines())
    wanted = {
        words[0].lower()
        for words in lines
        if len(words) == 2 and words[1].lstrip("*./ ") == f"{folder.name}/{path.name}"
    }
    return wanted <= {found}


def _checked(folder: Path) -> bytes:
    """The weights of a folder, which are safetensors of the SHA-256 that `sha256_of` gave; they and the configuration
    are those that the shipped list asks for.

    Raises `UnsupportedFileError` when they are not: damaged, or replaced while this process runs.
    """
    _refuse_other(folder / CONFIG, (folder / CONFIG).read_bytes())
    weights = (folder / WEIGHTS).read_bytes()
    _refuse_other(folder / WEIGHTS, weights)
    return weights


def _refuse_other(path: Path, data: bytes) -> None:
    """Raise `UnsupportedFileError` when the bytes of a model's file are not those that were looked at first, or that
    the list asks for.
    """
    found = hashlib.sha256(data).hexdigest()
    if sha256_of(path) != found or not _listed(path, found):
        raise UnsupportedFileError(
            f"{path} is damaged, or was replaced: its SHA-256 is {found[:12]}…; install latcomp again or start anew"
        )


@lru_cache(maxsize=32)
def fingerprint_of(folder: Path) -> str:
    """SHA-256 over weights and configuration of a model's folder, in hexadecimal."""
    sha256_of(folder / CONFIG)  # what is loaded must be what was looked at first
    return fingerprint(_config(folder), sha256_of(folder / WEIGHTS))


def _folders() -> list[Path]:
    base = weights_folder()
    if not base.is_dir():
        return []
    return sorted(p for p in base.iterdir() if (p / CONFIG).is_file() and (p / WEIGHTS).is_file())


def tokenizers_at_hand() -> list[str]:
    """Names of the shipped tokenizers, in order; reads their configurations alone and imports no numpy."""
    return [folder.name for folder in _folders() if _kind(folder) == "tokenizer"]


def find_tokenizer(name_or_path: str | Path | None) -> Path:
    """The folder of a tokenizer by name or path; None is the default one. Raises `UsageError` when it is not at
    hand.
    """
    wanted = str(name_or_path or DEFAULT_TOKENIZER)
    for folder in (weights_folder() / wanted, Path(wanted)):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    names = ", ".join(tokenizers_at_hand())
    raise UsageError(
        f"tokenizer {wanted!r} is not at hand: choose {names or 'a folder with config.json and model.safetensors'}"
    )


def find_model(record: Mapping[str, Any], kind: str, beside: Path | None = None) -> Path:
    """The folder of the model that a header's record names (name, sha256 and, from files that know it, fingerprint),
    among the shipped ones and `beside`. kind: 'tokenizer', 'lit' or 'prior'.

    Raises `UnsupportedFileError` naming the missing model, or the folder whose weights are right and whose
    configuration is not."""
    word, wanted, changed = KINDS[kind], record.get("fingerprint"), None
    for folder in _with_weights(record["sha256"], kind, beside):
        if wanted is None or fingerprint_of(folder) == wanted:
            return folder
        changed = changed or folder
    if changed is not None:
        raise UnsupportedFileError(
            f"this file needs the {word} {record['name']!r} of fingerprint {str(wanted)[:12]}…; {changed} has its "
            "weights and another "
            f"configuration (fingerprint {fingerprint_of(changed)[:12]}…): give the {CONFIG} that the file was written "
            "with"
        )
    raise UnsupportedFileError(
        f"this file needs the {word} {record['name']!r} (sha256 {record['sha256'][:12]}…), which is not at hand: "
        "install the latcomp "
        f"version that wrote the file, or put the model's folder into {weights_folder()}"
    )


def _with_weights(sha256: str, kind: str, beside: Path | None) -> Iterator[Path]:
    """The folders of a kind of model, `beside` before the shipped ones, whose weights have this SHA-256."""
    for folder in [*([beside] if beside else []), *_folders()]:
        if _holds(folder, kind) and sha256_of(folder / WEIGHTS) == sha256:
            yield folder


def model_record(folder: Path, name: str) -> dict[str, Any]:
    """What a header says of a model: name, sha256 of its weights, fingerprint."""
    return {"name": name, "sha256": sha256_of(folder / WEIGHTS), "fingerprint": fingerprint_of(folder)}


def faults_of(header: Header, tokenizer: Path | None = None) -> list[str]:
    """What a header says of its models that is not so of those at hand, one line each; needs no torch.

    tokenizer: folder to look into first. Raises `UnsupportedFileError` for a model whose weights are at hand with
    another configuration."""
    members = {kind: getattr(header, kind) for kind in KINDS}
    configs = {}
    for kind, record in members.items():
        beside = None if tokenizer is None else tokenizer if kind == "tokenizer" else tokenizer / kind
        if record is not None and any(_with_weights(record["sha256"], kind, beside)):
            folder = find_model(record, kind, beside)
            _refuse_other(folder / CONFIG, (folder / CONFIG).read_bytes())
            configs[kind] = _config(folder)
    return list(header_faults(members, configs))


def check_header(header: Header, tokenizer: Path | None = None) -> None:
    """Raise `DamagedFileError` when a header contradicts the models it names, and what `faults_of` raises."""
    for fault in faults_of(header, tokenizer):
        raise DamagedFileError(f"the header does not fit its models: {fault}")


def find_lit(tokenizer: Path) -> Path | None:
    """The folder of the LIT trained for this tokenizer: in its own subfolder `lit`, or among the shipped models; None
    without one.
    """
    return _made_for(tokenizer, "lit")


def find_prior(tokenizer: Path) -> Path | None:
    """The folder of the prior trained for this tokenizer: in its own subfolder `prior`, or among the shipped models;
    None without one.
    """
    return _made_for(tokenizer, "prior")


def _made_for(tokenizer: Path, kind: str) -> Path | None:
    sha256 = sha256_of(tokenizer / WEIGHTS)
    for folder in [tokenizer / kind, *_folders()]:
        if (folder / CONFIG).is_file() and _kind(folder) == kind and _config(folder)["tokenizer_sha256"] == sha256:
            return folder
    return None


def _config(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    return found


def _holds(folder: Path, kind: str) -> bool:
    """Whether a folder holds a model of this kind."""
    if not ((folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()):
        return False
    try:
        return _kind(folder) == kind
    except (OSError, ValueError):
        return False


def _kind(folder: Path) -> str:
    """'tokenizer', 'lit' or 'prior', by what the configuration names."""
    config = _config(folder)
    if "tokenizer_sha256" not in config:
        return "tokenizer"
    return "prior" if "embed" in config else "lit"


def load_tokenizer(folder: Path) -> Tokenizer:
    """The frozen tokenizer of a folder, in evaluation mode on the CPU. Raises `UsageError` when the files do not fit
    together.
    """
    from latcomp.tokenizer.config import TokenizerConfig
    from latcomp.tokenizer.model import Tokenizer

    return _load(folder, "tokenizer", lambda: Tokenizer(TokenizerConfig.load(folder / CONFIG)))


def load_lit(folder: Path) -> Lit:
    """The frozen LIT of a folder, in evaluation mode on the CPU. Raises `UsageError` when the files do not fit
    together.
    """
    from latcomp.inpaint.model import Lit, LitConfig

    return _load(folder, "LIT", lambda: Lit(LitConfig.load(folder / CONFIG)))


@lru_cache(maxsize=4)
def load_prior(folder: Path) -> Prior:
    """The prior of a folder; needs no torch. Raises `UsageError` when the files do not fit together."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from latcomp.container.prior import Prior

    try:
        return Prior(
            load(_checked(folder)), sha256_of(folder / WEIGHTS), _config(folder)["name"], fingerprint_of(folder)
        )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise UsageError(f"{folder} does not hold a prior of this version: {error}") from None


def prior_finder(tokenizer: Path | None = None) -> Callable[[str, str], Prior]:
    """What a `latcomp.container.Reader` asks for the prior of a file: looked for among the shipped models and beside
    `tokenizer`.
    """

    def find(name: str, sha256: str) -> Prior:
        beside = None if tokenizer is None else tokenizer / "prior"
        return load_prior(find_model({"name": name, "sha256": sha256}, "prior", beside))

    return find


def _load(folder: Path, kind: str, build: Callable[[], Network]) -> Network:
    """The model that `build` makes of the folder's configuration, with the folder's weights, frozen."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        model = build()
        model.load_state_dict(load(_checked(folder)))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        if device_failure(error) is not None:
            raise
        raise UsageError(f"{folder} does not hold a {kind} of this version: {str(error).splitlines()[0]}") from None
    model.eval().requires_grad_(False)
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def list_models() -> list[ModelCard]:
    """A card for each shipped model, tokenizers and LITs, in name order."""
    return [_card(folder) for folder in _folders()]


def _card(folder: Path) -> ModelCard:
    from safetensors import safe_open

    from latcomp.inpaint.model import LitConfig, lit_macs_per_pixel
    from latcomp.tokenizer.config import TokenizerConfig
    from latcomp.tokenizer.model import macs_per_pixel

    with safe_open(folder / WEIGHTS, framework="np") as file:
        parameters = sum(_size(file.get_slice(key).get_shape()) for key in file.keys())  # noqa: SIM118
    encoder: float | None = None
    decoder: float | None = None
    kind, name = _kind(folder), _config(folder)["name"]
    if kind == "lit":
        decoder = lit_macs_per_pixel(LitConfig.load(folder / CONFIG)) / 1000
    elif kind == "tokenizer":
        config = TokenizerConfig.load(folder / CONFIG)
        encoder, decoder = (m / 1000 for m in macs_per_pixel(config))
    path = folder / WEIGHTS
    return ModelCard(
        name,
        kind,
        str(folder),
        sha256_of(path),
        fingerprint_of(folder),
        path.stat().st_size,
        parameters,
        encoder,
        decoder,
        trained_in_words(folder),
    )


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


def _size(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
