"""What each trainer's cache says about its latents: where they are, in which space, how they were drawn.

Facts by reading the trainers' code: musubi-tuner (kohya-ss: dataset/cache_io.py, *_cache_latents.py), diffusion-pipe
(tdrussell: utils/cache.py, models/), the LTX trainer (Lightricks: process_videos.py), ComfyUI (nodes.py: SaveLatent),
finetrainers (a-r-r-o-w: data/precomputation.py, models/)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from latcomp.datasets.caches.layout import Layout
from latcomp.datasets.caches.tensors import LATENT_DTYPES, RawTensor

FORMATS = ("musubi", "diffusion-pipe", "ltx", "comfyui", "finetrainers", "plain")

SAFETENSORS, TORCH = "safetensors", "torch"
"""What a file is: tensors of the safetensors format, or values of torch.save."""


@dataclass(frozen=True)
class Facts:
    """What is known of the latents of one file."""

    format: str
    """One of `FORMATS`."""
    key: str | None
    """Of the latents in the file's table; None where the file is one tensor."""
    layout: Layout
    space: str | None = None
    """'raw' as the tokenizer gives them, 'normalised' per channel, 'scaled' by one factor; None: not known."""
    estimator: str | None = None
    """'mode' of the posterior, a 'sample' of it, or its 'moments' (mean and log variance as channels); None: not
    known."""
    architecture: str | None = None
    """Of the model that the latents are for, in the trainer's words."""
    frames: int | None = None
    """Of the video, as width and height in pixels."""
    width: int | None = None
    height: int | None = None
    frames_per_second: float | None = None


_MUSUBI_KEY = re.compile(r"latents_(?:(\d+)x)?(\d+)x(\d+)_[a-z]\w*")
_MUSUBI_SPACES = {
    "wan": ("normalised", "mode"),
    "wan21": ("normalised", "mode"),
    "qwen_image": ("normalised", "mode"),
    "qwen_image_edit": ("normalised", "mode"),
    "qwen_image_layered": ("normalised", "mode"),
    "hunyuan_video": ("raw", "sample"),
    "hunyuan_video_1_5": ("raw", "mode"),
    "framepack": ("scaled", "sample"),
    "kandinsky5": ("scaled", "sample"),
}
_PIPE_SPACES = {
    "wan": ("normalised", "mode"),
    "qwen_image": ("normalised", "mode"),
    "cosmos": ("raw", "mode"),
    "cosmos_predict2": ("normalised", "mode"),
    "ltx-video": ("normalised", "sample"),
    "hunyuan-video": ("scaled", "sample"),
    "hunyuan_image": ("scaled", "mode"),
    "flux": ("scaled", "sample"),
    "chroma": ("scaled", "sample"),
    "sdxl": ("scaled", "sample"),
    "sd3": ("scaled", "sample"),
    "lumina_2": ("scaled", "sample"),
    "hidream": ("scaled", "sample"),
    "omnigen2": ("scaled", "sample"),
    "auraflow": ("scaled", "mode"),
}
_COMFYUI_KEY, COMFYUI_MARK = "latent_tensor", "latent_format_version_0"
_FINETRAINERS_NAME = re.compile(r"latents?-\d+(-\d+)?\.pt")
_PLAIN_KEYS = ("latents", "latent", "video_latents", "vae_latents", "samples", "z", "x")


def describe_safetensors(tensors: Mapping[str, RawTensor], metadata: Mapping[str, str]) -> Facts | None:
    """What the latents of a safetensors file are; None where it holds none."""
    if _COMFYUI_KEY in tensors:
        layout = {5: "BCFHW", 4: "BCHW"}.get(len(tensors[_COMFYUI_KEY].shape), "BCFHW")
        space = "raw" if COMFYUI_MARK in tensors else "scaled"
        return Facts("comfyui", _COMFYUI_KEY, Layout(layout), space)
    if "architecture" in metadata:
        for key, tensor in tensors.items():
            if _MUSUBI_KEY.fullmatch(key):
                return _of_musubi(key, tensor, metadata)
    return _plain(tensors)


def _of_musubi(key: str, tensor: RawTensor, metadata: Mapping[str, str]) -> Facts:
    architecture = metadata["architecture"]
    space, estimator = _MUSUBI_SPACES.get(architecture, (None, None))
    sizes = {name: _whole(metadata.get(name)) for name in ("frame_count", "width", "height")}
    layout = Layout("CHW" if len(tensor.shape) == 3 else "CFHW")
    return Facts(
        "musubi", key, layout, space, estimator, architecture, sizes["frame_count"], sizes["width"], sizes["height"]
    )


def describe_torch(value: Any, name: str) -> Facts | None:
    """What the latents of a file of torch.save are; None where it holds none. name: of the file."""
    if isinstance(value, RawTensor):
        return None if (layout := _plain_layout(value)) is None else Facts("plain", None, layout)
    if not isinstance(value, dict):
        return None
    latents = value.get("latents")
    if isinstance(latents, RawTensor) and latents.dtype in LATENT_DTYPES:
        sizes = tuple(value.get(name) for name in ("num_frames", "height", "width"))
        if "fps" in value and all(type(size) is int for size in sizes) and len(latents.shape) in (2, 4):
            layout = Layout("SC", sizes) if len(latents.shape) == 2 else Layout("CFHW")  # type: ignore[arg-type]
            known = _rate(value["fps"])
            return Facts("ltx", "latents", layout, "normalised", "mode", "ltx", frames_per_second=known)
        named = _FINETRAINERS_NAME.fullmatch(PurePath(name).name) is not None
        if len(latents.shape) == 5 and latents.shape[1] % 2 == 0 and (named or "latents_mean" in value):
            return Facts("finetrainers", "latents", Layout("BCFHW"), "raw", "moments")
    return _plain({key: item for key, item in value.items() if isinstance(key, str) and isinstance(item, RawTensor)})


def describe_item(value: Any, architecture: str | None) -> Facts | None:
    """What the latents of an item of a diffusion-pipe cache are; None where it holds none."""
    latents = value.get("latents") if isinstance(value, dict) else None
    if not isinstance(latents, RawTensor) or len(latents.shape) not in (3, 4):
        return None
    space, estimator = _PIPE_SPACES.get(architecture or "", (None, None))
    layout = Layout("CFHW" if len(latents.shape) == 4 else "CHW")
    return Facts("diffusion-pipe", "latents", layout, space, estimator, architecture)


def _plain(tensors: Mapping[str, RawTensor]) -> Facts | None:
    """By the names that people give latents, or as the only tensor of four or five axes."""
    fits = {key: layout for key, tensor in tensors.items() if (layout := _plain_layout(tensor)) is not None}
    key = next((key for key in _PLAIN_KEYS if key in fits), None)
    if key is None and len(fits) == 1:
        (key,) = fits
    return None if key is None else Facts("plain", key, fits[key])


def _plain_layout(tensor: RawTensor) -> Layout | None:
    if tensor.dtype not in LATENT_DTYPES or len(tensor.shape) not in (4, 5) or not tensor.data.size:
        return None
    return Layout("CFHW" if len(tensor.shape) == 4 else "BCFHW")


def _rate(value: Any) -> float | None:
    """Frames per second; None for what are none that a .lat file can say."""
    fits = isinstance(value, int | float) and not isinstance(value, bool) and 1e-3 < value < 1e6
    return float(value) if fits else None


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and 0 < len(text) < 10 and int(text) > 0 else None
