"""The files a finished model consists of: config.json, model.safetensors and its model card, beside recipe and log."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from latcomp.training.card import model_card
from latcomp.training.run import TrainingRun

if TYPE_CHECKING:
    from latcomp.training.loop import TrainOptions


@dataclass(frozen=True)
class Outcome:
    """A finished model."""

    config: Any
    """Its configuration, with `name` and `save`."""
    weights: dict[str, np.ndarray]
    figures: dict[str, float]
    """Measured on validation clips."""
    training_clips: int
    validation_clips: int
    base: str = ""
    """The finished model whose parts stay as they are, in words, where only one of them was trained."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What to know of it to go on from it."""


def half_weights(module: nn.Module) -> dict[str, np.ndarray]:
    """The weights of a network as float16 arrays."""
    return {name: value.detach().half().cpu().numpy() for name, value in module.state_dict().items()}


def write_model(options: TrainOptions, run: TrainingRun, preset: str, minutes: float, outcome: Outcome) -> Path:
    """Write the model to the output folder, and return that."""
    from safetensors.numpy import save_file

    outcome.config.save(run.out / "config.json")
    facts = {
        "kind": run.kind,
        "name": outcome.config.name,
        "preset": preset,
        "steps": run.step,
        "seed": options.seed,
        "minutes": round(minutes, 1),
        "machine": machine(run.device),
        "clips_training": outcome.training_clips,
        "clips_validation": outcome.validation_clips,
        "data": options.data.name,
        "figures": {k: round(v, 4) for k, v in outcome.figures.items()},
    }
    facts |= outcome.facts
    if outcome.base:
        facts["base"] = outcome.base
    path = run.out / "model.safetensors"
    packed = {name: np.ascontiguousarray(value) for name, value in outcome.weights.items()}
    save_file(packed, path, metadata={"format": "pt", "training": json.dumps(facts)})
    path.chmod(0o644)  # safetensors writes for the owner alone
    (run.out / "README.md").write_text(model_card(facts), encoding="utf-8")
    return run.out


def machine(device: torch.device) -> str:
    """What a model was trained on, in words."""
    where = (
        torch.cuda.get_device_name(device)
        if device.type == "cuda"
        else f"{device.type}, {torch.get_num_threads()} threads"
    )
    return f"{where}, {platform.machine()}, torch {torch.__version__}"
