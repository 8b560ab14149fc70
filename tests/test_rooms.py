"""Protects the plan of the house: a room imports only what docs/architecture.md says that it looks into."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import latcomp

PACKAGE = Path(latcomp.__file__).parent
GROUND = {
    "caches",
    "checks",
    "errors",
    "output",
    "devices",
    "limits",
    "stages",
    "sources",
    "suffixes",
    "printable",
    "imports",
}
"""Files beside the rooms, which every room may use; they use each other alone."""
LOOKS_INTO: dict[str, set[str]] = {
    "latents": set(),
    "kernels": set(),
    "metrics": set(),
    "video": {"latents"},
    "tokenizer": {"latents"},
    "selection": {"latents"},
    "inpaint": {"latents"},
    "container": {"latents", "container/coding"},
    "container/coding": {"latents", "kernels", "container"},
    "models": {"latents", "kernels", "tokenizer", "inpaint", "container", "container/coding"},
    "report": {"latents", "container", "metrics", "video"},
    "codec": {
        "latents",
        "kernels",
        "metrics",
        "video",
        "tokenizer",
        "selection",
        "inpaint",
        "container",
        "container/coding",
    }
    | {"models", "report"},
    "training": {
        "latents",
        "metrics",
        "video",
        "tokenizer",
        "selection",
        "inpaint",
        "container/coding",
        "models",
        "codec",
    },
    "datasets": {"codec", "container", "latents", "models"},
    "batch": {"codec", "container", "models", "report", "video"},
}
"""What else a room looks into. `bench` and `cli` stand above all others."""
ABOVE = {"bench", "cli"}


def room_of(module: str) -> str:
    """The room of a module's name below `latcomp`."""
    parts = module.split(".")
    return "container/coding" if parts[:2] == ["container", "coding"] else parts[0]


def imports() -> dict[str, dict[str, str]]:
    """By room, the rooms that it imports while it runs, each with a place where it does."""
    found: dict[str, dict[str, str]] = defaultdict(dict)
    for path in sorted(PACKAGE.rglob("*.py")):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        room, tree = room_of(name), ast.parse(path.read_text(encoding="utf-8"))
        typing = {
            id(node)
            for test in ast.walk(tree)
            if isinstance(test, ast.If) and getattr(test.test, "id", "") == "TYPE_CHECKING"
            for node in ast.walk(test)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.ImportFrom) or id(node) in typing or not node.module:
                continue
            names = (
                [alias.name for alias in node.names] if node.module == "latcomp" else [node.module.partition(".")[2]]
            )
            if node.module.split(".")[0] == "latcomp":
                for one in names:
                    found[room].setdefault(room_of(one), f"{name}:{node.lineno}")
    return found


def test_a_room_imports_only_rooms_that_it_may_look_into() -> None:
    wrong = []
    for room, others in imports().items():
        allowed = GROUND | {room, "__version__"} | LOOKS_INTO.get(room, set())
        if room in ABOVE or room in ("__init__", "__main__"):
            allowed |= set(LOOKS_INTO) | ABOVE
        wrong += [f"{place}: {room} imports {other}" for other, place in others.items() if other not in allowed]
    assert not wrong, "\n".join(wrong)


def test_every_room_is_known() -> None:
    """A new room belongs into the plan."""
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and (path / "__init__.py").exists()}
    assert rooms == {room for room in {*LOOKS_INTO, *ABOVE} if "/" not in room}


def test_the_document_names_every_room() -> None:
    text = (PACKAGE.parent / "docs" / "architecture.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`([a-z/]+?)/`", text))
    assert {*LOOKS_INTO, *ABOVE} <= named


def test_the_plan_has_no_circles() -> None:
    """`container` and what codes its tokens are two floors of one house."""
    below = {room: others - {"container/coding"} for room, others in LOOKS_INTO.items() if room != "container/coding"}
    done: set[str] = set()
    while len(done) < len(below):
        free = [room for room, others in below.items() if room not in done and others <= done | GROUND]
        assert free, f"a circle among {sorted(set(below) - done)}"
        done |= set(free)
