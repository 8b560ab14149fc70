"""Checkpoints of a training: everything a later run needs to go on, as one file or in pieces that pass through a narrow
door.
"""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import torch

from latcomp.errors import UsageError

LATEST, STABLE = "state.pt", "stable.pt"
"""The last checkpoint, and the last one before the learning rate fell, which is the better one to go on from."""
FOLDER = "checkpoints"  # in the folder of the model


class Checkpoints:
    """The checkpoints in a folder. With `piece_bytes` each is written as `NAME.000`, `NAME.001`, ... and `NAME.json`,
    which lists them.
    """

    def __init__(self, folder: Path, piece_bytes: int | None = None) -> None:
        self.folder, self.piece_bytes = folder, piece_bytes

    def save(self, name: str, state: dict[str, Any]) -> None:
        """Write a checkpoint; one of the same name is replaced when the new one is complete."""
        self.folder.mkdir(parents=True, exist_ok=True)
        buffer = io.BytesIO()
        torch.save(state, buffer)
        data = buffer.getbuffer()
        older = _pieces(self.folder, name)
        if self.piece_bytes is None:
            self._put(name, data)
            keep: list[Path] = []
            (self.folder / f"{name}.json").unlink(missing_ok=True)
        else:
            starts = range(0, len(data), self.piece_bytes)
            keep = [
                self._put(f"{name}.{i:03}", data[start : start + self.piece_bytes]) for i, start in enumerate(starts)
            ]
            manifest = {"pieces": len(keep), "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
            self._put(f"{name}.json", json.dumps(manifest).encode())
            (self.folder / name).unlink(missing_ok=True)
        for path in older:
            if path not in keep:
                path.unlink(missing_ok=True)

    def _put(self, name: str, data: bytes | memoryview) -> Path:
        partial = self.folder / f"{name}.partial"
        partial.write_bytes(data)
        return partial.replace(self.folder / name)


def _pieces(folder: Path, name: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{name}.*") if path.suffix[1:].isdigit())


def find_checkpoint(source: Path) -> Path | None:
    """The checkpoint to go on from: `source` itself, or the best one in it or in its folder `checkpoints`; None when
    there is none.

    A checkpoint in pieces goes by the name it would have as one file.
    """
    if source.is_file():
        return source
    for folder in (source, source / FOLDER):
        for name in (STABLE, LATEST):
            if (folder / name).is_file() or (folder / f"{name}.json").is_file():
                return folder / name
    if source.name in (STABLE, LATEST) and source.with_name(f"{source.name}.json").is_file():
        return source
    return None


def load_checkpoint(path: Path, device: torch.device) -> dict[str, Any]:
    """The state that `Checkpoints.save` wrote under this name. Raises `UsageError` when it is damaged, or pieces of it
    are missing.
    """
    try:
        if path.is_file():
            return dict(torch.load(path, map_location=device, weights_only=True))
        return dict(torch.load(io.BytesIO(_joined(path)), map_location=device, weights_only=True))
    except (OSError, RuntimeError, ValueError, EOFError) as error:
        raise UsageError(f"the checkpoint {path} cannot be read: {str(error).splitlines()[0]}") from None


def _joined(path: Path) -> bytes:
    manifest = json.loads(path.with_name(f"{path.name}.json").read_text())
    data = b"".join(path.with_name(f"{path.name}.{i:03}").read_bytes() for i in range(manifest["pieces"]))
    if len(data) != manifest["bytes"] or hashlib.sha256(data).hexdigest() != manifest["sha256"]:
        raise UsageError(f"the pieces of {path} do not belong together: copy all of them again")
    return data
