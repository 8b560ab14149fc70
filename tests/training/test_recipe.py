"""Protects: what a model was trained with stands beside it, can be trained with again, and grows with its batch by one
rule.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from latcomp.cli.choices import PRESETS
from latcomp.errors import UsageError
from latcomp.training import decoder, lit, prior, tokenizer
from latcomp.training.recipe import find_recipe, learning_rate_factor, save_recipe

MODULES = {"tokenizer": tokenizer, "decoder": decoder, "lit": lit, "prior": prior}


def test_the_presets_in_the_help_are_those_there_are() -> None:
    assert {kind: list(names) for kind, names in PRESETS.items()} == {
        kind: list(module.PRESETS) for kind, module in MODULES.items()
    }


@pytest.mark.parametrize("kind", MODULES)
def test_every_recipe_comes_back_from_its_file(kind: str, tmp_path: Path) -> None:
    presets = MODULES[kind].PRESETS
    for name, recipe in presets.items():
        save_recipe(tmp_path / "recipe.toml", recipe, kind=kind, preset=name, seed=3)
        assert tomllib.loads((tmp_path / "recipe.toml").read_text())["seed"] == 3
        assert find_recipe(presets, str(tmp_path / "recipe.toml"), kind) == recipe


def test_a_trained_model_has_its_recipe_beside_it_and_is_trained_by_it_again(clips: Path, tmp_path: Path) -> None:
    folder = tokenizer.train(clips, tmp_path / "a", steps=1, preset="tiny", seed=4, batch_factor=2)
    written = (folder / "recipe.toml").read_text()
    facts = tomllib.loads(written)
    assert (facts["kind"], facts["preset"], facts["seed"], facts["batch_factor"]) == ("tokenizer", "tiny", 4, 2)
    changed = tmp_path / "mine.toml"
    changed.write_text(written.replace("decoder_width = 32", "decoder_width = 40"))
    again = tokenizer.train(clips, tmp_path / "b", steps=1, preset=str(changed))
    assert '"decoder_width": 40' in (again / "config.json").read_text()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kind = 'lit'\n[recipe]\nbatch = 2", "kind"),
        ("kind = 'tokenizer'\nbatch = 2", "recipe"),
        ("kind = 'tokenizer'\n[recipe]\nbatsh = 2", "batsh"),
        ("kind = 'tokenizer'\n[recipe]\nbatch = '2'", "batch"),
        ("kind = 'tokenizer'\n[recipe]\nbatch = 0", "batch"),
        ("kind = 'tokenizer'\n[recipe]\nconfig = 2", "table"),
        ("kind = 'tokenizer'\n[recipe.config]\nblock = 3", "block"),
        ("kind =", "TOML"),
    ],
)
def test_a_recipe_that_is_none_is_refused(text: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(text)
    with pytest.raises(UsageError, match=said):
        find_recipe(tokenizer.PRESETS, str(tmp_path / "recipe.toml"), "tokenizer")
    with pytest.raises(UsageError, match="cannot be read"):
        find_recipe(tokenizer.PRESETS, str(tmp_path / "missing.toml"), "tokenizer")


def test_larger_batches_take_larger_steps() -> None:
    recipe = tokenizer.PRESETS["default"]
    grown, factor = recipe.grown(8), learning_rate_factor(8)
    assert factor == pytest.approx(4)
    assert grown == replace(
        recipe,
        batch=32,
        late_batch=16,
        learning_rate=recipe.learning_rate * factor,
        adam_learning_rate=recipe.adam_learning_rate * factor,
    )
    assert recipe.grown(1) == recipe
