"""What is known of the tokenizers that cached latents come from, by the trainers' words for their models: how many
pixels and frames a latent stands for."""

from __future__ import annotations

from typing import Any

from latcomp.datasets.caches.trainers import Facts
from latcomp.latents.frame_rule import FrameRule

_WAN, _WAN_22, _HUNYUAN_15, _LTX = (8, 4), (16, 4), (16, 4), (32, 8)
_FACTORS: dict[str, tuple[int, int]] = {
    "wan": _WAN,
    "wan21": _WAN,
    "qwen_image": _WAN,
    "qwen_image_edit": _WAN,
    "qwen_image_layered": _WAN,
    "cosmos_predict2": _WAN,
    "hunyuan_video": (8, 4),
    "hunyuan-video": (8, 4),
    "framepack": (8, 4),
    "kandinsky5": (8, 4),
    "hunyuan_video_1_5": _HUNYUAN_15,
    "hunyuan_video_1.5": _HUNYUAN_15,
    "cosmos": (8, 8),
    "ltx": _LTX,
    "ltx2": _LTX,
    "ltx-video": _LTX,
}
"""(pixels a side of a position, frames of a latent frame) of a model's tokenizer; all take 1 + n k frames."""
_BY_CHANNELS = {128: ("ltx", _LTX), 48: ("wan", _WAN_22)}
_UNKNOWN = (8, 4)


def tokenizer_of(facts: Facts, channels: int) -> dict[str, Any]:
    """What `encode_latents` is to be told of the tokenizer of latents of so many channels, of means."""
    architecture = facts.architecture
    if architecture == "wan" and channels in _BY_CHANNELS:
        factors = _BY_CHANNELS[channels][1]
    elif architecture in _FACTORS:
        factors = _FACTORS[architecture]
    else:
        name, factors = _BY_CHANNELS.get(channels, (None, _UNKNOWN))
        architecture = architecture or name
    spatial, temporal = factors
    return {"name": architecture or "unknown", "spatial": spatial, "temporal": temporal, "first_frames": 1}


def size_of(facts: Facts, tokenizer: dict[str, Any], shape: tuple[int, ...]) -> dict[str, Any]:
    """frames, height and width of the video as far as they are known and fit latents (C, F, H, W): trainers also note
    the size of a video before it was scaled."""
    found: dict[str, Any] = {}
    rule = FrameRule(tokenizer["temporal"], tokenizer.get("first_frames", tokenizer["temporal"]))
    if facts.frames is not None and rule.fits(facts.frames, shape[1]):
        found["frames"] = facts.frames
    sides = ("height", facts.height, shape[2]), ("width", facts.width, shape[3])
    if all(given is not None and -(-given // tokenizer["spatial"]) == places for _, given, places in sides):
        found |= {name: given for name, given, _ in sides if given is not None}
    return found
