"""FORMAT.md says what the code does: its tables, and that a decoder written from it reads the same tokens."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save

import latcomp.container
from latcomp.container import MAGIC, SYMBOL_MAX, SYMBOL_MIN, VERSION, attachments, header_fields, offsets
from latcomp.container import format as declared
from latcomp.container.chunks import CHUNK_OVERHEAD
from latcomp.container.coding.adaptive import counts, forecast, frame, squares
from latcomp.container.coding.context.predictor import CLASS_BOUNDS
from latcomp.container.coding.digits import BIT_PACKINGS, SIGNED_PACKINGS, UNSIGNED_PACKINGS, Gaps, Packing
from latcomp.container.coding.lattice import NEIGHBOUR_SHARE, PASSES
from latcomp.container.coding.masks import MASK_CLASSES
from latcomp.container.coding.prior import frame_coder, masks, modes, neighbourhood, network, tables
from latcomp.container.coding.prior.tables import TableEncoder, Tables
from latcomp.container.header_fields import HEADER_FIELDS
from latcomp.latents import TokenMemory, log_step_of, step_scale, steps
from latcomp.latents.steps import Steps
from tests.container import make, reference_decoder, reference_file
from tests.container.make import groups, in_units, sized, under, written

TEXT = (Path(latcomp.container.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")
LARGEST_AGE = 255
TYPES = {"b": "i8", "B": "u8", "H": "u16", "I": "u32", "Q": "u64", "q": "i64"}


def all_tables() -> dict[str, list[list[list[str]]]]:
    """All tables of FORMAT.md as rows of cells, by their heading row."""
    found: dict[str, list[list[list[str]]]] = defaultdict(list)
    for block in re.findall(r"(?:^\|.*\n)+", TEXT, flags=re.MULTILINE):
        rows = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in block.splitlines()]
        found[" ".join(rows[0])].append(rows[2:])
    return found


def table(heading: str) -> list[list[str]]:
    """The only table with a heading."""
    (rows,) = all_tables()[heading]
    return rows


def test_constants() -> None:
    """Magic, version, symbol range and window."""
    assert table("constant value") == [
        ["magic", " ".join(f"{byte:02X}" for byte in MAGIC)],
        ["version", str(VERSION)],
        ["version of files that require something", str(declared.VERSION_REQUIRING)],
        ["largest symbol", str(SYMBOL_MAX)],
        ["smallest symbol", str(SYMBOL_MIN)],
        ["largest window", str(declared.WINDOW_BYTES_MAX)],
    ]


def test_bounds_of_the_camera() -> None:
    """How far an offset may go, and how much a segment may show."""
    assert f"`max({offsets.WORLD_PICTURES} * h * w, {offsets.WORLD_LEAST})` positions" in TEXT
    assert f"2^{(offsets.OFFSET_MOST + 1).bit_length() - 1} - 1` in magnitude" in TEXT
    assert "section 4.2" in declared.REQUIREMENTS["camera"] and "\n### 4.2 Camera offsets\n" in TEXT


def test_structs() -> None:
    """Every struct: order, offsets, types and meanings of its fields."""
    structs = (
        "PRELUDE",
        "CHUNK_HEAD",
        "GROUP_HEAD",
        "AUDIO_HEAD",
        "INDEX_HEAD",
        "INDEX_ENTRY",
        "END",
        "ATTACHMENT_HEAD",
    )
    wanted = []
    for name in structs:
        rows, offset = [], 0
        for field in getattr(declared, name).fields:
            rows.append([str(offset), field.name, TYPES.get(field.code, field.code), field.meaning])
            offset += declared.Layout(field).size
        assert offset == getattr(declared, name).size
        wanted.append(rows)
    assert all_tables()["offset field type meaning"] == wanted
    assert f"last {declared.END.size + CHUNK_OVERHEAD} bytes" in TEXT


def test_header_members() -> None:
    """Every member of the header: name, JSON type and meaning."""
    assert table("member JSON type meaning") == [[field.name, field.kind, field.meaning] for field in HEADER_FIELDS]


@pytest.mark.parametrize(
    ("heading", "entries"),
    [
        ("required meaning", declared.REQUIREMENTS),
        ("type holds", {name.decode(): meaning for name, meaning in declared.CHUNK_TYPES.items()}),
        ("flag meaning", declared.GROUP_FLAGS),
        ("id coding", declared.MASK_CODINGS),
        ("id layout", declared.TOKEN_LAYOUTS),
        ("neighbours share", dict(enumerate(NEIGHBOUR_SHARE))),
        ("bound value", dict(enumerate(CLASS_BOUNDS, 1))),
        ("phase lead", dict(enumerate(neighbourhood.PHASE_LEAD))),
        ("neighbours that have it part", dict(enumerate(frame_coder.SHARE))),
    ],
)
def test_numbered_lists(heading: str, entries: dict[Any, Any]) -> None:
    """Chunk types, flags, coding and layout ids, shares, class bounds, and the prior's leads, classes and parts."""
    assert table(heading) == [[str(key), str(meaning)] for key, meaning in entries.items()]


