"""Names of the weights in Wan's own files (`wan_2.1_vae.safetensors`, `Wan2.2_VAE.pth`) as diffusers has them."""

from __future__ import annotations

import re

RESIDUAL_BLOCKS = 2  # of a stage of the encoder; the decoder has one more
_WHOLE = {
    "conv1": "quant_conv",
    "conv2": "post_quant_conv",
    "encoder.conv1": "encoder.conv_in",
    "decoder.conv1": "decoder.conv_in",
    "encoder.head.0": "encoder.norm_out",
    "decoder.head.0": "decoder.norm_out",
    "encoder.head.2": "encoder.conv_out",
    "decoder.head.2": "decoder.conv_out",
}
_INNER = {
    "residual.0": "norm1",
    "residual.2": "conv1",
    "residual.3": "norm2",
    "residual.6": "conv2",
    "shortcut": "conv_shortcut",
}
_MIDDLE = {"0": "resnets.0", "1": "attentions.0", "2": "resnets.1"}


def diffusers_name(name: str) -> str:
    """The name that diffusers gives to a weight of Wan 2.1 or 2.2; a name that is not known stays as it is."""
    stem, _, kind = name.rpartition(".")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.{kind}"
    if match := re.fullmatch(r"(encoder|decoder)\.middle\.([012])\.(.+)", stem):
        part, place, inner = match.groups()
        return f"{part}.mid_block.{_MIDDLE[place]}.{_INNER.get(inner, inner)}.{kind}"
    if match := re.fullmatch(r"(?:encoder\.down|decoder\.up)samples\.(\d+)\.(?:down|up)samples\.(\d+)\.(.+)", stem):
        return f"{_nested(stem.startswith('encoder'), *match.groups())}.{kind}"
    if match := re.fullmatch(r"encoder\.downsamples\.(\d+)\.(.+)", stem):
        return f"encoder.down_blocks.{match[1]}.{_INNER.get(match[2], match[2])}.{kind}"
    if match := re.fullmatch(r"decoder\.upsamples\.(\d+)\.(.+)", stem):
        stage, place = divmod(int(match[1]), RESIDUAL_BLOCKS + 2)
        inner = match[2]
        if inner in _INNER:
            return f"decoder.up_blocks.{stage}.resnets.{place}.{_INNER[inner]}.{kind}"
        return f"decoder.up_blocks.{stage}.upsamplers.0.{inner}.{kind}"
    return name


def _nested(encoder: bool, stage: str, place: str, inner: str) -> str:
    """Of Wan 2.2, whose stages are blocks of their own."""
    block = f"encoder.down_blocks.{stage}" if encoder else f"decoder.up_blocks.{stage}"
    if inner in _INNER:
        return f"{block}.resnets.{place}.{_INNER[inner]}"
    return f"{block}.{'downsampler' if encoder else 'upsampler'}.{inner}"
