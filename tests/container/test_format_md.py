"""FORMAT.md says what the code does: its tables, and that a decoder written from it reads the same tokens."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import latcomp.container
from latcomp.container import MAGIC, SYMBOL_MAX, SYMBOL_MIN, VERSION
from latcomp.container import format as declared
from latcomp.container.chunks import CHUNK_OVERHEAD
from latcomp.container.context import CLASS_BOUNDS
from latcomp.container.digits import BIT_PACKINGS, SIGNED_PACKINGS, UNSIGNED_PACKINGS, Gaps, Packing
from latcomp.container.header import HEADER_FIELDS
from latcomp.container.lattice import NEIGHBOUR_SHARE, PASSES
from latcomp.container.masks import MASK_CLASSES
from tests.container import reference_decoder
from tests.container.make import groups, sized, written

TEXT = (Path(latcomp.container.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
TYPES = {"b": "i8", "B": "u8", "H": "u16", "I": "u32", "Q": "u64", "q": "i64"}


def tables() -> dict[str, list[list[list[str]]]]:
    """All tables of FORMAT.md as rows of cells, by their heading row."""
    found: dict[str, list[list[list[str]]]] = defaultdict(list)
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        found[" ".join(rows[0])].append(rows[2:])
    return found


def table(heading: str) -> list[list[str]]:
    """The only table with a heading."""
    (rows,) = tables()[heading]
    return rows


def test_constants() -> None:
    """Magic, version, symbol range and window."""
    assert table("constant value") == [
        ["magic", " ".join(f"{byte:02X}" for byte in MAGIC)], ["version", str(VERSION)], ["largest symbol", str(SYMBOL_MAX)],
        ["smallest symbol", str(SYMBOL_MIN)], ["largest window", str(declared.WINDOW_BYTES_MAX)],
    ]  # fmt: skip


def test_structs() -> None:
    """Every struct: order, offsets, types and meanings of its fields."""
    structs = ("PRELUDE", "CHUNK_HEAD", "GROUP_HEAD", "AUDIO_HEAD", "INDEX_HEAD", "INDEX_ENTRY", "END")
    wanted = []
    for name in structs:
        rows, offset = [], 0
        for field in getattr(declared, name).fields:
            rows.append([str(offset), field.name, TYPES.get(field.code, field.code), field.meaning])
            offset += declared.Layout(field).size
        assert offset == getattr(declared, name).size
        wanted.append(rows)
    assert tables()["offset field type meaning"] == wanted
    assert f"last {declared.END.size + CHUNK_OVERHEAD} bytes" in TEXT


def test_header_members() -> None:
    """Every member of the header: name, JSON type and meaning."""
    assert table("member JSON type meaning") == [[field.name, field.kind, field.meaning] for field in HEADER_FIELDS]


@pytest.mark.parametrize(
    ("heading", "entries"),
    [
        ("type holds", {name.decode(): meaning for name, meaning in declared.CHUNK_TYPES.items()}),
        ("flag meaning", declared.GROUP_FLAGS), ("id coding", declared.MASK_CODINGS), ("id layout", declared.TOKEN_LAYOUTS),
        ("neighbours share", dict(enumerate(NEIGHBOUR_SHARE))), ("bound value", dict(enumerate(CLASS_BOUNDS, 1))),
    ],
)  # fmt: skip
def test_numbered_lists(heading: str, entries: dict[Any, Any]) -> None:
    """Chunk types, flags, coding and layout ids, shares and class bounds."""
    assert table(heading) == [[str(key), str(meaning)] for key, meaning in entries.items()]


def test_packings() -> None:
    """The three lists of packings."""

    def row(place: int, packing: Packing | Gaps) -> list[str]:
        if isinstance(packing, Gaps):
            return [str(place), "gaps", "ones" if packing.kind else "zeros", "no"]
        return [str(place), str(packing.base), str(packing.digits), "yes" if packing.signed else "no"]

    wanted = [[row(*item) for item in enumerate(packings)] for packings in (SIGNED_PACKINGS, UNSIGNED_PACKINGS, BIT_PACKINGS)]
    assert tables()["id base digits signed"] == wanted
    assert f"cut to 0 ... {MASK_CLASSES - 1}" in TEXT


def test_passes() -> None:
    """The passes and their neighbours."""
    wanted = []
    for number, rule in enumerate(PASSES):
        places = " ".join(f"({y},{x})" for y, x in zip(rule.row, rule.column, strict=True))
        beside = " ".join(f"({y},{x})" for y, x in rule.offsets) or "none"
        wanted.append([str(number), str(rule.step), places, beside])
    assert table("pass step (y, x) modulo step neighbours (rows, columns)") == wanted


@pytest.mark.parametrize(("rows", "columns", "channels", "seed"), [(24, 31, 2, 0), (9, 13, 10, 1), (19, 16, 6, 2), (3, 20, 17, 3)])
def test_second_implementation(rows: int, columns: int, channels: int, seed: int) -> None:
    """A slow decoder made from FORMAT.md alone finds the same masks and tokens over two segments."""
    of = sized(rows, columns, channels)
    made = groups(of, 4, seed=seed, last_frames=30, dense=seed == 2)
    history: list[Any] = []
    last: dict[tuple[int, int], list[int]] = {}
    model: dict[str, Any] = {}
    layouts = []
    for group, (head, mask_bytes, token_bytes) in zip(made, reference_decoder.groups(written(of, made)), strict=True):
        if group.key:
            last = {(y, x): [0] * channels for y in range(rows) for x in range(columns)}
        layouts.append((head["mask_coding"], head["token_layout"]))
        mask = group.mask.astype(int).tolist()
        if head["mask_coding"] == declared.MASK_CONTEXT:
            mask = reference_decoder.decode_mask(mask_bytes, head["latent_frames"], rows, columns, group.key, history)
        else:
            # other codings: the history still moves on
            stored = [[[0] * columns] * rows] * 2 * group.key + mask[int(group.key) :]
            history[:] = (history[::-1] + stored)[-1:-3:-1]
        assert mask == group.mask.astype(int).tolist()
        if head["token_layout"] == declared.LAYOUT_CONTEXT:
            tokens = reference_decoder.decode_tokens(token_bytes, mask, channels, group.key, last, model)
            assert tokens == group.tokens.tolist()
        elif head["token_layout"] == declared.LAYOUT_REPEATS:
            tokens = reference_decoder.decode_repeats(token_bytes, mask, channels, group.key, last, model)
            assert tokens == group.tokens.tolist()
        else:
            for (_, y, x), token in zip(np.argwhere(group.mask).tolist(), group.tokens.tolist(), strict=True):
                last[y, x] = token
    wanted = declared.LAYOUT_REPEATS if seed == 2 else declared.LAYOUT_CONTEXT
    assert any(layout == wanted for _, layout in layouts)
    assert seed or any(coding == declared.MASK_CONTEXT for coding, _ in layouts)