def test_types_of_attachments() -> None:
    """Ids, names and sizes, and the bounds on an attachment."""
    wanted = [[str(number), name, str(size)] for number, (name, size) in declared.ATTACHMENT_DTYPES.items()]
    assert table("id type bytes") == wanted
    assert f"multiply to 2^{attachments.COUNT_MAX.bit_length() - 1} at most" in TEXT
    assert f"at most {attachments.PAYLOAD_BYTES_MAX >> 20} MiB" in TEXT
    assert f"at most {attachments.COUNT_OF_A_FILE}\nattachments" in TEXT
    head = {field.name: field.meaning for field in declared.ATTACHMENT_HEAD.fields}
    assert head["name_bytes"].endswith(f"1 to {attachments.NAME_BYTES_MAX}")
    assert head["dimensions"].endswith(f"at most {attachments.DIMENSIONS_MAX}")


def test_steps_and_latents() -> None:
    """The members of `steps` and `latents`, the bounds and words that they may have."""
    assert f"all from {steps.STEP_MIN:g} to {steps.STEP_MAX:g}".replace("e-0", "e-").replace("e+0", "e") in TEXT
    assert [row[0] for row in table("member of steps JSON type meaning")] == list(Steps.__dataclass_fields__)
    rows = {row[0]: row[2] for row in table("member of latents JSON type meaning")}
    words = (header_fields.SPACES, header_fields.ESTIMATORS, header_fields.LAYOUTS, header_fields.DTYPES)
    assert list(rows) == ["space", "estimator", "layout", "dtype", "architecture"]
    for (name, meaning), known in zip(rows.items(), words, strict=False):
        assert tuple(re.findall(r"`(\w+)`", meaning)) == known, name


def test_packings() -> None:
    """The three lists of packings."""

    def row(place: int, packing: Packing | Gaps) -> list[str]:
        if isinstance(packing, Gaps):
            return [str(place), "gaps", "ones" if packing.kind else "zeros", "no"]
        return [str(place), str(packing.base), str(packing.digits), "yes" if packing.signed else "no"]

    wanted = [
        [row(*item) for item in enumerate(packings)] for packings in (SIGNED_PACKINGS, UNSIGNED_PACKINGS, BIT_PACKINGS)
    ]
    assert all_tables()["id base digits signed"] == wanted
    assert f"cut to 0 ... {MASK_CLASSES - 1}" in TEXT


