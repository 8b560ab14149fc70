"""What a model is: its weights and its configuration, in one hash that a .lat file names, and whether a header fits the
models it names.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from latcomp.tokenizer.config import SPATIAL, TEMPORAL

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
    """SHA-256 over configuration and weights, in hexadecimal; weights_sha256: that of the weights file."""
    return hashlib.sha256(canonical(config) + b"\n" + weights_sha256.encode("ascii")).hexdigest()


def header_faults(header: Mapping[str, Any], configs: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What a header says of its models that is not so, one line each.

    header: with the members `tokenizer`, `lit` and `prior`; configs: of those of the three that are at hand, by member.
    """
    said, tokenizer = header["tokenizer"], configs.get("tokenizer")
    if tokenizer is not None:
        true = {"channels": tokenizer.get("channels"), "spatial": SPATIAL, "temporal": TEMPORAL}
        for name, value in true.items():
            if said[name] != value:
                yield f"the header says {name} {said[name]} of the tokenizer {said['name']!r}, which has {value}"
    for member, kind in (("lit", "LIT"), ("prior", "prior")):
        found = configs.get(member)
        if found is None or header[member] is None:
            continue
        if found.get("tokenizer_sha256") != said["sha256"]:
            yield f"the header names the {kind} {header[member]['name']!r}, which was made for another tokenizer"
        elif found.get("channels") != said["channels"]:
            model = f"the {kind} {header[member]['name']!r}"
            yield f"the header says channels {said['channels']}, {model} has {found.get('channels')}"
