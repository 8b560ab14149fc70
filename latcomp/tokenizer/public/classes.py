"""The classes of published video autoencoders: how each is called, and why others cannot be used. No torch.

What is measured by running a tokenizer (`probe`) does not stand here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from latcomp.errors import UnsupportedFileError

TAEHV, COSMOS_JIT = "TAEHV", "CosmosTokenizerJIT"
RECIPES = 1
"""Version of how classes are called; part of every fingerprint, so what changes latents changes this."""


@dataclass(frozen=True)
class PublicClass:
    """How a class is called."""

    recipe: str
    """The class of `vae` or its neighbours that calls it."""
    frame_rule: str
    """How frames are given to it: the frame rule's name in fingerprints."""
    chunk: int = 1
    """Latent frames that its norms or chunks span, behind the first one."""


CLASSES = {
    "AutoencoderKLWan": PublicClass("wan", "1+k"),
    "AutoencoderKLQwenImage": PublicClass("qwen", "1+k"),
    "AutoencoderKLCosmos": PublicClass("window", "1+k"),
    "AutoencoderKLHunyuanVideo": PublicClass("hunyuan", "1+k"),
    "AutoencoderKLHunyuanVideo15": PublicClass("window", "1+k"),
    "AutoencoderKLLTXVideo": PublicClass("ltx", "1+k"),
    "AutoencoderKLLTX2Video": PublicClass("ltx", "1+k"),
    "AutoencoderKLCogVideoX": PublicClass("cogvideox", "1+2k", chunk=2),
    "AutoencoderKLMochi": PublicClass("window", "1+k"),
    "AutoencoderKLMagvit": PublicClass("magvit", "1+k"),
    "AutoencoderKLKVAEVideo": PublicClass("kvae", "1+4k", chunk=4),
    "Kandinsky6SRVAE": PublicClass("kandinsky6sr", "1+k"),
    "AutoencoderKLMiniMaxH3": PublicClass("minimaxh3", "1+4", chunk=4),
    "AutoencoderVidTok": PublicClass("vidtok", "3 before, 1+k"),
    COSMOS_JIT: PublicClass("jit", "1+k"),
    TAEHV: PublicClass("taehv", "3 behind, 1+k"),
}
"""By the `_class_name` of a config.json; the last two by what their files hold."""

_IMAGES = "it encodes images, one at a time: video needs a causal video autoencoder"
_AUDIO = "it encodes audio"
REASONS = {
    "AutoencoderKL": _IMAGES,
    "AutoencoderKLFlux2": _IMAGES,
    "AutoencoderKLHunyuanImage": _IMAGES,
    "AutoencoderKLQwenImage21": _IMAGES,
    "AutoencoderKLKVAE": _IMAGES,
    "AutoencoderTiny": _IMAGES,
    "AutoencoderDC": _IMAGES,
    "AutoencoderRAE": _IMAGES,
    "AsymmetricAutoencoderKL": _IMAGES,
    "ConsistencyDecoderVAE": _IMAGES,
    "VQModel": _IMAGES,
    "AutoencoderKLTemporalDecoder": "it encodes each frame as an image of its own (Stable Video Diffusion)",
    "AutoencoderKLHunyuanImageRefiner": "it compresses no time, and each frame depends on later ones",
    "AutoencoderKLAllegro": "it is not causal: each latent frame depends on later frames",
    "AutoencoderKLKVAEAudio": _AUDIO,
    "AutoencoderKLLTX2Audio": _AUDIO,
    "AutoencoderKLMiniMaxH3Audio": _AUDIO,
    "AutoencoderOobleck": _AUDIO,
}
"""Why classes that are often found cannot be used, by `_class_name`."""


def class_of(config: Mapping[str, Any], name: str | None = None) -> PublicClass:
    """How the class of a configuration is called. name: of the class, where the configuration does not hold it.

    Raises `UnsupportedFileError` saying why for a class that cannot be used."""
    name = str(config.get("_class_name")) if name is None else name
    reason = REASONS.get(name)
    if name == "AutoencoderVidTok" and not config.get("is_causal", True):
        reason = "VidTok without is_causal is not causal: each latent frame depends on later frames"
    elif name == "AutoencoderVidTok" and config.get("regularizer", "kl") != "kl":
        reason = f"VidTok with the regularizer {config['regularizer']!r:.20} is discrete: latents must be continuous"
    elif name not in CLASSES and reason is None:
        reason = "the class is not known to be a causal video autoencoder; choose one of " + ", ".join(CLASSES)
    if reason is not None:
        raise UnsupportedFileError(f"{name:.60} cannot be used as a tokenizer: {reason}")
    return CLASSES[name]
