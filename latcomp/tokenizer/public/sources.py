"""What a folder or file holds of a published tokenizer: found by its names and keys alone, nothing loaded. No torch."""

from __future__ import annotations

import json
import pickletools
import re
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from latcomp.checks import parsed_json
from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.tokenizer.public.classes import COSMOS_JIT, TAEHV, PublicClass, class_of

CONFIG, PIPELINE, VAE_FOLDER = "config.json", "model_index.json", "vae"
STEM = "diffusion_pytorch_model"
JITS = ("encoder.jit", "decoder.jit")
PICKLES = (".pth", ".pt", ".bin", ".ckpt")
HEADER_MOST = 100_000_000  # bytes of a safetensors header, or of the pickle that lists tensors: more is neither
PREFIX = "vae."  # of an autoencoder's weights in a checkpoint of a whole model


@dataclass(frozen=True)
class Source:
    """Where a published tokenizer lies."""

    place: Path
    """The folder or file that names it."""
    class_name: str
    config: Mapping[str, Any]
    """Its configuration; empty where all follows from the weights."""
    weights: tuple[Path, ...]
    names: str = "diffusers"
    """Whose names the weights have: 'diffusers', 'wan', 'ltx', or those of the class itself."""

    @property
    def public_class(self) -> PublicClass:
        """How it is called. Raises `UnsupportedFileError` for a class that cannot be used."""
        return class_of(self.config, self.class_name)

    @property
    def name(self) -> str:
        """As people call it: by its class, or by its file where many share a class."""
        if self.class_name in (TAEHV, COSMOS_JIT):
            return re.sub(r"[^\w.+-]", "-", self.place.stem if self.place.is_file() else self.place.name) or TAEHV
        return self.class_name


def source_of(path: Path) -> Source | None:
    """The published tokenizer in a folder (diffusers' own, a pipeline's root, Cosmos' two jits) or file; None where
    there is none to be seen. Raises `UsageError` for one that is not complete, `UnsupportedFileError` for a kind of
    file that cannot be used."""
    if path.is_file():
        return _of_file(path)
    if not path.is_dir():
        return None
    if all((path / name).is_file() for name in JITS):
        return Source(path, COSMOS_JIT, {}, tuple(path / name for name in JITS), "jit")
    if (path / PIPELINE).is_file() or ((path / VAE_FOLDER / CONFIG).is_file() and not (path / CONFIG).is_file()):
        if not (path / VAE_FOLDER / CONFIG).is_file():
            raise UsageError(f"{path} is a pipeline without a video autoencoder: {VAE_FOLDER}/{CONFIG} is missing")
        path = path / VAE_FOLDER
    return _of_folder(path)


def _of_folder(path: Path) -> Source | None:
    if not (path / CONFIG).exists():
        return None
    try:
        config = parsed_json((path / CONFIG).read_bytes())
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"{path / CONFIG} cannot be read as the configuration of a tokenizer: {reason}") from None
    if not isinstance(config, dict) or not isinstance(config.get("_class_name"), str):
        return None
    class_of(config)  # says why where its class cannot be used
    return Source(path, config["_class_name"], config, _weights(path, config["_class_name"]))


def _weights(path: Path, name: str) -> tuple[Path, ...]:
    """The weights of a diffusers folder, in order. Raises `UsageError` without any."""
    index = path / f"{STEM}.safetensors.index.json"
    if index.is_file():
        try:
            listed = parsed_json(index.read_bytes())["weight_map"]
            shards = sorted({str(shard) for shard in listed.values()})
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise UsageError(f"{index} cannot be read: {error}") from None
        files = tuple(path / Path(shard).name for shard in shards)
        missing = [file.name for file in files if not file.is_file()]
        if missing or not files:
            raise UsageError(f"{path} is not complete: {', '.join(missing) or 'every shard'} is missing")
        return files
    for middle in ("", ".fp32", ".bf16", ".fp16"):
        for suffix in (".safetensors", ".bin"):
            if (file := path / f"{STEM}{middle}{suffix}").is_file():
                return (file,)
    raise UsageError(f"{path} has the {CONFIG} of {name:.60} and no weights: {STEM}.safetensors is missing")


