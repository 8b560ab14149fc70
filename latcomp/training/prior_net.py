"""The learned prior as a network to train: the sums of `latcomp.container.coding.prior.network`, rounded with
straight-through gradients."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from latcomp.container.coding.prior.neighbourhood import PASSES, PHASE_LEAD
from latcomp.container.coding.prior.network import ACTIVATION_MAX, FACTS, SCALE_LOW, SCALE_OCTAVE, SCALES, WEIGHT_SHIFT
from latcomp.tokenizer.cv8x8x4.trunk import start_at_zero
from latcomp.training.rate import laplace_bits

UNIT = 1 / 32  # one step of an activation
BIAS_SHIFT = 13  # sums and biases are whole numbers of 1/8192


@dataclass(frozen=True)
class PriorConfig:
    """Everything that shapes a prior, apart from its weights."""

    name: str = "prior"
    channels: int = 96
    embed: int = 64
    """Features of a position's past, and of what it makes of its neighbours' past."""
    width: int = 128
    known: int = 48
    """Features a position tells its neighbours of what is already known of the latent frame being coded."""
    mask_width: int = 64
    """Features of what the past says of a position's keep mask."""
    mask_hidden: int = 32
    """Features of that together with the bits around."""
    tokenizer_sha256: str = ""

    def save(self, path: Path) -> None:
        """Write the configuration as JSON to `path`."""
        path.write_text(json.dumps({"kind": "prior", **asdict(self)}, indent=1) + "\n", encoding="utf-8")


def _through(value: Tensor, rounded: Tensor) -> Tensor:
    return value + (rounded - value).detach()


def whole_weights(weight: Tensor) -> Tensor:
    """Weights rounded to 1/256 and cut to +-127/256."""
    bounded = weight.clamp(-127 / 256, 127 / 256)
    return _through(bounded, torch.round(bounded * 256) / 256)


def whole_relu(sums: Tensor) -> Tensor:
    """Activations: whole numbers of 1/32 from 0 to 127."""
    bounded = sums.clamp(0, ACTIVATION_MAX * UNIT)
    return _through(bounded, torch.floor(bounded / UNIT + 0.5) * UNIT)


def whole_bias(bias: Tensor) -> Tensor:
    """Biases rounded to 1/8192."""
    return _through(bias, torch.round(bias * 2**BIAS_SHIFT) / 2**BIAS_SHIFT)


class WholeConv(nn.Conv2d):
    """A convolution with rounded weights."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, h, w) sums."""
        bias = None if self.bias is None else whole_bias(self.bias)
        return F.conv2d(x, whole_weights(self.weight), bias, padding=self.padding)


@dataclass(frozen=True)
class Frames:
    """Latent frames to be coded, all float32 on one device; N of them.

    kept, change, values: (N, C, h, w) last kept symbols, change before and true symbols, in units, zero where nothing
    is visible; mask: (N, h, w) bool; facts: (N, FACTS, h, w) and mask_facts: (N, MASK_FACTS, h, w) activations; kind:
    (N, h, w) int64; visible, open: (N, h, w) bool, what is shown, and what of it has been shown before, so that its bit
    of the mask is stored; corner: (N, 2) int64, whether the first row and column are odd ones of the world."""

    kept: Tensor
    change: Tensor
    values: Tensor
    mask: Tensor
    facts: Tensor
    kind: Tensor
    mask_facts: Tensor
    visible: Tensor
    open: Tensor
    corner: Tensor

    @classmethod
    def of(cls, batch: Mapping[str, Tensor]) -> Frames:
        """Latent frames of tensors that may be whole numbers of any type."""
        kinds = dict.fromkeys(("mask", "visible", "open"), torch.bool) | dict.fromkeys(("kind", "corner"), torch.int64)
        return cls(**{f.name: batch[f.name].to(kinds.get(f.name, torch.float32)) for f in fields(cls)})


def squash(symbols: Tensor) -> Tensor:
    """Activations of symbols in units, rounded as the tables of the coder are."""
    size = torch.floor(16 * torch.log2(1 + symbols.abs() / 4) + 0.5).clamp(max=ACTIVATION_MAX)
    return torch.sign(symbols) * size * UNIT


