"""Small published autoencoders with random weights, saved as users have them: one of each class that can be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

WAN = {"base_dim": 4, "z_dim": 16, "dim_mult": [1, 1, 1, 1], "num_res_blocks": 1}
WAN["temperal_downsample"] = [False, True, True]
LTX_BLOCKS = {
    "latent_channels": 8,
    "block_out_channels": (8, 8, 8, 8),
    "decoder_block_out_channels": (8, 8, 8, 8),
    "layers_per_block": (1,) * 5,
    "decoder_layers_per_block": (1,) * 5,
    "spatio_temporal_scaling": (True, True, True, False),
    "decoder_spatio_temporal_scaling": (True, True, True, False),
    "decoder_inject_noise": (False,) * 5,
    "upsample_residual": (False,) * 4,
    "upsample_factor": (1,) * 4,
}
LTX_095 = {
    "latent_channels": 8,
    "block_out_channels": (8, 8, 16, 16, 16),
    "decoder_block_out_channels": (16, 32, 64),
    "down_block_types": ("LTXVideo095DownBlock3D",) * 4,
    "layers_per_block": (1,) * 5,
    "decoder_layers_per_block": (1,) * 4,
    "spatio_temporal_scaling": (True,) * 4,
    "decoder_spatio_temporal_scaling": (True,) * 3,
    "decoder_inject_noise": (True, False, False, False),
    "downsample_type": ("spatial", "temporal", "spatiotemporal", "spatiotemporal"),
    "upsample_residual": (True,) * 3,
    "upsample_factor": (2,) * 3,
    "timestep_conditioning": True,
}
COSMOS = {
    "latent_channels": 16,
    "encoder_block_out_channels": (8,) * 4,
    "decode_block_out_channels": (8,) * 4,
    "attention_resolutions": (8,),
    "resolution": 64,
    "num_layers": 1,
    "latents_mean": None,
    "latents_std": None,
}
COG = {
    "down_block_types": ("CogVideoXDownBlock3D",) * 4,
    "up_block_types": ("CogVideoXUpBlock3D",) * 4,
    "block_out_channels": (8,) * 4,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 2,
}
HUNYUAN = {
    "down_block_types": ("HunyuanVideoDownBlock3D",) * 4,
    "up_block_types": ("HunyuanVideoUpBlock3D",) * 4,
    "block_out_channels": (8,) * 4,
    "latent_channels": 4,
    "layers_per_block": 1,
    "norm_num_groups": 4,
}
MAGVIT = {
    "latent_channels": 4,
    "block_out_channels": [8] * 4,
    "down_block_types": ["SpatialDownBlock3D", *["SpatialTemporalDownBlock3D"] * 3],
    "up_block_types": ["SpatialUpBlock3D", *["SpatialTemporalUpBlock3D"] * 3],
    "layers_per_block": 1,
    "norm_num_groups": 4,
}
MOCHI = {
    "encoder_block_out_channels": (32,) * 4,
    "decoder_block_out_channels": (32,) * 4,
    "layers_per_block": (1,) * 5,
    "latent_channels": 4,
    "latents_mean": [0.0] * 4,
    "latents_std": [1.0] * 4,
}
MINIMAX = {
    "latent_channels": 4,
    "block_out_channels": (8,) * 6,
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "decoder_num_layers": 2,
    "decoder_num_attention_heads": 2,
    "decoder_attention_head_dim": 16,
    "latents_mean": (0.0,) * 4,
    "latents_std": (1.0,) * 4,
}
WAN_22 = {
    **WAN,
    "decoder_base_dim": 4,
    "is_residual": True,
    "in_channels": 12,
    "out_channels": 12,
    "patch_size": 2,
    "scale_factor_spatial": 16,
    "latents_mean": [0.0] * 16,
    "latents_std": [1.0] * 16,
}
HUNYUAN_15 = {"latent_channels": 8, "block_out_channels": (16,) * 5, "layers_per_block": 1}
LTX_2 = {
    "latent_channels": 8,
    "block_out_channels": (8, 8, 16, 16),
    "decoder_block_out_channels": (16, 32, 64),
    "layers_per_block": (1,) * 5,
    "decoder_layers_per_block": (1,) * 4,
}
KANDINSKY = {
    "latent_channels": 8,
    "encoder_block_out_channels": (4, 8, 8, 8, 8),
    "decoder_block_out_channels": (4, 8, 8, 8, 8),
    "layers_per_block": 1,
}

CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "Wan 2.1": ("AutoencoderKLWan", WAN),
    "Wan 2.2": ("AutoencoderKLWan", WAN_22),
    "Qwen-Image": ("AutoencoderKLQwenImage", WAN),
    "Cosmos 8x8x8": ("AutoencoderKLCosmos", {**COSMOS, "temporal_compression_ratio": 8}),
    "Cosmos 4x8x8": ("AutoencoderKLCosmos", {**COSMOS, "temporal_compression_ratio": 4}),
    "HunyuanVideo": ("AutoencoderKLHunyuanVideo", HUNYUAN),
    "HunyuanVideo 1.5": ("AutoencoderKLHunyuanVideo15", HUNYUAN_15),
    "LTX 0.9": ("AutoencoderKLLTXVideo", LTX_BLOCKS),
    "LTX 0.9.5": ("AutoencoderKLLTXVideo", LTX_095),
    "LTX-2": ("AutoencoderKLLTX2Video", LTX_2),
    "CogVideoX": ("AutoencoderKLCogVideoX", COG),
    "Mochi": ("AutoencoderKLMochi", MOCHI),
    "Magvit": ("AutoencoderKLMagvit", MAGVIT),
    "KVAE": ("AutoencoderKLKVAEVideo", {"ch": 32, "ch_mult": (1,) * 4, "num_res_blocks": 1, "z_channels": 4}),
    "Kandinsky 6 SR": ("Kandinsky6SRVAE", KANDINSKY),
    "MiniMax-H3": ("AutoencoderKLMiniMaxH3", MINIMAX),
    "VidTok": ("AutoencoderVidTok", {"ch": 32, "ch_mult": [1] * 4, "z_channels": 4, "num_res_blocks": 1}),
}


def save_published(name: str, folder: Path, seed: int = 0, **changed: Any) -> Path:
    """The folder of a small autoencoder of a class, as `save_pretrained` writes it."""
    import diffusers

    kind, config = CONFIGS[name]
    torch.manual_seed(seed)
    getattr(diffusers, kind)(**{**config, **changed}).save_pretrained(folder)
    return folder


def save_taehv(path: Path, patch: int = 1, channels: int = 16, seed: int = 0) -> Path:
    """The file of a TAEHV with narrow layers, as PyTorch saves it."""
    torch.manual_seed(seed)
    weights: dict[str, torch.Tensor] = {}

    def conv(name: str, rows: int, columns: int, side: int = 3, bias: bool = True) -> None:
        weights[f"{name}.weight"] = torch.randn(rows, columns, side, side) / (columns * side * side) ** 0.5
        if bias:
            weights[f"{name}.bias"] = 0.1 * torch.randn(rows)

    def memory(name: str, width: int) -> None:
        conv(f"{name}.conv.0", width, 2 * width)
        conv(f"{name}.conv.2", width, width)
        conv(f"{name}.conv.4", width, width)

    width, widths = 8, (16, 8, 8, 8)
    conv("encoder.0", width, 3 * patch**2)
    for stage, join in enumerate((2, 2, 1)):
        at = 2 + 5 * stage
        conv(f"encoder.{at}.conv", width, width * join, 1, bias=False)
        conv(f"encoder.{at + 1}", width, width, bias=False)
        for block in range(3):
            memory(f"encoder.{at + 2 + block}", width)
    conv("encoder.17", channels, width)
    conv("decoder.1", widths[0], channels)
    for stage, split in enumerate((1, 2, 2)):
        at = 3 + 6 * stage
        for block in range(3):
            memory(f"decoder.{at + block}", widths[stage])
        conv(f"decoder.{at + 4}.conv", widths[stage] * split, widths[stage], 1, bias=False)
        conv(f"decoder.{at + 5}", widths[stage + 1], widths[stage], bias=False)
    conv("decoder.22", 3 * patch**2, widths[-1])
    torch.save(weights, path)
    return path
