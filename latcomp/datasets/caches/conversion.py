"""What a trainer's file would be of latents that came from elsewhere: of another trainer's cache, or from no cache."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any

import numpy as np

from latcomp.codec.decode_latents import LatentsInfo
from latcomp.datasets.caches.cached_file import CachedFile
from latcomp.datasets.caches.layout import Layout
from latcomp.datasets.caches.structure import LatentPlace
from latcomp.datasets.caches.tensors import RawTensor
from latcomp.datasets.caches.trainers import COMFYUI_MARK, SAFETENSORS, TORCH, Facts
from latcomp.errors import UsageError

_MUSUBI_SHORT = {
    "hunyuan_video": "hv",
    "hunyuan_video_1_5": "hv15",
    "wan": "wan",
    "framepack": "fp",
    "kandinsky5": "k5",
    "qwen_image": "qi",
}
_TYPES = {"float32": ("F32", "float32"), "float16": ("F16", "float16"), "bfloat16": ("BF16", "bfloat16")}
EXPECTED = {"ltx": "normalised", "comfyui": "raw"}
"""The space that all latents of a trainer are in, where there is one."""


def converted(form: str, info: LatentsInfo, shape: tuple[int, ...], name: str) -> CachedFile:
    """A trainer's file for latents (C, F, H, W) of which a .lat file says `info`. name: of what is to be made, without
    a suffix.

    Raises `UsageError` where the format needs what is not known, and where it has latents in another space."""
    if info.estimator == "moments":
        raise UsageError(f"the latents are moments, which {form} does not keep")
    wanted = EXPECTED.get(form)
    if wanted is not None and info.space != wanted:
        raise UsageError(f"the latents are {info.space}, and {form} keeps {wanted} ones")
    makers = {"musubi": _musubi, "ltx": _ltx, "comfyui": _comfyui, "plain": _plain}
    if form not in makers:
        why = "ties a cache to the data set that it was made of" if form == "diffusion-pipe" else "keeps moments"
        raise UsageError(f"{form} {why}: only what came from it can be made into it again")
    return makers[form](info, shape, name)


def _musubi(info: LatentsInfo, shape: tuple[int, ...], name: str) -> CachedFile:
    short = _MUSUBI_SHORT.get(info.architecture or "")
    if short is None:
        said = f"{info.architecture!r} is none that it knows" if info.architecture else "the file does not say one"
        raise UsageError(f"musubi needs the architecture that latents are for, and {said}")
    dtype, word = _TYPES[info.dtype]
    key = f"latents_{'x'.join(map(str, shape[1:]))}_{word}"
    metadata = {
        "architecture": str(info.architecture),
        "width": str(info.width),
        "height": str(info.height),
        "format_version": "1.0.1",
        "frame_count": str(info.frames),
    }
    # the trainer takes names apart at each _, from the back
    place = f"00000-{info.frames:03d}_{info.width:04d}x{info.height:04d}_{short}"
    facts = Facts("musubi", key, Layout("CFHW"))
    return CachedFile(f"{name}_{place}.safetensors", SAFETENSORS, facts, dtype, shape, {key: LatentPlace()}, metadata)


def _ltx(info: LatentsInfo, shape: tuple[int, ...], name: str) -> CachedFile:
    if info.fps is None:
        raise UsageError("ltx needs the frames per second, and the file does not say them")
    sizes = {"num_frames": shape[1], "height": shape[2], "width": shape[3], "fps": float(info.fps)}
    document: dict[str, Any] = {"latents": LatentPlace(), **sizes}
    return CachedFile(
        f"{name}.pt", TORCH, Facts("ltx", "latents", Layout("CFHW")), _TYPES[info.dtype][0], shape, document
    )


def _comfyui(info: LatentsInfo, shape: tuple[int, ...], name: str) -> CachedFile:
    mark = RawTensor("F32", (0,), np.empty(0, np.uint8))
    document = {"latent_tensor": LatentPlace(), COMFYUI_MARK: mark}
    facts = Facts("comfyui", "latent_tensor", Layout("BCFHW"))
    return CachedFile(f"{name}.latent", SAFETENSORS, facts, "F32", (1, *shape), document)


def _plain(info: LatentsInfo, shape: tuple[int, ...], name: str) -> CachedFile:
    batch = info.layout == "BCFHW"
    said = {"space": info.space, "estimator": info.estimator, "tokenizer": str(info.tokenizer["name"])}
    if info.architecture is not None:
        said["architecture"] = info.architecture
    facts = Facts("plain", "latents", Layout(info.layout))
    whole = (1, *shape) if batch else shape
    document = {"latents": LatentPlace()}
    return CachedFile(f"{name}.safetensors", SAFETENSORS, facts, _TYPES[info.dtype][0], whole, document, said)


def stem_of(path: PurePath, cached: CachedFile | None) -> str:
    """The name for a file that is made anew: that of the clip, without suffixes and what a trainer put behind it."""
    name = PurePath(path.name.removesuffix(".lat") if cached is None else cached.name).stem
    if cached is not None and cached.facts.format == "musubi":
        name = name.rsplit("_", 3)[0] or name
    if cached is not None and cached.parts > 1:
        name = f"{name}.{cached.part:04d}"
    return name
