"""Protects: nothing outside of the tokenizer's room knows a tokenizer's factors or networks; all goes by its
specification.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import latcomp

PACKAGE = Path(latcomp.__file__).parent
OWN = "latcomp.tokenizer.cv8x8x4"
FACTORS = {"SPATIAL", "TEMPORAL", "PATCH_VALUES", "PIXELS_PER_TOKEN"}
SHARED = {"latcomp.tokenizer.base", "latcomp.tokenizer.pixels", "latcomp.tokenizer.architectures", "latcomp.tokenizer"}
# what finds and loads published tokenizers, without knowing the networks of any
PUBLISHED = {f"latcomp.tokenizer.public.{name}" for name in ("build", "classes", "probe", "sources")}
FILES = sorted(path for path in PACKAGE.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0]


ELSEWHERE = [path for path in FILES if room(path) not in ("tokenizer", "training")]


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """(module, name) of every import of a file, wherever in it; the name is empty where a module is imported whole."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by place"
            yield from ((node.module or "", alias.name) for alias in node.names)


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_factors_come_from_the_specification(path: Path) -> None:
    """Training makes our own tokenizer and may know it; everybody else sees what all tokenizers have."""
    for module, name in imports(path):
        full = f"{module}.{name}".rstrip(".")
        assert not full.startswith(OWN), f"{path.name} imports {full}"
        if module.startswith("latcomp.tokenizer"):
            assert module in SHARED or (room(path) == "models" and module in PUBLISHED)
    names = {node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Name)}
    assert not FACTORS & names


def test_these_tests_look_at_what_is_there() -> None:
    """The folder of our own tokenizer, its factors, and files that use the specification."""
    config = PACKAGE.joinpath(*OWN.split(".")[1:], "config.py")
    assert {node.id for node in ast.walk(ast.parse(config.read_text())) if isinstance(node, ast.Name)} >= FACTORS
    seen = {module for path in FILES if room(path) == "codec" for module, _ in imports(path)}
    assert {"latcomp.tokenizer.base", "latcomp.tokenizer.pixels"} <= seen
