"""One training run: device, averaged weights, optimiser steps, log lines and checkpoints."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from torch import Tensor, nn

from latcomp.devices import decodes_in_bf16
from latcomp.errors import UsageError
from latcomp.models import training_facts
from latcomp.training.checkpoints import FOLDER, LATEST, STABLE, Checkpoints, find_checkpoint, load_checkpoint
from latcomp.training.schedule import Schedule

REPORT_SECONDS = 10
VALIDATE_SECONDS = 240
CHECKPOINT_SECONDS = 180
LOG = "log.jsonl"

Weights = dict[str, dict[str, Tensor]]
"""State dictionaries by the name of their module."""
Unpack = Callable[[dict[str, Tensor], Mapping[str, Any]], Weights]
"""Makes them of the tensors of a finished model and the facts of its training."""


def _shapes(state: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in state.items()}


@dataclass
class TrainingRun:
    """State of a run. Nothing but a log line, a validation and a checkpoint waits for the device."""

    kind: str
    out: Path
    device: torch.device
    checkpoints: Checkpoints
    step: int = 0
    earlier_minutes: float = 0.0
    modules: dict[str, nn.Module] = field(default_factory=dict)
    ema: dict[str, nn.Module] = field(default_factory=dict)
    optimisers: list[torch.optim.Optimizer] = field(default_factory=list)
    decay: float = 0.999
    first_step: int = 0
    """Step at which this run began, behind those of earlier ones."""
    anew: int = 0
    """Step at which the weights began to be averaged anew."""
    _console: Console = field(default_factory=lambda: Console(stderr=True), repr=False)
    _reported: float = field(default_factory=time.monotonic, repr=False)
    _validated: float = field(default_factory=time.monotonic, repr=False)
    _saved: float = field(default_factory=time.monotonic, repr=False)
    _sums: dict[str, Tensor | float] = field(default_factory=dict, repr=False)
    _count: int = field(default=0, repr=False)
    _waited: float = field(default=0.0, repr=False)

    @classmethod
    def start(cls, kind: str, out: Path, device: torch.device, piece_bytes: int | None = None) -> TrainingRun:
        """A run with its output folder."""
        out.mkdir(parents=True, exist_ok=True)
        return cls(kind, out, device, Checkpoints(out / FOLDER, piece_bytes))

    def begin(self) -> None:
        """Training proper begins here: what it took to get ready counts for no figure."""
        self.first_step = self.step
        self._reported = self._validated = self._saved = time.monotonic()

    def autocast(self) -> AbstractContextManager[Any]:
        """bf16 arithmetic where the machine has it."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=decodes_in_bf16(self.device))

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
        """One optimiser step on `loss` at `factor` times the learning rates.

        A loss or gradient that is not finite counts as none: one crop that overflows must not end hours of training.
        """
        for optimiser in self.optimisers:
            optimiser.zero_grad(set_to_none=True)
            for group in optimiser.param_groups:
                group["lr"] = group["base_lr"] * factor
        self.step += 1
        loss.backward()
        gradients = [p.grad for module in self.modules.values() for p in module.parameters() if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        good = torch.isfinite(norm) & torch.isfinite(loss)
        torch._foreach_mul_(gradients, (1 / (norm + 1e-6)).clamp(max=1.0))
        for gradient in gradients:
            gradient.masked_fill_(~good, 0.0)
        for optimiser in self.optimisers:
            optimiser.step()
        since = self.step - self.anew
        decay = min(self.decay, (1 + since) / (10 + since))
        with torch.no_grad():
            for name, module in self.modules.items():
                torch._foreach_lerp_(list(self.ema[name].parameters()), list(module.parameters()), 1 - decay)

    def report(
        self,
        schedule: Schedule,
        figures: Mapping[str, Tensor | float],
        waited_seconds: float,
        validate: Callable[[], dict[str, float]],
    ) -> None:
        """Print and log a line every few seconds, validate and checkpoint every few minutes.

        figures: of this step, as tensors of one number or plain; waited_seconds: for batches, since the run began.
        """
        for name, value in figures.items():
            number = value.detach().float() if isinstance(value, Tensor) else value
            self._sums[name] = self._sums[name] + number if name in self._sums else number
        self._count += 1
        now = time.monotonic()
        if now - self._reported >= REPORT_SECONDS:
            line = {name: float(total) / self._count for name, total in self._sums.items()}
            now = time.monotonic()  # reading a figure waits for the device
            line["step_seconds"] = (now - self._reported) / self._count
            line["waiting_share"] = (waited_seconds - self._waited) / (now - self._reported)
            self.log("train", schedule, line)
            self._sums, self._count, self._reported, self._waited = {}, 0, now, waited_seconds
        if now - self._validated >= VALIDATE_SECONDS:
            self.log("validation", schedule, validate())
            self._validated = time.monotonic()
        if now - self._saved >= CHECKPOINT_SECONDS:
            self.save_state(schedule)
            self._saved = time.monotonic()

    def minutes(self, schedule: Schedule) -> float:
        """Minutes of training behind the weights, those of earlier runs included."""
        return self.earlier_minutes + schedule.elapsed_seconds() / 60

    def log(self, kind: str, schedule: Schedule, figures: Mapping[str, float]) -> None:
        """Print a line and append it to the log in the output folder."""
        line = {"kind": kind, "step": self.step, "minutes": round(self.minutes(schedule), 2)}
        line |= {k: round(v, 5) for k, v in figures.items()}
        with (self.out / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        self._console.print(" ".join(f"{k}={v}" for k, v in line.items()), soft_wrap=True, highlight=False)

    def save_state(self, schedule: Schedule) -> None:
        """Write everything a later run needs to go on."""
        state = {
            "step": self.step,
            "minutes": self.minutes(schedule),
            "modules": {name: module.state_dict() for name, module in self.modules.items()},
            "ema": {name: module.state_dict() for name, module in self.ema.items()},
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
        }
        for name in [LATEST] if schedule.decaying(self.step - self.first_step) else [LATEST, STABLE]:
            self.checkpoints.save(name, state)

    def _load_finished(self, path: Path, adapt: Callable[[Weights], None] | None, unpack: Unpack | None) -> set[str]:
        """Take over the weights of a finished model and what it says of its training; optimisers start anew.

        Returns the names of the modules that were filled; others are not part of a finished model.
        """
        from safetensors import safe_open

        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        facts = training_facts(path)
        try:
            found = self._of_one_module(weights) if unpack is None else unpack(weights, facts)
        except (KeyError, ValueError, RuntimeError):
            found = {}
        own = {name: _shapes(self.modules[name].state_dict()) for name in found}
        same = own == {name: _shapes(state) for name, state in found.items()}
        if not found or (not same and adapt is None):
            raise UsageError(f"{path} is not a {self.kind} of this preset's shape")
        if not same and adapt is not None:
            adapt(found)
        for name, state in found.items() if same else ():
            self.modules[name].load_state_dict(state)
        for averaged, current in self.modules.items():
            self.ema[averaged].load_state_dict(current.state_dict())
        self.step, self.earlier_minutes = int(facts.get("steps", 0)), float(facts.get("minutes", 0.0))
        self.anew = self.step
        return set(found)

    def _of_one_module(self, weights: dict[str, Tensor]) -> Weights:
        """Weights by the name of the module that has tensors of these names; empty where none has."""
        for name, module in self.modules.items():
            if module.state_dict().keys() == weights.keys():
                return {name: weights}
        return {}

    def load(
        self,
        source: Path,
        adapt: Callable[[Weights], None] | None = None,
        anew: bool = False,
        unpack: Unpack | None = None,
    ) -> set[str]:
        """Take over weights and optimiser state from a checkpoint file, or the best checkpoint of a folder, or a
        finished model's weights.

        adapt: called with the averaged weights of all modules when these do not fit, or in any case with `anew`; it
        fills the modules, and the optimisers start anew. unpack: of the tensors of a finished model those of modules,
        where they are not one module's own as they stand. Returns the names of the modules that were filled. Raises
        `UsageError` when there is no checkpoint, or one that does not fit and `adapt` is not given."""
        found = find_checkpoint(source)
        if found is None and (source / "model.safetensors").is_file():
            return self._load_finished(source / "model.safetensors", adapt, unpack)
        if found is None:
            raise UsageError(f"no checkpoint ({STABLE} or {LATEST}) and no model.safetensors in {source}")
        state = load_checkpoint(found, self.device)
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
