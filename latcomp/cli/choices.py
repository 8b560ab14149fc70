"""Options that take one of a few words: checked with a suggestion for a slip of the fingers, and completed by the
shell.

No torch, no av: the shell asks for these lists at every press of TAB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import typer

DEVICES = {"auto": "a GPU if there is one", "cpu": "the processor", "cuda": "the first GPU; cuda:1 is the second"}
FILLS = {
    "auto": "what the encoder chose for each group",
    "lit": "the LIT everywhere",
    "hold": "the last kept value everywhere",
}
REFERENCES = {"kept": "the last kept value", "previous": "the previous latent frame"}
OPTIMISES = {"bits": "the smallest file", "tokens": "the fewest tokens, of finer steps"}
CAMERAS = {"auto": "follow a moving camera where that saves bits", "off": "latents stay in frame places"}
CACHES = {
    "musubi": "musubi-tuner",
    "diffusion-pipe": "a metadata.db and shards",
    "ltx": "the LTX trainer",
    "comfyui": ".latent files",
    "finetrainers": "moments",
    "plain": "safetensors, or what the files were",
}
MOMENTS = {"all": "mean and log variance", "mean": "the mean alone"}
SPACES = {"raw": "as the tokenizer gives them", "normalised": "by channel", "scaled": "by one factor"}
ESTIMATORS = {"mode": "of the posterior", "sample": "of the posterior"}
LAYOUTS = {
    "CFHW": "channels first",
    "FCHW": "frames first",
    "CHW": "a picture",
    "BCFHW": "CFHW in a batch",
    "BFCHW": "FCHW in a batch",
    "BCHW": "pictures in a batch",
}
PLACES = {"frame": "of the frame's own grid", "world": "of the world, for a camera that moves"}
CODINGS = {
    "context": "under the prior: smallest",
    "zstd": "by zstd alone",
    "adaptive": "by what came before, without the prior",
}
ENGINES = {"local": "processes on this machine", "ray": "a Ray cluster"}
MODES = {"side": "both side by side", "difference": "test less reference"}
CODECS = {
    "libx264": "H.264, the default",
    "libx265": "H.265",
    "libsvtav1": "AV1",
    "libvpx-vp9": "VP9",
    "ffv1": "lossless RGB",
    "rawvideo": "uncompressed",
}
FORMATS = {
    "mp4": "fragmented in a pipe",
    "mkv": "the default in a pipe",
    "mov": "QuickTime",
    "webm": "VP9 or AV1",
    "avi": "without timestamps",
    "y4m": "uncompressed, without sound",
}
PRESETS = {
    "tokenizer": {
        "default": "the shipped one's, 96 channels",
        "wide": "160 channels",
        "depthwise": "depthwise convolutions, fewer multiply-adds",
        "tiny": "16 channels, for tests",
    },
    "decoder": {"default": "for the shipped tokenizer", "tiny": "for tests"},
    "lit": {
        "default": "the shipped one's, 3 layers of 96",
        "gated": "the same with a gate, trained on pixels",
        "tiny": "one layer of 32, for tests",
    },
    "prior": {"default": "the shipped one's", "tiny": "for tests"},
}
"""Recipes that each kind of training knows by name."""


def did_you_mean(word: str, known: Sequence[str]) -> str:
    """'; did you mean X?' where one of the known words begins with `word` or is close to it, else an empty string."""
    from difflib import get_close_matches

    longer = [name for name in known if len(word.lstrip("-")) > 1 and name.startswith(word)]
    found = longer if len(longer) == 1 else get_close_matches(word.lower(), list(known), n=1)
    return f"; did you mean {found[0]}?" if found else ""


def one_of(known: Mapping[str, str]) -> Callable[[str | None], str | None]:
    """A check for an option that takes one of the known words; None, an option that was not given, passes."""
    names = list(known)

    def check(value: str | None) -> str | None:
        if value is not None and value not in known:
            wanted = f"{', '.join(names[:-1])} or {names[-1]}"
            raise typer.BadParameter(f"{value!r} is not known{did_you_mean(value, names) or f': choose {wanted}'}")
        return value

    return check


def list_of(known: Mapping[str, str]) -> Callable[[str | None], str | None]:
    """A check for an option that takes some of the known words with commas between them; None passes."""
    check = one_of(known)

    def check_each(value: str | None) -> str | None:
        for word in () if value is None else value.split(","):
            check(word.strip())
        return value

    return check_each


def completes(known: Mapping[str, str]) -> Callable[[], list[tuple[str, str]]]:
    """A completion of an option that takes one of the known words, each with what it means."""

    def complete() -> list[tuple[str, str]]:
        return list(known.items())

    return complete


def word_of(known: Mapping[str, str], metavar: str | None = None) -> dict[str, Any]:
    """The settings of an option that takes one of the known words: what checks and completes it, and its words in
    help, or `metavar` where these are too many."""
    return {
        "callback": one_of(known),
        "autocompletion": completes(known),
        "metavar": "|".join(known) if metavar is None else metavar,
    }


def tokenizer_names() -> list[str]:
    """Names of the shipped tokenizers, for the shell: as `latcomp models` lists them, found without reading their
    weights.
    """
    from latcomp import models

    return models.tokenizer_names()
