"""Protects: what stands beside a tokenizer is its LIT and its prior, something else, or a named error."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.models import (
    CONFIG,
    WEIGHTS,
    card_of,
    find_lit,
    find_model,
    find_prior,
    find_tokenizer,
    folders,
    list_models,
    sha256_of,
    weights_folder,
)

Find = Callable[[Path], Path | None]
FINDS = pytest.mark.parametrize(("find", "kind"), [(find_lit, "lit"), (find_prior, "prior")])


def beside(folder: Path, kind: str, text: str) -> Path:
    """A folder of a tokenizer with a configuration of another model beside it."""
    (folder / kind).mkdir()
    (folder / WEIGHTS).write_bytes(b"of a tokenizer")
    (folder / kind / CONFIG).write_text(text, encoding="utf-8")
    return folder


@FINDS
@pytest.mark.parametrize("text", ["", "{", "[]", "3", "[" * 200_000])
def test_a_configuration_that_cannot_be_read_is_told(find: Find, kind: str, text: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read as the configuration of a model") as told:
        find(beside(tmp_path, kind, text))
    assert str(tmp_path / kind / CONFIG) in str(told.value)


@FINDS
@pytest.mark.parametrize("more", ["", ', "tokenizer_sha256": 3', ', "tokenizer_sha256": "ab"'])
def test_a_model_of_another_tokenizer_or_of_none_is_not_found(find: Find, kind: str, more: str, tmp_path: Path) -> None:
    assert find(beside(tmp_path, kind, f'{{"kind": "{kind}"{more}}}')) is None


@pytest.mark.parametrize(
    "changed",
    [{"kind": "other"}, {"kind": ["a"]}, {"architecture": ["a"]}, {"channels": "x"}, {"channel_step": [float("nan")]}],
)
def test_a_folder_that_is_no_model_has_no_card(changed: dict[str, Any], tmp_path: Path) -> None:
    """`latcomp models FOLDER` says it in one line, whatever the configuration holds."""
    folder = tmp_path / "own"
    shutil.copytree(Path(__file__).parents[1] / "codec" / "golden" / "tokenizer", folder)
    config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    (folder / CONFIG).write_text(json.dumps({**config, **changed}), encoding="utf-8")
    with pytest.raises((UsageError, UnsupportedFileError)):
        card_of(folder)


def test_weights_that_are_cut_off_have_no_card(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    shutil.copytree(Path(__file__).parents[1] / "codec" / "golden" / "tokenizer", folder)
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:300])
    with pytest.raises(UsageError, match="does not hold a model of this version"):
        card_of(folder)


@pytest.mark.parametrize(("find", "kind"), [(find_lit, "lit"), (find_prior, "prior")])
def test_models_of_earlier_versions_are_read_and_never_written_with(
    find: Find, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file names its models by their hash; new files are made with what stands beside the tokenizer."""
    base = tmp_path / "weights"
    shutil.copytree(weights_folder(), base)
    monkeypatch.setattr(folders, "weights_folder", lambda: base)
    tokenizer = find_tokenizer(None)
    now = find(tokenizer)
    assert now is not None
    old = base / folders.EARLIER / now.name
    shutil.rmtree(old, ignore_errors=True)
    shutil.copytree(now, old)
    (old / WEIGHTS).write_bytes((old / WEIGHTS).read_bytes() + b" ")
    record = {"name": now.name, "sha256": sha256_of(old / WEIGHTS)}
    assert find_model(record, kind) == old
    assert find_model({**record, "sha256": sha256_of(now / WEIGHTS)}, kind) == now
    assert find(tokenizer) == now
    assert old not in [Path(card.path) for card in list_models()]
