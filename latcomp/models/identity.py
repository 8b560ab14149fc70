"""What a model is: its weights and its configuration, in one hash that a .lat file names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from latcomp.models.folders import CONFIG, WEIGHTS, config_of
from latcomp.models.integrity import sha256_of
from latcomp.models.public import published, published_identity, published_sha256

NOT_HASHED = frozenset({"name"})
"""Members of a configuration that change nothing that a model does."""


def canonical(config: Mapping[str, Any]) -> bytes:
    """The text of a configuration that its hash is taken of: members in order, no spaces, ASCII; numbers as Python's
    json writes them.
    """
    counted = {key: value for key, value in config.items() if key not in NOT_HASHED}
    return json.dumps(counted, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False).encode(
        "ascii"
    )


def fingerprint(config: Mapping[str, Any], weights_sha256: str) -> str:
    """SHA-256 over configuration and weights, in hexadecimal; weights_sha256: that of the weights."""
    return hashlib.sha256(canonical(config) + b"\n" + weights_sha256.encode("ascii")).hexdigest()


def weights_sha256(folder: Path) -> str:
    """SHA-256 of the weights in a model's folder or file, in hexadecimal."""
    source = None if (folder / WEIGHTS).is_file() else published(folder)
    return sha256_of(folder / WEIGHTS) if source is None else published_sha256(source)


@lru_cache(maxsize=32)
def fingerprint_of(folder: Path) -> str:
    """SHA-256 over weights and configuration of a model's folder or file, in hexadecimal."""
    source = None if (folder / WEIGHTS).is_file() else published(folder)
    if source is not None:
        return fingerprint(published_identity(source), published_sha256(source))
    sha256_of(folder / CONFIG)  # what is loaded must be what was looked at first
    return fingerprint(config_of(folder), sha256_of(folder / WEIGHTS))


def model_record(folder: Path, name: str) -> dict[str, Any]:
    """What a header says of a model: name, sha256 of its weights, fingerprint."""
    return {"name": name, "sha256": weights_sha256(folder), "fingerprint": fingerprint_of(folder)}