def _of_file(path: Path) -> Source | None:
    if path.suffix.lower() == ".safetensors":
        keys = list(safetensors_header(path))
    elif path.suffix.lower() in PICKLES:
        keys = _pickled_names(path)
    else:
        return None
    if path.name.startswith(STEM) and (found := _of_folder(path.parent)) is not None:
        return found
    has = {key.removeprefix(PREFIX) for key in keys if isinstance(key, str)}.__contains__
    if has("decoder.22.bias") and has("encoder.0.weight"):
        return Source(path, TAEHV, {}, (path,), "taehv")
    if has("decoder.middle.0.residual.0.gamma"):
        version = "wan-2.2" if has("decoder.upsamples.0.upsamples.0.residual.2.weight") else "wan-2.1"
        return Source(path, "AutoencoderKLWan", shipped_config(version), (path,), "wan")
    if has("decoder.up_blocks.0.res_blocks.0.conv1.conv.weight"):
        return Source(path, "AutoencoderKLLTXVideo", shipped_config(_ltx_version(has)), (path,), "ltx")
    if has("decoder.mid_block.resnets.0.conv1.weight") or has("decoder.mid_block.resnets.0.conv1.conv.weight"):
        raise UsageError(f"{path} has weights as diffusers names them and no {CONFIG} beside it: give its folder")
    raise UnsupportedFileError(
        f"{path} holds no video tokenizer that is known: single files of Wan, LTX 0.9 and TAEHV can be used, of others "
        "the diffusers folder"
    )


def _ltx_version(has: Any) -> str:
    """By the blocks of encoder and decoder; LTX-2 is refused."""
    if has("encoder.down_blocks.8.res_blocks.0.conv1.conv.weight") and not has(
        "encoder.down_blocks.9.res_blocks.0.conv1.conv.weight"
    ):
        if not has("decoder.last_scale_shift_table"):
            raise UnsupportedFileError("a single file of LTX-2 cannot be used: give the diffusers folder")
        return "ltx-0.9.5"
    return "ltx-0.9.1" if has("decoder.last_scale_shift_table") else "ltx-0.9.0"


def shipped_config(version: str) -> dict[str, Any]:
    """The configuration of a published single file, as its authors' diffusers folder has it."""
    path = Path(__file__).parent / "configs" / f"{version}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def safetensors_header(path: Path) -> dict[str, Any]:
    """The header of a safetensors file: by name, number type, shape and place of each tensor. Raises `UsageError` for a
    file that is none."""
    try:
        with path.open("rb") as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > HEADER_MOST:
                raise ValueError("its header is too long")
            found = parsed_json(file.read(length))
        if not isinstance(found, dict):
            raise ValueError("its header is no JSON object")
        for name, entry in found.items():
            if name != "__metadata__" and not (isinstance(entry, dict) and {"dtype", "shape"} <= entry.keys()):
                raise ValueError(f"its header does not say what tensor {name:.60} is")
    except struct.error:
        raise UsageError(f"{path} is no safetensors file: it is cut off in its header") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} is no safetensors file: {error}") from None
    return found


def _pickled_names(path: Path) -> list[str]:
    """The texts in the pickle of a PyTorch file, which is read and not run. Raises `UsageError` for a file
    that is none."""
    try:
        with zipfile.ZipFile(path) as archive:
            pickle = next((info for info in archive.infolist() if info.filename.endswith("data.pkl")), None)
            if pickle is not None and pickle.file_size > HEADER_MOST:
                raise UsageError(f"{path} is damaged: its list of tensors would take {pickle.file_size} bytes")
            data = b"" if pickle is None else archive.read(pickle)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError) as error:
        raise UsageError(f"{path} is no PyTorch file of today: {error}; save it again, or as safetensors") from None
    if not data:
        return []
    try:
        return [arg for _, arg, _ in pickletools.genops(data) if isinstance(arg, str)]
    except ValueError as error:
        raise UsageError(f"{path} is damaged: {error}") from None