def test_layout_that_learns() -> None:
    """The numbers of section 8.1."""
    text = TEXT[TEXT.index("### 8.1") : TEXT.index("## 9.")]
    listed = re.search(r"\n\n((?:    [0-9 ]+\n)+)", text)
    assert listed is not None and tuple(map(int, listed[1].split())) == counts.CLASS_BOUNDS
    assert [len(table(f"{kind} term value")) for kind in ("value", "size")] == [
        forecast.VALUE_TERMS,
        forecast.SIZE_TERMS,
    ]
    assert (
        f"value terms 0 to {forecast.VALUE_TERMS_FIRST - 1} and size terms 0 to {forecast.SIZE_TERMS_FIRST - 1}" in text
    )
    assert f"Each class `k`, 0 to {counts.CLASSES - 1}, has" in text
    for number in (squares.CAP, squares.ROWS_KEPT, counts.START, counts.STEP, counts.MOST, forecast.VALUE_RIDGE):
        assert re.search(rf"\b{number}\b", text)
    assert f"the ridge being {forecast.VALUE_RIDGE} for values and {forecast.SIZE_RIDGE} for sizes" in text
    assert f"k - {counts.FIRST_SHIFTED}" in text and f", {counts.REACH_MAX})`" in text
    assert frame.ESCAPES == 262144
    assert f"takes at least {round(counts.LEAST_BITS * 100000)} / 100000 of a bit" in TEXT


def test_passes() -> None:
    """The passes and their neighbours."""
    wanted = []
    for number, rule in enumerate(PASSES):
        places = " ".join(f"({y},{x})" for y, x in zip(rule.row, rule.column, strict=True))
        beside = " ".join(f"({y},{x})" for y, x in rule.offsets) or "none"
        wanted.append([str(number), str(rule.step), places, beside])
    assert table("pass step (y, x) modulo step neighbours (rows, columns)") == wanted


def test_numbers_of_the_prior() -> None:
    """Counts, bounds and reaches of the prior."""
    assert dict(table("number of the prior value")) == {
        "passes": str(neighbourhood.PASSES),
        "phases": str(neighbourhood.PHASES),
        "facts": str(network.FACTS),
        "largest activation": str(network.ACTIVATION_MAX),
        "squash limit": str(network.SQUASH_LIMIT),
        "scale classes": str(network.SCALES),
        "scale class of one step": str(-network.SCALE_LOW),
        "scale classes per octave": str(network.SCALE_OCTAVE),
        "fractions": str(network.FRACTIONS),
        "modes": str(modes.MODES),
        "largest gate and share": str(network.GATE_MAX),
        "smallest share": str(network.SHARE_MIN),
        "mode tables": str(modes.CONTEXTS),
        "facts of the mask": str(network.MASK_FACTS),
        "mask tables": str(network.MASK_CLASSES),
        "escapes": str(network.ESCAPES),
        "largest age": str(LARGEST_AGE),
    }
    assert " ".join(map(str, network.REACH)) in " ".join(TEXT.split())
    assert f"five tables for each of {network.SCALES} *scale classes*" in TEXT and network.FRACTIONS == 5
    assert f"add up to 2^{tables.PRECISION}" in TEXT and f"range >> {tables.PRECISION}" in TEXT
    assert (
        f"number `{network.FRACTIONS} * class + |e|`" in TEXT
        and f"min(scale + {network.SCALE_OCTAVE} * o, {network.SCALES - 1})" in TEXT
    )
    escapes = network.ESCAPES
    assert f"table of {escapes} frequencies of {tables.TOTAL // escapes}: `far = s - {escapes // 2}`" in TEXT
    assert (
        f"cut to 0 ... {network.GATE_MAX}; `share" in TEXT
        and f"cut to {network.SHARE_MIN} ... {network.GATE_MAX}" in TEXT
    )
    assert f"cut to {SYMBOL_MIN << network.MEAN_BITS} ... {SYMBOL_MAX << network.MEAN_BITS}" in TEXT
    assert f"+ {-network.SCALE_LOW}`, cut to 0 ... {network.SCALES - 1};" in TEXT
    assert f"z = {network.MEAN_BITS} + log2(units) - o" in TEXT
    assert modes.PHASE_ORDER == (0, 3, 1, 2) and TEXT.count("positions of phase 0, then of phase 3, of 1 and of 2") == 2
    assert f"`{modes.NEAR_CLASSES} * p + i`" in TEXT and f"or {modes.NEAR_CLASSES - 1} if `k = 0`" in TEXT
    half = 1 << (network.MASK_SHIFT - 1)
    classes = (
        f"min(max(((s + {half}) >> {network.MASK_SHIFT}) + {network.MASK_CLASSES // 2}, 0), {network.MASK_CLASSES - 1})"
    )
    assert (
        classes in TEXT
        and f"{neighbourhood.MASK_SIDE**2} places around" in TEXT
        and f"{masks.BIT_ACTIVATION} and 0 if its bit" in TEXT
    )