def matrix(layer: nn.Module) -> np.ndarray:
    """(k * k * in, out) int8 weights of a `WholeConv`."""
    whole = torch.round(layer.get_parameter("weight").detach().clamp(-127 / 256, 127 / 256) * 2**WEIGHT_SHIFT)
    return whole.permute(2, 3, 1, 0).reshape(-1, whole.shape[0]).to(torch.int8).cpu().numpy()


def vector(layer: nn.Module) -> np.ndarray:
    """(out,) int32 biases of a `WholeConv`."""
    return torch.round(layer.get_parameter("bias").detach() * 2**BIAS_SHIFT).to(torch.int32).cpu().numpy()


def layer_of(matrix: Tensor, bias: Tensor | None, side: int = 1) -> dict[str, Tensor]:
    """The state of a `WholeConv` of side x side places that `matrix` and `vector` were made of. matrix: (side * side *
    in, out) whole numbers; bias: (out,).
    """
    weight = matrix.float().reshape(side, side, -1, matrix.shape[-1]).permute(3, 2, 0, 1) / 2**WEIGHT_SHIFT
    return {"weight": weight.contiguous()} | ({} if bias is None else {"bias": bias.float() / 2**BIAS_SHIFT})


def named(layers: Mapping[str, Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """The state of a module of the states of its layers."""
    return {f"{name}.{kind}": value for name, state in layers.items() for kind, value in state.items()}


@lru_cache(maxsize=8)
def pass_schedules(channels: int, height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """(4, 4, C, h, w) floats each, by 2 * (odd first row) + (odd first column) and by pass: which values are known
    before the pass, and which are coded in it.
    """
    y, x = torch.meshgrid(torch.arange(height + 1), torch.arange(width + 1), indexing="ij")
    lead = torch.tensor(PHASE_LEAD)[2 * (y % 2) + x % 2]
    leads = torch.stack([lead[down : down + height, right : right + width] for down in (0, 1) for right in (0, 1)])
    group = torch.arange(channels) % PASSES
    order = (group[:, None, None] - leads[:, None, None]) % PASSES  # (4, 1, C, h, w): the pass of each value
    number = torch.arange(PASSES).view(-1, 1, 1, 1)
    return (order < number).float().to(device), (order == number).float().to(device)


class PriorNet(nn.Module):
    """Means and scales of all values of a latent frame in four passes."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.config = config
        c, e, w, k = config.channels, config.embed, config.width, config.known
        self.embed = WholeConv(2 * c, e, 1)
        self.spread = WholeConv(e, e, 3, padding=1)
        self.near = WholeConv(e, w, 3, padding=1, bias=False)
        self.own = WholeConv(c, w, 1, bias=False)
        self.facts = WholeConv(FACTS, w, 1)
        self.tell = nn.ModuleList(WholeConv(c, k, 1) for _ in range(PASSES))
        self.beside = nn.ModuleList(WholeConv(k, w, 3, padding=1, bias=False) for _ in range(PASSES))
        self.down = nn.ModuleList(WholeConv(w, w, 1) for _ in range(PASSES))
        self.leave = nn.ModuleList(WholeConv(w, 4 * c, 1) for _ in range(PASSES))
        bias = torch.zeros(4, c)
        bias[1], bias[2], bias[3] = 0.75, 0.25, -1.0  # gate, share of the neighbours, log scale
        for layer in self.leave:
            start_at_zero(layer)
            layer.get_parameter("bias").data.copy_(bias.flatten())

    def forward(self, frames: Frames, past: Tensor) -> tuple[Tensor, Tensor]:
        """(mean in steps, log2 of the scale in steps), each (N, C, h, w) float32. past: as `past` gives it."""
        height, width = frames.kept.shape[2:]
        schedules = pass_schedules(self.config.channels, height, width, frames.kept.device)
        phase = 2 * frames.corner[:, 0] + frames.corner[:, 1]
        trunk = self.trunk(frames, past)
        difference = frames.values - frames.kept
        visible = frames.visible.unsqueeze(1).to(past.dtype)
        mean = torch.zeros_like(frames.kept)
        scale = torch.zeros_like(frames.kept)
        for number in range(PASSES):
            known, coded = (schedule[phase, number] for schedule in schedules)  # (N, C, h, w)
            known = known * visible
            seen = difference * known
            told = whole_relu(self.tell[number](squash(seen))) * visible
            hidden = whole_relu(self.beside[number](told) + self.down[number](trunk))
            shift, gate, share, log2 = self.leave[number](hidden).float().unflatten(1, (4, -1)).unbind(1)
            count = around(F.pad(known, (1, 1, 1, 1)))
            beside = around(F.pad(seen, (1, 1, 1, 1))) / count.clamp_min(1)
            found = shift + (gate.clamp(0, 1.5) * frames.kept + share.clamp(-0.5, 1.5) * beside) / 4
            mean = mean + found * coded
            scale = scale + log2 * coded
        return mean, scale.clamp(SCALE_LOW / SCALE_OCTAVE, (SCALES - 1 + SCALE_LOW) / SCALE_OCTAVE)

    def past(self, frames: Frames) -> Tensor:
        """(N, E, h, w) activations of the past of each position and its neighbours."""
        past = torch.cat([squash(frames.kept), squash(frames.change)], dim=1)
        visible = frames.visible.unsqueeze(1).float()
        return whole_relu(self.spread(whole_relu(self.embed(past)) * visible)) * visible

    def trunk(self, frames: Frames, past: Tensor) -> Tensor:
        """(N, W, h, w) what the past says of the tokens."""
        return whole_relu(self.near(past) + self.own(squash(frames.kept)) + self.facts(frames.facts * UNIT))

    def bits(self, frames: Frames, past: Tensor) -> Tensor:
        """(N, h, w) bits of each token, 0 where it is dropped."""
        mean, log2 = self(frames, past)
        finer = torch.exp2((frames.kind - 1).clamp_min(0).float()).unsqueeze(1)
        bits = laplace_bits(frames.values / 4 * finer, mean * finer, torch.exp2(log2) * finer)
        return bits.sum(1) * frames.mask

    def arrays(self) -> dict[str, np.ndarray]:
        """The network as the coder reads it: int8 weights with inputs first, int32 biases, see
        `latcomp.container.coding.prior.network`.
        """
        found = {
            "embed": matrix(self.embed),
            "embed_bias": vector(self.embed),
            "spread": matrix(self.spread),
            "spread_bias": vector(self.spread),
            "near": matrix(self.near),
            "own": matrix(self.own),
            "facts": matrix(self.facts),
            "trunk_bias": vector(self.facts),
        }
        for number in range(PASSES):
            found[f"known{number}"], found[f"known{number}_bias"] = matrix(self.tell[number]), vector(self.tell[number])
            found[f"beside{number}"] = matrix(self.beside[number])
            found[f"down{number}"], found[f"down{number}_bias"] = matrix(self.down[number]), vector(self.down[number])
            channels = self.config.channels
            found[f"leave{number}"] = matrix(self.leave[number]).reshape(-1, 4, channels)
            found[f"leave{number}_bias"] = vector(self.leave[number]).reshape(4, channels)
        return found


def prior_state(arrays: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state of the `PriorNet` whose `arrays` these are. Raises `KeyError` where one is missing."""
    layers = {
        "embed": layer_of(arrays["embed"], arrays["embed_bias"]),
        "spread": layer_of(arrays["spread"], arrays["spread_bias"], 3),
        "near": layer_of(arrays["near"], None, 3),
        "own": layer_of(arrays["own"], None),
        "facts": layer_of(arrays["facts"], arrays["trunk_bias"]),
    }
    for number in range(PASSES):
        leave, bias = arrays[f"leave{number}"], arrays[f"leave{number}_bias"]
        layers |= {
            f"tell.{number}": layer_of(arrays[f"known{number}"], arrays[f"known{number}_bias"]),
            f"beside.{number}": layer_of(arrays[f"beside{number}"], None, 3),
            f"down.{number}": layer_of(arrays[f"down{number}"], arrays[f"down{number}_bias"]),
            f"leave.{number}": layer_of(leave.flatten(1), bias.flatten()),
        }
    return named(layers)


def around(padded: Tensor) -> Tensor:
    """(N, C, h, w) sums over the eight neighbours of (N, C, h + 2, w + 2)."""
    rows = padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]  # a third of a pooling's time on a CPU
    return rows[..., :-2] + rows[..., 1:-1] + rows[..., 2:] - padded[:, :, 1:-1, 1:-1]
