"""Published tokenizers among the models: where they lie, what they are known by, and what was measured of them.

What is measured by running one is kept in the user's cache folder, by fingerprint, so that a file can be held against
its tokenizer without torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latcomp.caches import cache_folder
from latcomp.models.integrity import sha256_of
from latcomp.tokenizer.public.classes import RECIPES
from latcomp.tokenizer.public.sources import Source, safetensors_header, source_of

if TYPE_CHECKING:
    from latcomp.tokenizer.base import VideoTokenizer
    from latcomp.tokenizer.public.probe import Probe

COMPANIONS = ".latcomp"
"""Suffix of the folder beside a single file that holds what was trained for it: profile.json, lit, prior."""


_SOURCES: dict[Path, Source] = {}
"""By path, what was found there first: a configuration that changes later is not that of the hashes."""


def published(path: Path) -> Source | None:
    """The published tokenizer in a folder or file, None where there is none. Raises `UsageError` for one that is not
    complete, `UnsupportedFileError` for a kind of file or class that cannot be used."""
    if path not in _SOURCES:
        source = source_of(path)
        if source is None:
            return None
        _ = source.public_class  # says why where it cannot be used
        _SOURCES[path] = source
    return _SOURCES[path]


def companions(place: Path) -> Path:
    """The folder with what was trained for a tokenizer, by its folder or file."""
    return place.with_suffix(COMPANIONS) if place.is_file() else place


def published_sha256(source: Source) -> str:
    """SHA-256 of the weights, in hexadecimal: of the file, or of the list of its parts."""
    if len(source.weights) == 1:
        return sha256_of(source.weights[0])
    lines = "".join(f"{sha256_of(file)}  {file.name}\n" for file in source.weights)
    return hashlib.sha256(lines.encode("utf-8")).hexdigest()


def published_identity(source: Source) -> dict[str, Any]:
    """What, beside its weights, makes a published tokenizer what it is: the members that its fingerprint is taken
    over."""
    return {
        "class": source.class_name,
        "config": {name: value for name, value in source.config.items() if not name.startswith("_")},
        "dtype": _dtype(source),
        "tiling": False,
        "frames": source.public_class.frame_rule,
        "recipes": RECIPES,
    }


def _dtype(source: Source) -> str:
    """Number type that most weights are stored in; of files that are no safetensors, their kind."""
    kinds: Counter[str] = Counter()
    for file in source.weights:
        if file.suffix != ".safetensors":
            return file.suffix.lstrip(".")
        header = safetensors_header(file)
        kinds.update(str(entry["dtype"]) for name, entry in header.items() if name != "__metadata__")
    return max(kinds, key=kinds.__getitem__, default="none")


def load_published(source: Source, fingerprint: str, measured: Callable[[Probe], None] | None = None) -> VideoTokenizer:
    """The tokenizer of a source, probed where nothing was kept of it; measured: is given what was measured then."""
    from latcomp.tokenizer.public.build import build_tokenizer

    def keep(found: Probe) -> None:
        keep_probe(fingerprint, found)
        if measured is not None:
            measured(found)

    return build_tokenizer(source, kept_probe(fingerprint), keep)


_MEASURED: dict[str, Any] = {}
"""By fingerprint, what this process measured: the cache folder may be one that cannot be written."""


def kept_probe(fingerprint: str) -> Probe | None:
    """What was measured of a tokenizer; None where nothing was, or what is kept is damaged or of another version."""
    from latcomp.tokenizer.public.probe import Probe

    if fingerprint in _MEASURED:
        return Probe.of(_MEASURED[fingerprint])
    try:
        found = json.loads(_place(fingerprint).read_bytes())
        if found["sha256"] != _sum(found["probe"]):
            return None
        return Probe.of(found["probe"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def keep_probe(fingerprint: str, found: Probe) -> None:
    """Keep what was measured. Others may do so at the same time: each writes a file of its own and renames it. Where
    nothing can be written nothing is kept."""
    members = _MEASURED[fingerprint] = json.loads(json.dumps(found.to_json()))
    try:
        place = _place(fingerprint)
        place.parent.mkdir(parents=True, exist_ok=True)
        partial = place.with_name(f"{place.name}.{os.getpid()}.partial")
        partial.write_text(json.dumps({"sha256": _sum(members), "probe": members}, indent=1) + "\n", encoding="utf-8")
        partial.replace(place)
    except OSError:
        return


def _place(fingerprint: str) -> Path:
    return cache_folder() / "tokenizers" / f"{fingerprint}.json"


def _sum(members: Any) -> str:
    return hashlib.sha256(json.dumps(members, sort_keys=True).encode("utf-8")).hexdigest()
