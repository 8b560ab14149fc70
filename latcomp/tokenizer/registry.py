"""The models at hand: folders with config.json, model.safetensors and a model card, found by name, path or hash."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latcomp.errors import UnsupportedFileError, UsageError

if TYPE_CHECKING:
    from latcomp.container.prior import Prior
    from latcomp.inpaint.model import Lit
    from latcomp.tokenizer.model import Tokenizer

DEFAULT_TOKENIZER = "cv8x8x4"
DEFAULT_LIT = "lit-cv8x8x4"
CONFIG, WEIGHTS = "config.json", "model.safetensors"
SUMS = "SHA256SUMS"  # beside the shipped models, as `sha256sum */model.safetensors` writes it; what it lists must be so


@dataclass(frozen=True)
class ModelCard:
    """What `latcomp models` says of one model."""

    name: str
    kind: str
    """'tokenizer', 'lit' or 'prior'."""
    path: str
    sha256: str
    """Of the weights file; a .lat names its models by it."""
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


def _checked(folder: Path) -> bytes:
    """The weights of a folder, which are safetensors of the SHA-256 that `sha256_of` gave and that the shipped list asks for.

    Raises `UnsupportedFileError` when they are not: damaged, or replaced while this process runs.
    """
    path = folder / WEIGHTS
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    listed = weights_folder() / SUMS
    wanted = {sha256_of(path)}
    if folder.resolve().parent == weights_folder().resolve() and listed.is_file():
        lines = (line.split(maxsplit=1) for line in listed.read_text(encoding="utf-8").splitlines())
        wanted |= {words[0].lower() for words in lines if len(words) == 2 and words[1].lstrip("*./ ") == f"{folder.name}/{WEIGHTS}"}
    if wanted != {found}:
        raise UnsupportedFileError(f"{path} is damaged, or was replaced: its SHA-256 is {found[:12]}…; install latcomp again or start anew")
    return data


def _folders() -> list[Path]:
    base = weights_folder()
    if not base.is_dir():
        return []
    return sorted(p for p in base.iterdir() if (p / CONFIG).is_file() and (p / WEIGHTS).is_file())


def tokenizers_at_hand() -> list[str]:
    """Names of the shipped tokenizers, in order; reads their configurations alone and imports no numpy."""
    return [folder.name for folder in _folders() if _kind(folder) == "tokenizer"]


def find_tokenizer(name_or_path: str | Path | None) -> Path:
    """The folder of a tokenizer by name or path; None is the default one. Raises `UsageError` when it is not at hand."""
    wanted = str(name_or_path or DEFAULT_TOKENIZER)
    for folder in (weights_folder() / wanted, Path(wanted)):
        if (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file():
            return folder
    names = ", ".join(tokenizers_at_hand())
    raise UsageError(f"tokenizer {wanted!r} is not at hand: choose {names or 'a folder with config.json and model.safetensors'}")


def find_by_hash(sha256: str, name: str, kind: str, beside: Path | None = None) -> Path:
    """The folder of the model with this hash, among the shipped ones and `beside`.

    Raises `UnsupportedFileError` naming the missing model.
    """
    for folder in [*([beside] if beside else []), *_folders()]:
        if (folder / WEIGHTS).is_file() and sha256_of(folder / WEIGHTS) == sha256:
            return folder
    raise UnsupportedFileError(
        f"this file needs the {kind} {name!r} (sha256 {sha256[:12]}…), which is not at hand: install the latcomp version that wrote "
        f"the file, or put the model's folder into {weights_folder()}"
    )


def find_lit(tokenizer: Path) -> Path | None:
    """The folder of the LIT trained for this tokenizer: in its own subfolder `lit`, or among the shipped models; None without one."""
    return _made_for(tokenizer, "lit")


def find_prior(tokenizer: Path) -> Path | None:
    """The folder of the prior trained for this tokenizer: in its own subfolder `prior`, or among the shipped models; None without one."""
    return _made_for(tokenizer, "prior")


def _made_for(tokenizer: Path, kind: str) -> Path | None:
    sha256 = sha256_of(tokenizer / WEIGHTS)
    for folder in [tokenizer / kind, *_folders()]:
        if (folder / CONFIG).is_file() and _kind(folder) == kind and _config(folder)["tokenizer_sha256"] == sha256:
            return folder
    return None


def _config(folder: Path) -> dict[str, Any]:
    return json.loads((folder / CONFIG).read_text(encoding="utf-8"))


def _kind(folder: Path) -> str:
    """'tokenizer', 'lit' or 'prior', by what the configuration names."""
    config = _config(folder)
    if "tokenizer_sha256" not in config:
        return "tokenizer"
    return "prior" if "embed" in config else "lit"


def load_tokenizer(folder: Path) -> Tokenizer:
    """The frozen tokenizer of a folder, in evaluation mode on the CPU. Raises `UsageError` when the files do not fit together."""
    from latcomp.tokenizer.config import TokenizerConfig
    from latcomp.tokenizer.model import Tokenizer

    return _load(folder, "tokenizer", lambda: Tokenizer(TokenizerConfig.load(folder / CONFIG)))


def load_lit(folder: Path) -> Lit:
    """The frozen LIT of a folder, in evaluation mode on the CPU. Raises `UsageError` when the files do not fit together."""
    from latcomp.inpaint.model import Lit, LitConfig

    return _load(folder, "LIT", lambda: Lit(LitConfig.load(folder / CONFIG)))


@lru_cache(maxsize=4)
def load_prior(folder: Path) -> Prior:
    """The prior of a folder; needs no torch. Raises `UsageError` when the files do not fit together."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    from latcomp.container.prior import Prior

    try:
        return Prior(load(_checked(folder)), sha256_of(folder / WEIGHTS), _config(folder)["name"])
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise UsageError(f"{folder} does not hold a prior of this version: {error}") from None


def prior_finder(tokenizer: Path | None = None) -> Callable[[str, str], Prior]:
    """What a `latcomp.container.Reader` asks for the prior of a file: looked for among the shipped models and beside `tokenizer`."""

    def find(name: str, sha256: str) -> Prior:
        beside = None if tokenizer is None else tokenizer / "prior"
        return load_prior(find_by_hash(sha256, name, "prior", beside))

    return find


def _load(folder: Path, kind: str, build: Callable[[], Any]) -> Any:
    """The model that `build` makes of the folder's configuration, with the folder's weights, frozen."""
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load

    try:
        model = build()
        model.load_state_dict(load(_checked(folder)))
    except (OSError, KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
        raise UsageError(f"{folder} does not hold a {kind} of this version: {str(error).splitlines()[0]}") from None
    return model.eval().requires_grad_(False).to(memory_format=torch.channels_last)


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
    return ModelCard(name, kind, str(folder), sha256_of(path), path.stat().st_size, parameters, encoder, decoder, trained_in_words(folder))


def trained_in_words(folder: Path) -> str:
    """What a model's weights say of its training: clips, steps, minutes, machine, and the model it goes on from."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="np") as file:
        facts = json.loads((file.metadata() or {}).get("training", "{}"))
    if not facts:
        return "unknown"
    here = f"{facts['clips_training']} clips, {facts['steps']} steps in {facts['minutes']} minutes on {facts['machine']}"
    return f"{here}; its {facts['kind']} alone, after {facts['base']}" if facts.get("base") else here


def _size(shape: list[int]) -> int:
    count = 1
    for side in shape:
        count *= side
    return count
