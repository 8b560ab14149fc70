"""Model folders: config.json, model.safetensors and a model card; where the shipped ones are, of which kind each is.

Reads configurations alone and imports no numpy: the shell asks for names at every press of TAB."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from latcomp.checks import parsed_json

CONFIG, WEIGHTS = "config.json", "model.safetensors"
EARLIER = "earlier"
KINDS = {"tokenizer": "tokenizer", "lit": "LIT", "prior": "prior"}
"""Kinds of models, and how messages call them."""


def weights_folder() -> Path:
    """The folder of shipped models: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent.parent
    inside = package / "weights"
    return inside if inside.is_dir() else package.parent / "weights"


def shipped_folders() -> list[Path]:
    """The folders of the shipped models, in name order; none where the package was installed without its weights."""
    base = weights_folder()
    if not base.is_dir():
        return []
    return sorted(path for path in base.iterdir() if is_complete(path))


def readable_folders() -> list[Path]:
    """The shipped folders, then those of models that nothing is written with any more: files of earlier versions name
    them.
    """
    earlier = weights_folder() / EARLIER
    found = sorted(path for path in earlier.iterdir() if is_complete(path)) if earlier.is_dir() else []
    return [*shipped_folders(), *found]


def is_complete(folder: Path) -> bool:
    """Whether a folder has the two files that a model consists of."""
    return (folder / CONFIG).is_file() and (folder / WEIGHTS).is_file()


def config_of(folder: Path) -> dict[str, Any]:
    """The configuration in a folder. Raises `OSError` when it cannot be read, `ValueError` when it is no JSON
    object.
    """
    config = parsed_json((folder / CONFIG).read_bytes())
    if not isinstance(config, dict):
        raise ValueError(f"{folder / CONFIG} is not a JSON object")
    return config


def kind_of(folder: Path) -> str:
    """'tokenizer', 'lit' or 'prior': as the configuration's member `kind` says, else by what the configuration has."""
    config = config_of(folder)
    if "kind" in config:
        return str(config["kind"])
    if "tokenizer_sha256" not in config:
        return "tokenizer"
    return "prior" if "embed" in config else "lit"
