"""One training run: device, averaged weights, log lines, checkpoints, and the files a finished model consists of."""

from __future__ import annotations

import copy
import json
import platform
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from torch import Tensor, nn

from latcomp.errors import UsageError
from latcomp.training.card import model_card
from latcomp.training.data import cache_folder
from latcomp.training.schedule import Schedule

REPORT_SECONDS = 10
VALIDATE_SECONDS = 240
CHECKPOINT_SECONDS = 180


@dataclass
class TrainingRun:
    """State of a run; `start` makes it, `finish` writes the model."""

    kind: str
    out: Path
    preset: str
    recipe: Any
    seed: int
    device: torch.device
    step: int = 0
    earlier_minutes: float = 0.0
    base: str = ""
    """The finished model whose parts stay as they are, in words, where only one of them is trained."""
    modules: dict[str, nn.Module] = field(default_factory=dict)
    ema: dict[str, nn.Module] = field(default_factory=dict)
    optimisers: list[torch.optim.Optimizer] = field(default_factory=list)
    decay: float = 0.999
    anew: int = 0
    """Step at which the weights began to be averaged anew."""
    _console: Console = field(default_factory=lambda: Console(stderr=True), repr=False)
    _reported: float = field(default_factory=time.monotonic, repr=False)
    _validated: float = field(default_factory=time.monotonic, repr=False)
    _saved: float = field(default_factory=time.monotonic, repr=False)
    _sums: dict[str, list[float]] = field(default_factory=dict, repr=False)

    @classmethod
    def start(cls, kind: str, out: Path, presets: dict[str, Any], preset: str, seed: int, device: torch.device) -> TrainingRun:
        """A run with its output folder; raises `UsageError` for an unknown preset."""
        if preset not in presets:
            raise UsageError(f"unknown preset {preset!r}: choose from {', '.join(presets)}")
        out.mkdir(parents=True, exist_ok=True)
        return cls(kind, out, preset, presets[preset], seed, device)

    @property
    def state_folder(self) -> Path:
        """Where checkpoints with optimiser state go: the user's cache, not the model's folder."""
        folder = cache_folder() / "training" / f"{self.kind}-{self.out.name}"
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 arithmetic where the machine has it."""
        fast = self.device.type == "cuda" or torch.cpu._is_avx512_bf16_supported()
        return torch.autocast(self.device.type, torch.bfloat16, enabled=fast)

    def track(self, modules: dict[str, nn.Module], optimisers: list[torch.optim.Optimizer], decay: float) -> None:
        """Follow these modules with an exponential moving average and remember the optimisers for checkpoints."""
        self.modules, self.optimisers, self.decay = modules, optimisers, decay
        self.ema = {name: copy.deepcopy(module).requires_grad_(False) for name, module in modules.items()}
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["base_lr"] = group["lr"]

    def averaged(self, name: str) -> Any:
        """The averaged copy of a tracked module."""
        return self.ema[name]

    def update(self, loss: Tensor, factor: float) -> None:
        """One optimiser step on `loss` at `factor` times the learning rates."""
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * factor
        self.step += 1
        if not torch.isfinite(loss):
            return  # one crop that overflows must not end hours of training
        loss.backward()
        everything = [p for module in self.modules.values() for p in module.parameters() if p.grad is not None]
        nn.utils.clip_grad_norm_(everything, 1.0)
        for optimiser in self.optimisers:
            optimiser.step()
        since = self.step - self.anew
        decay = min(self.decay, (1 + since) / (10 + since))
        with torch.no_grad():
            for name, module in self.modules.items():
                torch._foreach_lerp_(list(self.ema[name].parameters()), list(module.parameters()), 1 - decay)

    def report(self, schedule: Schedule, figures: dict[str, float], validate: Callable[[], dict[str, float]]) -> None:
        """Print and log a line every few seconds, validate and checkpoint every few minutes."""
        for name, value in figures.items():
            self._sums.setdefault(name, []).append(value)
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            line = {name: sum(values) / len(values) for name, values in self._sums.items()}
            count = len(next(iter(self._sums.values())))
            line |= {"step_seconds": (now - self._reported) / count}
            self._write("train", schedule, line)
            self._sums, self._reported = {}, now
        if now - self._validated >= VALIDATE_SECONDS:
            self._write("validation", schedule, validate())
            self._validated = time.monotonic()
        if now - self._saved >= CHECKPOINT_SECONDS:
            self.save_state(schedule)
            self._saved = time.monotonic()

    def _write(self, kind: str, schedule: Schedule, figures: dict[str, float]) -> None:
        minutes = self.earlier_minutes + schedule.elapsed_seconds() / 60
        line = {"kind": kind, "step": self.step, "minutes": round(minutes, 2)} | {k: round(v, 5) for k, v in figures.items()}
        with (self.state_folder / "log.jsonl").open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self._console.print(" ".join(f"{k}={v}" for k, v in line.items()), soft_wrap=True, highlight=False)

    def save_state(self, schedule: Schedule) -> None:
        """Write everything a later run needs to go on. `stable.pt` is the last one before the learning rate fell."""
        state = {
            "step": self.step,
            "minutes": self.earlier_minutes + schedule.elapsed_seconds() / 60,
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "ema": {name: module.state_dict() for name, module in self.ema.items()},
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        names = ["state.pt"] if schedule.progress(self.step) > 1 - schedule.decay_share else ["state.pt", "stable.pt"]
        for name in names:
            partial = self.state_folder / (name + ".partial")
            torch.save(state, partial)
            partial.replace(self.state_folder / name)

    def _load_finished(self, path: Path, adapt: Callable[[dict[str, dict[str, Tensor]]], None] | None) -> set[str]:
        """Take over the weights of a finished model and what it says of its training; optimisers start anew.

        Returns the name of the module that was filled; the others are not part of a finished model.
        """
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
            facts = json.loads((file.metadata() or {}).get("training", "{}"))
        shapes = {n: v.shape for n, v in weights.items()}
        for name, module in self.modules.items():
            own = {n: v.shape for n, v in module.state_dict().items()}
            if own.keys() != shapes.keys() or (own != shapes and adapt is None):
                continue
            if own == shapes:
                module.load_state_dict(weights)
            elif adapt is not None:
                adapt({name: weights})
            for averaged, current in self.modules.items():
                self.ema[averaged].load_state_dict(current.state_dict())
            self.step, self.earlier_minutes = int(facts.get("steps", 0)), float(facts.get("minutes", 0.0))
            self.anew = self.step
            return {name}
        raise UsageError(f"{path} is not a {self.kind} of this preset's shape")

    def load(
        self, source: Path, adapt: Callable[[dict[str, dict[str, Tensor]]], None] | None = None, anew: bool = False
    ) -> set[str]:
        """Take over weights and optimiser state from a checkpoint file, or the best checkpoint of a folder, or a finished model's weights.

        adapt: called with the averaged weights of all modules when these do not fit, or in any case with `anew`; it fills the modules, and
        the optimisers start anew. Returns the names of the modules that were filled. Raises `UsageError` when there is no
        checkpoint, or one that does not fit and `adapt` is not given.
        """
        candidates = [source] if source.is_file() else [source / "stable.pt", source / "state.pt"]
        found = next((path for path in candidates if path.is_file()), None)
        if found is None and (source / "model.safetensors").is_file():
            return self._load_finished(source / "model.safetensors", adapt)
        if found is None:
            raise UsageError(f"no checkpoint (stable.pt or state.pt) and no model.safetensors in {source}")
        state = torch.load(found, map_location=self.device, weights_only=True)
        self.step, self.earlier_minutes = state["step"], state["minutes"]
        shapes = {(m, n): v.shape for m, module in self.modules.items() for n, v in module.state_dict().items()}
        same = shapes == {(m, n): v.shape for m, found in state["modules"].items() for n, v in found.items()}
        if not same or (anew and adapt is not None):
            if adapt is None:
                raise UsageError(f"{found} is of a model of another shape: choose its preset")
            adapt(state["ema"])
            for name, module in self.modules.items():
                self.ema[name].load_state_dict(module.state_dict())
            self.anew = self.step
            return set(self.modules)
        for name, module in self.modules.items():
            module.load_state_dict(state["modules"][name])
            self.ema[name].load_state_dict(state["ema"][name])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            rates = [group["base_lr"] for group in optimiser.param_groups]
            optimiser.load_state_dict(saved)
            for group, rate in zip(optimiser.param_groups, rates, strict=True):
                group["base_lr"] = rate
        return set(self.modules)

    def finish(
        self, config: Any, module: nn.Module, figures: dict[str, float], schedule: Schedule, data: Path, training: int, validation: int
    ) -> Path:
        """Write config.json, model.safetensors, README.md (the model card) and log.jsonl to the output folder."""
        weights = {name: value.detach().half().cpu().numpy() for name, value in module.state_dict().items()}
        return self.finish_arrays(config, weights, figures, schedule, data, training, validation)

    def finish_arrays(
        self, config: Any, weights: dict[str, np.ndarray], figures: dict[str, float], schedule: Schedule, data: Path,
        training: int, validation: int,
    ) -> Path:  # fmt: skip
        """As `finish`, for weights that are arrays already."""
        from safetensors.numpy import save_file

        self._write("final", schedule, figures)
        config.save(self.out / "config.json")
        facts = {
            "kind": self.kind, "name": config.name, "preset": self.preset, "steps": self.step, "seed": self.seed,
            "minutes": round(self.earlier_minutes + schedule.elapsed_seconds() / 60, 1),
            "machine": f"{self.device.type}, {torch.get_num_threads()} threads, {platform.machine()}, torch {torch.__version__}",
            "clips_training": training, "clips_validation": validation, "data": data.name,
            "figures": {k: round(v, 4) for k, v in figures.items()},
        }  # fmt: skip
        if self.base:
            facts["base"] = self.base
        path = self.out / "model.safetensors"
        packed = {name: np.ascontiguousarray(value) for name, value in weights.items()}
        save_file(packed, path, metadata={"format": "pt", "training": json.dumps(facts)})
        path.chmod(0o644)  # safetensors writes for the owner alone
        (self.out / "README.md").write_text(model_card(facts), encoding="utf-8")
        log = self.state_folder / "log.jsonl"
        if log.exists():
            (self.out / "log.jsonl").write_text(log.read_text(encoding="utf-8"), encoding="utf-8")
        return self.out