def test_an_age_beyond_the_largest_says_no_more_than_it() -> None:
    """The page stops counting there; the program counts on, and the network is told the same."""
    told = []
    for age in (LARGEST_AGE, LARGEST_AGE + 1, 100_000):
        memory = TokenMemory.start((3, 4), 2)
        memory.advance(np.arange(12), np.ones((12, 2), np.int32))
        memory.age[::2] = age
        facts = network.Facts(
            np.zeros(12, np.uint8), memory.halvings, memory.age, memory.just_kept, np.zeros((12, 9)), ~memory.seen, 0
        )
        told.append((facts.activations().tobytes(), masks.mask_facts(memory, 0).tobytes()))
    assert len(set(told)) == 1


def test_formulas_of_the_prior() -> None:
    """What the page says of reaches, of `squash` and of `log_step` is what the code does."""
    (squash,) = re.findall(r"`min\(floor\((16 \* log2\(1 \+ m / 4\) \+ 1/2)\), (\d+)\)`", TEXT)
    names = {"log2": math.log2, "ceil": math.ceil, "min": min, "max": max}
    found = [
        min(math.floor(eval(squash[0], {**names, "m": m})), int(squash[1])) for m in range(network.SQUASH_LIMIT + 1)
    ]
    assert found == network.squash_table().tolist()
    (reach,) = re.findall(r"the classes 0 to \d+, `(min\(.*\))`:", TEXT)
    assert [
        eval(reach.replace("^", "**").replace("class", "k"), {**names, "k": k}) for k in range(network.SCALES)
    ] == network.REACH.tolist()
    bounds = table("bound of f value")
    assert [row[0] for row in bounds] == [str(number) for number in range(1, 17)]
    assert [float(row[1]) for row in bounds] == list(step_scale._BOUNDS)
    for scale in (1e-12, 0.01, 0.7, 1.0, 1.04, 1.05, 2.0, 3.3, 1e12):
        assert reference_decoder.log_step(scale, -3) == log_step_of(scale) - 2


def test_tensors_of_the_prior() -> None:
    """Names, types and shapes of the prior's tensors are those that the code reads and a training writes."""
    sizes = {"C": 7, "2C": 14, "E": 3, "9E": 27, "W": 5, "K": 2, "9K": 18, "M": 11, "H": 13}
    sizes["V"] = int((2 * network.REACH + 2).sum()) * network.FRACTIONS
    wanted = {}
    for name, kind, shape in table("tensor type shape"):
        for number in range(neighbourhood.PASSES if "`n`" in name else 1):
            dtype = {"i8": np.int8, "i32": np.int32, "u32": np.uint32}[kind]
            wanted[name.replace("`n`", str(number))] = (
                dtype,
                tuple(sizes.get(side) or int(side) for side in shape.split(", ")),
            )
    arrays = make.prior_arrays(channels=7, embed=3, width=5, known=2, mask_width=11, mask_hidden=13)
    assert {name: (value.dtype.type, value.shape) for name, value in arrays.items()} == wanted
    whole = network.Prior(arrays, "", "")
    assert len(whole.value_tables) == network.SCALES * network.FRACTIONS
    assert len(whole.mode_tables) == modes.CONTEXTS and len(whole.mask_tables) == network.MASK_CLASSES


