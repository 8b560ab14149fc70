"""The prior's weights, made ready: layers that share their sums are one, and inputs with a sign are pairs of
activations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from latcomp.container.coding.prior.neighbourhood import PASSES
from latcomp.kernels import FLOATS, Kernels, Layer, activations_of, both_signs


@dataclass(frozen=True)
class Layers:
    """The layers of what is coded of tokens, by what they give; see FORMAT.md for the tensors they are made of."""

    embed: Layer
    spread: Layer
    trunk: Layer
    known: list[Layer]
    """By pass, as all lists here."""
    silence: list[np.ndarray]
    """uint8 (K,): what positions of which nothing is known send to their neighbours."""
    head: list[Layer]
    """Of the messages around and the trunk."""
    first_head: Layer
    """Of the trunk alone, in pass 0, for positions whose neighbours all send `silence`."""
    leave: list[list[Layer]]
    """By pass and group of channels."""

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], kernels: Kernels) -> Layers:
        """arrays: as `Prior` takes them. Raises `UsageError` for weights that no kernels take."""

        def layer(bias: str, *weights: np.ndarray) -> Layer:
            return kernels.layer(np.concatenate(weights), arrays[bias])

        known = [layer(f"known{number}_bias", both_signs(arrays[f"known{number}"])) for number in range(PASSES)]
        silence = [activations_of(arrays[f"known{number}_bias"]) for number in range(PASSES)]
        around = arrays["beside0"].astype(np.int32).reshape(9, len(silence[0]), -1)
        said = np.einsum("k,pkw->w", silence[0].astype(np.int32), around)
        channels = arrays["own"].shape[0]
        leave = []
        for number in range(PASSES):
            weight, bias = arrays[f"leave{number}"], arrays[f"leave{number}_bias"]  # (W, 4, C), (4, C)
            groups = [np.arange(group, channels, PASSES) for group in range(PASSES)]
            leave.append(
                [
                    kernels.layer(
                        weight[:, :, g].reshape(len(weight), -1), np.ascontiguousarray(bias[:, g].reshape(-1))
                    )
                    for g in groups
                ]
            )
        return cls(
            embed=layer("embed_bias", both_signs(arrays["embed"])),
            spread=layer("spread_bias", arrays["spread"]),
            trunk=layer("trunk_bias", arrays["near"], both_signs(arrays["own"]), arrays["facts"]),
            known=known,
            silence=silence,
            head=[
                layer(f"down{number}_bias", arrays[f"beside{number}"], arrays[f"down{number}"])
                for number in range(PASSES)
            ],
            first_head=kernels.layer(arrays["down0"], (arrays["down0_bias"] + said).astype(np.int32)),
            leave=leave,
        )


@dataclass(frozen=True)
class MaskLayers:
    """The layers that say how likely positions are kept; lists are by phase, in coding order."""

    trunk: Layer
    head: list[Layer]
    """Of the bits around and the trunk."""
    leave: list[Layer]

    @classmethod
    def of(cls, arrays: Mapping[str, np.ndarray], kernels: Kernels) -> MaskLayers:
        """See `Layers.of`."""
        inputs = arrays["mask_near"], both_signs(arrays["mask_own"]), arrays["mask_facts"]
        heads = [np.concatenate(pair) for pair in zip(arrays["mask_beside"], arrays["mask_down"], strict=True)]
        leaves = arrays["mask_leave"][:, :, None], arrays["mask_leave_bias"][:, None]
        return cls(
            kernels.layer(np.concatenate(inputs), arrays["mask_trunk_bias"]),
            [kernels.layer(*pair) for pair in zip(heads, arrays["mask_down_bias"], strict=True)],
            [FLOATS.layer(*pair) for pair in zip(*leaves, strict=True)],  # too few products to be handed on
        )
