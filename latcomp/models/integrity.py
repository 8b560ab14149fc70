"""That a model's files are what they were when they were first looked at, and what the shipped list says of them."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from latcomp.errors import UnsupportedFileError
from latcomp.models import folders
from latcomp.models.folders import CONFIG, WEIGHTS

# beside the shipped models: every config.json and model.safetensors as `sha256sum` writes them; they must be so
SUMS = "SHA256SUMS"


@lru_cache(maxsize=32)
def sha256_of(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def checked_weights(folder: Path) -> bytes:
    """The weights of a folder, which are safetensors of the SHA-256 that `sha256_of` gave; they and the configuration
    are those that the shipped list asks for.

    Raises `UnsupportedFileError` when they are not: damaged, or replaced while this process runs.
    """
    refuse_other(folder / CONFIG, (folder / CONFIG).read_bytes())
    weights = (folder / WEIGHTS).read_bytes()
    refuse_other(folder / WEIGHTS, weights)
    return weights


def refuse_other(path: Path, data: bytes) -> None:
    """Raise `UnsupportedFileError` when the bytes of a model's file are not those that were looked at first, or that
    the list asks for.
    """
    sha256 = hashlib.sha256(data).hexdigest()
    if sha256_of(path) != sha256 or not _as_listed(path, sha256):
        raise UnsupportedFileError(
            f"{path} is damaged, or was replaced: its SHA-256 is {sha256[:12]}…; install latcomp again or start anew"
        )


def _as_listed(path: Path, sha256: str) -> bool:
    """Whether a file of a shipped model has the SHA-256 that the shipped list asks for; any file that it does not list
    has.
    """
    shipped = folders.weights_folder()
    if not path.resolve().is_relative_to(shipped.resolve()) or not (shipped / SUMS).is_file():
        return True
    name = path.resolve().relative_to(shipped.resolve()).as_posix()
    lines = (line.split(maxsplit=1) for line in (shipped / SUMS).read_text(encoding="utf-8").splitlines())
    wanted = {words[0].lower() for words in lines if len(words) == 2 and words[1].lstrip("*./ ") == name}
    return wanted <= {sha256}
