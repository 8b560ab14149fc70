"""Protects: new models take the places of the old ones, which files of before still find."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from latcomp import models
from latcomp.errors import UsageError
from latcomp.models import CONFIG, WEIGHTS, folders
from tools.ship_models import ship


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped models in place of them."""
    base = tmp_path / "weights"
    shutil.copytree(models.weights_folder(), base, ignore=shutil.ignore_patterns(folders.EARLIER))
    monkeypatch.setattr(folders, "weights_folder", lambda: base)
    return base


def trained(base: Path, name: str, tmp_path: Path) -> Path:
    """A model that differs from the shipped one in what its weights say of their training alone."""
    folder = tmp_path / "new" / name
    shutil.copytree(base / name, folder)
    data = (folder / WEIGHTS).read_bytes()
    assert data.count(b'\\"seed\\": 0') == 1
    (folder / WEIGHTS).write_bytes(data.replace(b'\\"seed\\": 0', b'\\"seed\\": 7'))
    return folder


def forget() -> None:
    """A process remembers what it has looked at."""
    models.sha256_of.cache_clear()
    models.fingerprint_of.cache_clear()


def test_new_models_are_found_by_name_and_old_ones_by_what_files_say(base: Path, tmp_path: Path) -> None:
    names = {"tokenizer": "cv8x8x4", "prior": "prior-cv8x8x4", "lit": "lit-cv8x8x4"}
    old = {kind: models.model_record(base / name, name) for kind, name in names.items()}
    new = [trained(base, name, tmp_path) for name in names.values()]
    assert ship(new, base) == [base / name for name in names.values()]
    forget()
    tokenizer = models.find_tokenizer(None)
    assert models.weights_sha256(tokenizer) == models.weights_sha256(new[0]) != old["tokenizer"]["sha256"]
    assert models.find_prior(tokenizer) == base / names["prior"] and models.find_lit(tokenizer) == base / names["lit"]
    models.load_tokenizer(tokenizer)  # as the list of hashes asks for
    for kind, record in old.items():
        place = models.find_model(record, kind)
        assert place.parent == base / folders.EARLIER
        assert models.fingerprint_of(place) == record["fingerprint"]
    models.load_prior(models.find_model(old["prior"], "prior"))


def test_a_prior_that_goes_with_another_decoder_is_another_model(base: Path, tmp_path: Path) -> None:
    """Its weights are the same, its configuration is not: files of before name the old one."""
    tokenizer, prior = (base / name for name in ("cv8x8x4", "prior-cv8x8x4"))
    old = models.model_record(prior, prior.name)
    ship([trained(base, tokenizer.name, tmp_path), shutil.copytree(prior, tmp_path / "same")], base)
    forget()
    found = models.find_model(old, "prior")
    assert found.parent == base / folders.EARLIER and models.fingerprint_of(found) == old["fingerprint"]
    assert models.find_prior(models.find_tokenizer(None)) == prior


def test_models_that_do_not_go_together_are_refused(base: Path, tmp_path: Path) -> None:
    tokenizer, prior = (trained(base, name, tmp_path) for name in ("cv8x8x4", "prior-cv8x8x4"))
    before = sorted(path.name for path in base.iterdir())
    with pytest.raises(UsageError, match="holds no tokenizer"):
        ship([prior, tokenizer], base)
    config = json.loads((prior / CONFIG).read_text())
    (prior / CONFIG).write_text(json.dumps(config | {"channels": 48}))
    with pytest.raises(UsageError, match="48 and 96 channels"):
        ship([tokenizer, prior], base)
    assert sorted(path.name for path in base.iterdir()) == before