@pytest.mark.parametrize("seed", range(8))
def test_second_range_coder(seed: int) -> None:
    """A range coder made from FORMAT.md writes the same words and reads them, also where carries run through many of
    them.
    """
    rng = np.random.default_rng(seed)
    skewed = np.array([1, 2**24 - 2, 1]) if seed % 2 else np.array([2**24 - 200, 100, 100])
    sums = [0, *np.cumsum(skewed).tolist()]
    symbols = rng.choice(
        3, rng.integers(0, 4000), p=(0.01, 0.98, 0.01) if seed % 4 < 2 else (1 / 3, 1 / 3, 1 / 3)
    ).astype(np.int32)
    coder = TableEncoder()
    coder.put(symbols, np.zeros(len(symbols), np.uint8), Tables([skewed.astype(np.uint32)]))
    data = coder.finish()
    assert reference_decoder.encode_range((sums[symbol], int(skewed[symbol])) for symbol in symbols) == data
    reading = reference_decoder.RangeDecoder(data)
    assert reading.call([0] * len(symbols), [sums]) == symbols.tolist()
    reading.end()


@pytest.mark.parametrize("coding", ["context", "zstd"])
@pytest.mark.parametrize(
    ("rows", "columns", "channels", "units", "step_scale"), [(9, 12, 6, 4, 1.0), (4, 5, 5, 2, 0.07), (3, 1, 9, 1, 3)]
)
def test_second_implementation_under_a_prior(
    rows: int, columns: int, channels: int, units: int, step_scale: float, coding: str
) -> None:
    """A slow decoder made from FORMAT.md alone finds the same masks, tokens and halvings over two segments."""
    by = make.prior(channels)
    of = under(sized(rows, columns, channels, step_scale=step_scale), by, units)
    made = in_units(of, groups(of, 3, last_frames=14))
    if units == 2:
        ends = np.array([SYMBOL_MIN // units, 0, SYMBOL_MAX // units], np.int32)
        made = in_units(of, [replace(group, tokens=ends[group.tokens % 3]) for group in made])
    found = reference_decoder.read_under_prior(written(of, made, prior=by, coding=coding), save(by.arrays))
    for group, (_, _, mask, tokens, halvings) in zip(made, found, strict=True):
        assert mask == group.mask.reshape(len(mask), -1).astype(int).tolist()
        assert tokens == group.tokens.tolist() and halvings == group.halvings.tolist()
    layouts, masks = {layout for _, layout, *_ in found}, {coding for coding, *_ in found}
    assert (
        layouts <= {declared.LAYOUT_PRIOR}
        if coding == "context"
        else layouts <= {declared.LAYOUT_MODES, declared.LAYOUT_MODE_CHANGES}
    )
    assert masks == {declared.MASK_PRIOR} if coding == "context" else declared.MASK_PRIOR not in masks


@pytest.mark.parametrize(
    ("rows", "columns", "channels", "seed"), [(24, 31, 2, 0), (9, 13, 10, 1), (19, 16, 6, 2), (3, 20, 17, 3)]
)
def test_second_implementation(rows: int, columns: int, channels: int, seed: int) -> None:
    """A slow decoder made from FORMAT.md alone finds the same masks and tokens over two segments."""
    of = sized(rows, columns, channels)
    made = groups(of, 4, seed=seed, last_frames=30, dense=seed == 2)
    found = reference_file.read_plain(written(of, made))
    for group, one in zip(made, found, strict=True):
        assert one.mask == group.mask.reshape(len(group.mask), -1).astype(int).tolist()
        assert one.tokens == group.tokens.tolist()
    layouts = [(one.mask_coding, one.token_layout) for one in found]
    wanted = declared.LAYOUT_REPEATS if seed == 2 else declared.LAYOUT_CONTEXT
    assert any(layout == wanted for _, layout in layouts)
    assert seed or any(coding == declared.MASK_CONTEXT for coding, _ in layouts)
