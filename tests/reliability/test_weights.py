"""Protects: models come from safetensors whose SHA-256 is what it should be, and nothing in the package runs what it
reads.
"""

from __future__ import annotations

import ast
import hashlib
import shutil
from pathlib import Path

import pytest

import latcomp
from latcomp import models
from latcomp.errors import UnsupportedFileError, UsageError
from latcomp.models import folders
from latcomp.models.integrity import SUMS

PACKAGE = Path(latcomp.__file__).parent
UNPICKLING = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "jsonpickle"}
RUNNING = {"eval", "exec", "compile", "__import__"}


def hashed(folder: Path) -> list[Path]:
    """The files that make a model what it is: weights and configurations."""
    return sorted([*folder.rglob("model.safetensors"), *folder.rglob("config.json")])


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the shipped models, with a list of their hashes, in place of them."""
    folder = tmp_path / "weights"
    shutil.copytree(models.weights_folder(), folder)
    lines = [
        f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.relative_to(folder)}\n" for path in hashed(folder)
    ]
    (folder / SUMS).write_text("".join(sorted(lines)))
    monkeypatch.setattr(folders, "weights_folder", lambda: folder)
    return folder


def flip(path: Path) -> None:
    """One bit of a weight: safetensors itself takes no notice."""
    data = bytearray(path.read_bytes())
    data[-1000] ^= 0x10
    path.write_bytes(data)


def test_models_as_listed_load(shipped: Path) -> None:
    folder = models.find_tokenizer(None)
    assert folder.parent == shipped
    models.load_tokenizer(folder)
    for card in models.list_models():
        if card.kind == "prior":
            models.load_prior(Path(card.path))


@pytest.mark.parametrize("kind", ["tokenizer", "lit", "prior"])
def test_a_changed_weight_is_refused(shipped: Path, kind: str) -> None:
    """Otherwise an encoder with it would write files that no other machine can decode."""
    cards = [card for card in models.list_models() if card.kind == kind]
    if not cards:
        pytest.skip(f"no {kind} is shipped")
    folder = shipped / "again"
    Path(cards[0].path).rename(folder)
    lines = (shipped / SUMS).read_text()
    (shipped / SUMS).write_text(lines.replace(f"{Path(cards[0].path).name}/", "again/"))
    flip(folder / models.WEIGHTS)
    load = {"tokenizer": models.load_tokenizer, "lit": models.load_lit, "prior": models.load_prior}[kind]
    with pytest.raises(UnsupportedFileError, match="SHA-256"):
        load(folder)


@pytest.mark.parametrize("kind", ["tokenizer", "lit", "prior"])
def test_a_changed_configuration_is_refused(shipped: Path, kind: str) -> None:
    """The same weights under another configuration are another model."""
    card = next(card for card in models.list_models() if card.kind == kind)
    folder = shipped / "again"
    Path(card.path).rename(folder)
    lines = (shipped / SUMS).read_text()
    (shipped / SUMS).write_text(lines.replace(f"{Path(card.path).name}/", "again/"))
    config = folder / models.CONFIG
    config.write_text(config.read_text().replace('"channels": 96', '"channels": 96 '))
    load = {"tokenizer": models.load_tokenizer, "lit": models.load_lit, "prior": models.load_prior}[kind]
    with pytest.raises(UnsupportedFileError, match="is damaged, or was replaced"):
        load(folder)


def test_weights_replaced_behind_the_back_of_a_process_are_refused(shipped: Path) -> None:
    """The header of a file names the hash that was taken first: weights of another must not make its tokens."""
    (shipped / SUMS).unlink()
    folder = models.find_tokenizer(None)
    models.sha256_of(folder / models.WEIGHTS)
    flip(folder / models.WEIGHTS)
    with pytest.raises(UnsupportedFileError, match="replaced"):
        models.load_tokenizer(folder)


def test_weights_that_are_no_safetensors_are_an_error_of_one_line(tmp_path: Path) -> None:
    shutil.copytree(models.find_tokenizer(None), tmp_path / "mine")
    (tmp_path / "mine" / models.WEIGHTS).write_bytes(b"\x80\x04\x95 a pickle, say")
    with pytest.raises(UsageError) as caught:
        models.load_tokenizer(tmp_path / "mine")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_unpickles_or_runs_what_it_reads(path: Path) -> None:
    """No pickle and the like is imported, `torch.load` reads weights only, numpy never unpickles, nothing is evaluated
    as code.
    """
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            assert not UNPICKLING & {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert (node.module or "").split(".")[0] not in UNPICKLING
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            arguments = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            assert called not in RUNNING, f"line {node.lineno}"
            assert "allow_pickle" not in arguments or arguments["allow_pickle"] == "False", f"line {node.lineno}"
            if called == "torch.load":
                assert arguments.get("weights_only") == "True", f"line {node.lineno}"
            # a folder of TorchScript is a program; it is run where a user names that folder, and nowhere else
            scripted = called.startswith("torch.jit.load") and path.name == "jit.py"
            bad = ("torch.jit.load", "torch.hub", "torch.package")
            assert scripted or not called.startswith(bad), f"line {node.lineno}"


def test_every_shipped_model_is_listed_with_its_hash() -> None:
    """A damaged default model must not encode: it would write files that nobody else can read."""
    folder = models.weights_folder()
    listed = dict(reversed(line.split(maxsplit=1)) for line in (folder / SUMS).read_text().splitlines())
    there = {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in hashed(folder)}
    assert listed == there
