"""What one training consists of, as a frozen dataclass that is saved as TOML beside the model and can be trained by
again.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Self, TypeVar, cast

from latcomp.errors import UsageError


@dataclass(frozen=True)
class Recipe:
    """The part that every kind of training has."""

    batch: int
    """Examples a step."""
    learning_rate: float
    """Of Muon, which takes the matrices."""
    adam_learning_rate: float
    """Of Adam, which takes everything else."""
    ema: float
    """Decay of the averaged weights, of which the model is made."""

    def __post_init__(self) -> None:
        if self.batch < 1 or not min(self.learning_rate, self.adam_learning_rate) > 0 or not 0 <= self.ema < 1:
            raise UsageError("a recipe needs a batch of 1 or more, learning rates above 0 and an ema from 0 to below 1")

    def grown(self, factor: int) -> Self:
        """The same for a batch `factor` times as large, with learning rates of `learning_rate_factor`."""
        rate = learning_rate_factor(factor)
        return replace(
            self,
            batch=self.batch * factor,
            learning_rate=self.learning_rate * rate,
            adam_learning_rate=self.adam_learning_rate * rate,
        )


R = TypeVar("R", bound=Recipe)


def learning_rate_factor(batch_factor: int) -> float:
    """What the learning rates are multiplied by where batches are so many times as large: its power of two thirds.

    Measured on the tokenizer's preset `tiny`, validation objective, less is better. Batches of 8 times, 150 and 400
    steps: rates x1 4.633, x2 4.593, x2.8 4.571 and 4.470, x4 4.557 and 4.464, x8 4.547 and 4.464. Of 4 times, 300
    steps: x2 4.541, x4 4.528. The square root is too little; rates in proportion gain nothing more over 400 steps, and
    eight times the recipe's rate is where single batches diverge.
    """
    return float(batch_factor ** (2 / 3))


def save_recipe(path: Path, recipe: Recipe, **facts: str | int) -> None:
    """Write a recipe as TOML, below the facts of the run it was used in."""
    lines = [f"{name} = {_toml(value)}" for name, value in facts.items()]
    path.write_text("\n".join(lines + _table("recipe", recipe)) + "\n", encoding="utf-8")


def _table(name: str, values: Any) -> list[str]:
    own = {f.name: getattr(values, f.name) for f in fields(values)}
    lines = ["", f"[{name}]", *(f"{key} = {_toml(value)}" for key, value in own.items() if not is_dataclass(value))]
    for key, value in own.items():
        if is_dataclass(value):
            lines += _table(f"{name}.{key}", value)
    return lines


def _toml(value: Any) -> str:
    """Booleans, numbers, strings and lists of them; TOML writes these as JSON does."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def find_recipe(presets: Mapping[str, R], preset: str, kind: str) -> R:
    """The recipe of a preset's name, or in a TOML file as `save_recipe` writes it.

    Raises `UsageError` for an unknown name, or a file that is not a recipe of this kind.
    """
    if preset in presets:
        return presets[preset]
    path = Path(preset)
    if path.suffix != ".toml":
        raise UsageError(f"unknown preset {preset!r}: choose from {', '.join(presets)}, or give a recipe.toml")
    try:
        with path.open("rb") as file:
            found = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    except ValueError as error:
        raise UsageError(f"{path} is not TOML: {error}") from None
    if found.get("kind") != kind or not isinstance(found.get("recipe"), dict):
        raise UsageError(f"{path} is not a recipe of a {kind}: it must say kind = {kind!r} and have a table [recipe]")
    return cast(R, _filled(next(iter(presets.values())), found["recipe"], f"{path}: recipe"))


def _filled(like: Any, values: Mapping[str, Any], name: str) -> Any:
    """A dataclass of the kind of `like` with these values; what is not given is as in `like`."""
    known = {f.name: getattr(like, f.name) for f in fields(like)}
    changed = {}
    for key, value in values.items():
        if key not in known:
            raise UsageError(f"{name}.{key} is not known: choose from {', '.join(known)}")
        old = known[key]
        if is_dataclass(old):
            if not isinstance(value, dict):
                raise UsageError(f"{name}.{key} must be a table")
            changed[key] = _filled(old, value, f"{name}.{key}")
            continue
        if isinstance(old, tuple) and isinstance(value, list):
            value = tuple(value)
        if isinstance(old, float) and type(value) is int:
            value = float(value)
        if type(value) is not type(old):
            raise UsageError(f"{name}.{key} must be of the kind of {_toml(old)}, not {value!r}")
        changed[key] = value
    return replace(like, **changed)
