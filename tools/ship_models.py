"""Puts newly trained models into weights/ in the place of those of the same names.

    python -m tools.ship_models TOKENIZER [PRIOR] [LIT]

Each is a folder as `latcomp train` writes it. What is replaced moves to `weights/earlier`, where files that name it
find it, and SHA256SUMS is written anew. A prior and a LIT are taken for that tokenizer, whatever tokenizer of the same
latents they were trained with: its decoder alone may have been trained since. A profile stays where it is; without a
prior the tokenizer's files are coded by contexts, without a LIT they are filled by hold."""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from latcomp.errors import UsageError
from latcomp.models import CONFIG, WEIGHTS
from latcomp.models.folders import EARLIER, config_of, is_complete, kind_of
from latcomp.models.identity import fingerprint
from latcomp.models.integrity import SUMS

ROOT = Path(__file__).parents[1] / "weights"
FILES = {CONFIG, WEIGHTS, "README.md"}
KINDS = ("tokenizer", "prior", "lit")


def ship(folders: Sequence[Path], base: Path = ROOT) -> list[Path]:
    """Put a tokenizer, and a prior and a LIT that go with it, into `base`; returns where they are.

    Raises `UsageError` for a folder that holds no model, none of its kind in the order tokenizer, prior, LIT, or one of
    other latents than the tokenizer's."""
    known = [*folders, *([None] * (len(KINDS) - len(folders)))]
    for folder, kind in zip(known, KINDS, strict=True):
        if folder is not None and (not is_complete(folder) or kind_of(folder) != kind):
            raise UsageError(f"{folder} holds no {kind}")
    channels = {config_of(folder)["channels"] for folder in folders}
    if len(channels) > 1:
        raise UsageError(f"models of {' and '.join(map(str, sorted(channels)))} channels do not go together")
    found = [_replace(folders[0], {}, base)]
    belongs = {"tokenizer_sha256": _sha256(found[0] / WEIGHTS)}
    found += [_replace(folder, belongs, base) for folder in folders[1:]]
    write_sums(base)
    return found


def write_sums(base: Path = ROOT) -> None:
    """List the SHA-256 of every model's files, as sha256sum does."""
    files = sorted(path for name in (CONFIG, WEIGHTS) for path in base.rglob(name))
    lines = [f"{_sha256(path)}  {path.relative_to(base).as_posix()}\n" for path in files]
    (base / SUMS).write_text("".join(lines), encoding="utf-8")


def _replace(folder: Path, changed: Mapping[str, str], base: Path) -> Path:
    """Where the model of a folder is now, under its own name. changed: members of its configuration."""
    config = config_of(folder)
    place = base / str(config["name"])
    if is_complete(place):
        # files name a model by weights and configuration together: either makes it another one
        old, new = _fingerprint(place), fingerprint(config | changed, _sha256(folder / WEIGHTS))
        if old != new:
            shutil.copytree(place, base / EARLIER / f"{place.name}-{old[:8]}", ignore=lambda _, names: {*names} - FILES)
    place.mkdir(exist_ok=True)
    for name in FILES:
        shutil.copy(folder / name, place / name)
    if changed:
        (place / CONFIG).write_text(json.dumps(config | changed, indent=1) + "\n", encoding="utf-8")
    return place


def _fingerprint(folder: Path) -> str:
    return fingerprint(config_of(folder), _sha256(folder / WEIGHTS))


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tokenizer", type=Path)
    parser.add_argument("more", type=Path, nargs="*", metavar="prior lit")
    asked = parser.parse_args()
    for shipped in ship([asked.tokenizer, *asked.more]):
        print(shipped)
