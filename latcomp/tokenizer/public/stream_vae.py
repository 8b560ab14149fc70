"""The autoencoders of diffusers whose streams can go on: Wan and Qwen-Image, CogVideoX, KVAE, Kandinsky 6 SR.

Each keeps what its causal convolutions (and norms) remember in a cache that can be handed from call to call; the
public `encode` and `decode` begin with an empty one and are not used for streams."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch
from torch import Tensor

from latcomp.tokenizer.public.diffusers_vae import WindowVae
from latcomp.tokenizer.public.vae import copied, pieces


class WanVae(WindowVae):
    """Wan 2.1 and 2.2: lists of features, one for each causal convolution; 1 frame, then 4 at once."""

    streams = True
    marks_first = True  # its decoder is told which latent frame is the first

    def encode_on(self, pixels: Tensor, cache: Any, temporal: int) -> tuple[Tensor, Any]:  # noqa: D102
        start = cache is None
        features = self._features("encoder") if start else copied(cache)
        patch = self.config.get("patch_size")
        if patch is not None:
            pixels = self._functions().patchify(pixels, patch_size=patch)
        made = [
            self.module.encoder(piece, feat_cache=features, feat_idx=[0])
            for piece in pixels.split(pieces(pixels.shape[2], 1, temporal, start), dim=2)
        ]
        moments = self.module.quant_conv(torch.cat(made, dim=2))
        return moments.chunk(2, dim=1)[0], features

    def decode_on(self, latents: Tensor, cache: Any) -> tuple[Tensor, Any]:  # noqa: D102
        start = cache is None
        features = self._features("decoder") if start else copied(cache)
        made = []
        for index, step in enumerate(self.module.post_quant_conv(latents).split(1, dim=2)):
            first = {"first_chunk": True} if self.marks_first and start and index == 0 else {}
            made.append(self.module.decoder(step, feat_cache=features, feat_idx=[0], **first))
        pixels = torch.cat(made, dim=2)
        patch = self.config.get("patch_size")
        if patch is not None:
            pixels = self._functions().unpatchify(pixels, patch_size=patch)
        return pixels, features

    def _features(self, part: str) -> list[Any]:
        return [None] * int(self.module._cached_conv_counts[part])

    def _functions(self) -> Any:
        return import_module(type(self.module).__module__)


class QwenVae(WanVae):
    """Qwen-Image: Wan 2.1's networks under other names, and no mark of the first latent frame."""

    marks_first = False

    def _features(self, part: str) -> list[Any]:
        self.module.clear_cache()
        return [None] * int(self.module._enc_conv_num if part == "encoder" else self.module._conv_num)


class CogVae(WindowVae):
    """CogVideoX: norms span 8 frames or 2 latent frames, at a stream's start 9 or 3."""

    streams = True
    chunk = 2

    def encode_on(self, pixels: Tensor, cache: Any, temporal: int) -> tuple[Tensor, Any]:  # noqa: D102
        later = self.chunk * temporal
        made = []
        for piece in pixels.split(pieces(pixels.shape[2], later + 1, later, cache is None), dim=2):
            moments, cache = self.module.encoder(piece, conv_cache=copied(cache))
            made.append(moments if self.module.quant_conv is None else self.module.quant_conv(moments))
        return torch.cat(made, dim=2).chunk(2, dim=1)[0], cache

    def decode_on(self, latents: Tensor, cache: Any) -> tuple[Tensor, Any]:  # noqa: D102
        made = []
        for piece in latents.split(pieces(latents.shape[2], self.chunk + 1, self.chunk, cache is None), dim=2):
            moments = piece if self.module.post_quant_conv is None else self.module.post_quant_conv(piece)
            pixels, cache = self.module.decoder(moments, conv_cache=copied(cache))
            made.append(pixels)
        return torch.cat(made, dim=2), cache


class SegmentVae(WindowVae):
    """Base of those that take segments of 17 and then 16 frames with one cache, which their networks change."""

    streams = True
    chunk = 4

    def _cache(self, part: str) -> Any:
        raise NotImplementedError

    def encode_on(self, pixels: Tensor, cache: Any, temporal: int) -> tuple[Tensor, Any]:  # noqa: D102
        start, later = cache is None, self.chunk * temporal
        cache = self._cache("encoder") if start else copied(cache)
        split = pieces(pixels.shape[2], later + 1, later, start)
        made = [self.module.encoder(piece, cache) for piece in pixels.split(split, dim=2)]
        return torch.cat(made, dim=2).chunk(2, dim=1)[0], cache

    def decode_on(self, latents: Tensor, cache: Any) -> tuple[Tensor, Any]:  # noqa: D102
        start = cache is None
        cache = self._cache("decoder") if start else copied(cache)
        split = pieces(latents.shape[2], self.chunk + 1, self.chunk, start)
        made = [self.module.decoder(piece, cache) for piece in latents.split(split, dim=2)]
        return torch.cat(made, dim=2), cache


class KvaeVae(SegmentVae):
    """KVAE video: its norms span a segment."""

    def _cache(self, part: str) -> Any:
        return self.module._make_encoder_cache() if part == "encoder" else self.module._make_decoder_cache()


class Kandinsky6SrVae(SegmentVae):
    """Kandinsky 6 SR: nothing in it spans a segment, so that those of one latent frame are the same."""

    chunk = 1

    def _cache(self, part: str) -> Any:
        return getattr(self.module, part).make_cache()
