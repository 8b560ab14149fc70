"""A file of a cache taken apart into its latents and all that is beside them, and put together again."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from latcomp.datasets.caches import safetensors_file, torch_file
from latcomp.datasets.caches.layout import LAYOUTS, Layout
from latcomp.datasets.caches.structure import LatentPlace, Tensors, build, flatten
from latcomp.datasets.caches.tensors import LATENT_DTYPES, RawTensor, bytes_of
from latcomp.datasets.caches.trainers import (
    SAFETENSORS,
    TORCH,
    Facts,
    describe_item,
    describe_safetensors,
    describe_torch,
)
from latcomp.errors import DamagedFileError, NotACacheError

DESCRIPTION = "cache.json"
"""Name of the attachment of a .lat file that says what file of a cache it was; the tensors that were beside the latents
are attachments under their own names."""
_VERSION = 1


@dataclass(frozen=True)
class PipeItem:
    """Where an item of a diffusion-pipe cache stood."""

    index: int
    items: int
    fingerprint: str
    shard: int


@dataclass(frozen=True, eq=False)
class CachedFile:
    """Latents of a file and what is beside them."""

    name: str
    """Of the file, without its folder."""
    container: str
    """`SAFETENSORS` or `TORCH`."""
    facts: Facts
    dtype: str
    shape: tuple[int, ...]
    """Type and shape of the latents in the file."""
    document: Any
    """The file's table or value, with a `LatentPlace` for the latents and `RawTensor`s for the other tensors."""
    metadata: Mapping[str, str] | None = None
    """Of a safetensors file."""
    item: PipeItem | None = None
    part: int = 0
    parts: int = 1
    """Which video of how many that the file's latents are a batch of; only the first one's .lat file carries what is
    beside them."""
    mean_only: bool = False
    """Whether the moments' log variance was dropped."""
    max_rmse: float | None = None
    """The bound on the error that its .lat file was made to; None where something else was asked for."""
    quality: float | None = None
    """The quality that its .lat file was made with; None where something else was asked for, or files of before do not
    say it."""

    def whole(self, latents: RawTensor) -> list[bytes]:
        """The bytes of the file with these latents in their place, in parts to be written one after the other."""
        if self.container == SAFETENSORS:
            table = {key: latents if isinstance(value, LatentPlace) else value for key, value in self.document.items()}
            return safetensors_file.serialize(table, self.metadata)
        data, tensors = flatten(self.document)
        return [torch_file.write(build(data, tensors, latents))]

    def attachments(self) -> dict[str, RawTensor]:
        """What a .lat file carries so that `from_attachments` can give this back, by name."""
        data, tensors = flatten(None if self.part else self.document, reserved=(DESCRIPTION,))
        facts = self.facts
        description = {
            "version": _VERSION,
            "format": facts.format,
            "container": self.container,
            "name": self.name,
            "key": facts.key,
            "layout": facts.layout.name,
            "grid": facts.layout.grid,
            "dtype": self.dtype,
            "shape": self.shape,
            "space": facts.space,
            "estimator": facts.estimator,
            "architecture": facts.architecture,
            "frames": facts.frames,
            "width": facts.width,
            "height": facts.height,
            "frames_per_second": facts.frames_per_second,
            "metadata": None if self.metadata is None else dict(self.metadata),
            "item": None if self.item is None else vars(self.item),
            "part": self.part,
            "parts": self.parts,
            "mean_only": self.mean_only,
            "max_rmse": self.max_rmse,
            "quality": self.quality,
            "document": data,
        }
        text = np.frombuffer(json.dumps(description, separators=(",", ":")).encode("ascii"), np.uint8)
        return {DESCRIPTION: RawTensor("U8", text.shape, text), **tensors}

    @classmethod
    def from_attachments(cls, tensors: Tensors) -> CachedFile:
        """What `attachments` made them of. Raises `DamagedFileError` for others, and for damaged ones."""
        try:
            found = json.loads(tensors[DESCRIPTION].data.tobytes())
            if found["version"] != _VERSION:
                raise DamagedFileError(f"its description of a cache is of version {found['version']!r:.20}")
            layout = Layout(found["layout"], None if found["grid"] is None else tuple(found["grid"]))
            names = ("space", "estimator", "architecture", "frames", "width", "height", "frames_per_second")
            facts = Facts(found["format"], found["key"], layout, **{name: found[name] for name in names})
            document = build(found["document"], tensors, LatentPlace())
            item = None if found["item"] is None else PipeItem(**found["item"])
            metadata = found["metadata"]
            shape = tuple(map(int, found["shape"]))
            said = {name: found[name] for name in ("part", "parts", "mean_only", "max_rmse")}
            texts = (found["name"], found["container"], facts, found["dtype"])
            made = cls(*texts, shape, document, metadata, item, quality=found.get("quality"), **said)
            if not 0 <= made.part < made.parts:
                raise ValueError(f"part {made.part} of {made.parts}")
        except (KeyError, TypeError, ValueError, RecursionError, NotACacheError) as error:
            raise DamagedFileError(f"its description of a cache is damaged: {error!s:.100}") from None
        if made.dtype not in LATENT_DTYPES or layout.name not in LAYOUTS or made.container not in (SAFETENSORS, TORCH):
            raise DamagedFileError("its description of a cache is damaged")
        name = made.name
        if not isinstance(name, str) or name in ("", ".", "..") or "/" in name or "\0" in name:
            raise DamagedFileError(f"its description of a cache names a file {name!r:.60}, which is no name")
        return made


def read_file(path: Path, layout: str | None = None) -> tuple[CachedFile, RawTensor] | None:
    """A file of a cache and its latents; None where it holds none. layout: of latents that no trainer's format tells.

    Raises `NotACacheError` for a file that cannot be read, is damaged, or asks for code to be run."""
    try:
        with path.open("rb") as file:
            head = file.read(4)
            if path.suffix.lower() in (".pt", ".pth") or torch_file.is_torch_zip(head):
                file.seek(0)
                value = torch_file.read(file)
                return _taken(path.name, TORCH, describe_torch(value, path.name), value, None, layout)
    except OSError as error:
        raise NotACacheError(f"cannot be read: {(error.strerror or str(error)).lower()}") from None
    tensors, metadata = safetensors_file.read(path)
    return _taken(path.name, SAFETENSORS, describe_safetensors(tensors, metadata), tensors, metadata or None, layout)


def read_item(blob: bytes, item: PipeItem, architecture: str | None) -> tuple[CachedFile, RawTensor] | None:
    """An item of a diffusion-pipe cache and its latents; None where it holds none. Raises as `read_file`."""
    value = torch_file.read(io.BytesIO(blob))
    taken = _taken(f"{item.index:08d}", TORCH, describe_item(value, architecture), value, None, None)
    return None if taken is None else (replace(taken[0], item=item), taken[1])


def _taken(
    name: str, container: str, facts: Facts | None, value: Any, metadata: dict[str, str] | None, layout: str | None
) -> tuple[CachedFile, RawTensor] | None:
    """The file without its latents, and the latents."""
    if facts is None:
        return None
    if facts.format == "plain" and layout is not None:
        facts = replace(facts, layout=Layout(layout))
    latents = value if facts.key is None else value[facts.key]
    place = LatentPlace()
    document = place
    if facts.key is not None:
        document = type(value)((key, place if key == facts.key else item) for key, item in value.items())
    if latents.data.size != bytes_of(latents.dtype, latents.shape):
        raise NotACacheError("has latents whose bytes do not fit their shape")
    return CachedFile(name, container, facts, latents.dtype, latents.shape, document, metadata), latents
